"""System checks of the catalog: settings that cannot work are said at start, with what to do."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from catalog.media.exiftool import ExifToolMissing, exiftool_command
from catalog.media.sandbox import missing_layers
from catalog.roots.taken_folders import TakenFolders, own_folders
from catalog.sources.s3_keys import SCHEME, parse_uri
from photolala.lib.roots import PLACEHOLDER, RootPattern

from .examinations.taken_folders import examine_taken_folders

SETTINGS = "photolala_settings"
"""The tag of these checks: commands that are run often ask for them alone, for Django's own load the whole site."""


@register(SETTINGS)
def check_data_folder(**_: Any) -> list[CheckMessage]:
    """photolala.E001: the data folder must be writable."""
    folder = Path(settings.DATA_DIR)
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        return [
            Error(
                f"PHOTOLALA_DATA={folder} cannot be written by this user.",
                hint="Give the folder to the user that runs Photolala, or name another one.",
                id="photolala.E001",
            )
        ]
    return []


@register(SETTINGS)
def check_roots(**_: Any) -> list[CheckMessage]:
    """photolala.E002, W002: every folder of PHOTOLALA_ROOTS is absolute and there."""
    found: list[CheckMessage] = []
    for text in settings.PHOTO_ROOTS:
        pattern = RootPattern(text)
        if pattern.is_bucket:
            try:
                parse_uri(text.replace(PLACEHOLDER, "x"))
            except ValueError as error:
                found.append(Error(f"PHOTOLALA_ROOTS names {text!r}: {error}", id="photolala.E002"))
        elif not pattern.is_absolute:
            found.append(
                Error(
                    f"PHOTOLALA_ROOTS names {text!r}, which is no absolute path.",
                    hint='Write paths that begin with "/", or s3://bucket/prefix, separated by ":".',
                    id="photolala.E002",
                )
            )
        elif not pattern.is_personal and not Path(text).is_dir():
            found.append(
                Warning(
                    f"PHOTOLALA_ROOTS names {text}, which is not there (an unmounted disk?).",
                    hint="Mount it or take it out of PHOTOLALA_ROOTS.",
                    id="photolala.W002",
                )
            )
    return found


@register(SETTINGS)
def check_roots_of_its_own(**_: Any) -> list[CheckMessage]:
    """photolala.W009: a root in a folder that Photolala keeps for itself: nothing in there can become a library."""
    found: list[CheckMessage] = []
    own = TakenFolders(own_folders())
    for text in settings.PHOTO_ROOTS:
        pattern = RootPattern(text)
        if pattern.is_bucket or not pattern.is_absolute or pattern.is_personal:
            continue
        taken = next(own.holding(Path(os.path.realpath(text))), None)
        if taken is not None:
            found.append(
                Warning(
                    f"PHOTOLALA_ROOTS names {text}, which belongs to {taken.words}: nothing in there can become a library.",
                    hint="Name a folder of photos, or let Photolala keep its own files elsewhere.",
                    id="photolala.W009",
                )
            )
    return found


@register(Tags.database)
def check_taken_folders(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """photolala.W010: folders of two people, or of a person and the server, overlap (`check --database default`)."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    try:
        findings = list(examine_taken_folders())
    except DatabaseError:
        return []  # the tables are not there yet
    return [Warning(one.sentence, hint=one.advice, id="photolala.W010") for one in findings]


@register(SETTINGS)
def check_exiftool(**_: Any) -> list[CheckMessage]:
    """photolala.W004: exiftool is needed to write ratings and dates into files."""
    try:
        exiftool_command()
    except ExifToolMissing:
        return [
            Warning(
                "exiftool is not installed: Photolala runs, but writes nothing into photo files.",
                hint="Run `make setup`, or install Debian's package libimage-exiftool-perl.",
                id="photolala.W004",
            )
        ]
    return []


@register(SETTINGS)
def check_sandbox(**_: Any) -> list[CheckMessage]:
    """photolala.E008, W008: the kernel can seal the processes that read people's files."""
    missing = missing_layers()
    if not missing:
        return []
    sentence = f"This kernel offers no {' and no '.join(missing)}, with which processes that read photos are sealed."
    if settings.SANDBOX_REQUIRED:
        hint = "Use Linux 5.13 or newer on x86-64 or aarch64, or take PHOTOLALA_SANDBOX=required away."
        return [Error(sentence, hint=hint, id="photolala.E008")]
    hint = "The other layers still hold (docs/security.md). Linux 5.13 or newer on x86-64 or aarch64 has both."
    return [Warning(sentence, hint=hint, id="photolala.W008")]


@register(SETTINGS)
def check_broker(**_: Any) -> list[CheckMessage]:
    """photolala.E005: the broker's address must be of a known kind."""
    scheme = settings.CELERY_BROKER_URL.partition("://")[0]
    if scheme in {"sqliteq", "redis", "rediss", "amqp", "amqps", "memory", "sentinel"}:
        return []
    return [
        Error(
            f"PHOTOLALA_BROKER begins with {scheme}://, which is not supported.",
            hint="Use redis://host:6379/0 or amqp://…, or leave it unset.",
            id="photolala.E005",
        )
    ]


@register(SETTINGS)
def check_catalog_copies(**_: Any) -> list[CheckMessage]:
    """photolala.E007: copies of catalogs need a place."""
    copies = settings.CATALOG_COPIES
    if copies and not _is_place(copies):
        return [
            Error(
                f"PHOTOLALA_CATALOG_COPIES={copies!r} names neither a folder nor a bucket.",
                hint="Write /a/folder or s3://bucket/prefix.",
                id="photolala.E007",
            )
        ]
    return []


def _is_place(text: str) -> bool:
    try:
        return bool(parse_uri(text.rstrip("/")).bucket) if text.startswith(SCHEME) else Path(text).is_absolute()
    except ValueError:
        return False


@register(SETTINGS)
def check_s3(**_: Any) -> list[CheckMessage]:
    """photolala.E006: a cache or media store on S3 needs a bucket and keys that come together."""
    for name, location in (("PHOTOLALA_CACHE", settings.CACHE_LOCATION), ("PHOTOLALA_MEDIA", settings.MEDIA_LOCATION)):
        if location.startswith("s3://") and not location.removeprefix("s3://").partition("/")[0]:
            return [Error(f"{name} names no bucket.", hint="Write s3://bucket/prefix.", id="photolala.E006")]
    if bool(settings.S3["access_key"]) != bool(settings.S3["secret_key"]):
        return [
            Error(
                "Of PHOTOLALA_S3_ACCESS_KEY and PHOTOLALA_S3_SECRET_KEY only one is set.",
                hint="Set both or none.",
                id="photolala.E006",
            )
        ]
    return []
