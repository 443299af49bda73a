"""Make a folder of the server, or a bucket's prefix, a library."""

import os
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import User
from catalog.history import adopt
from catalog.models import (
    Library,
)
from catalog.roots.buckets import BucketRefused, NotAllowed, allowed_bucket, bucket_location, require_bucket
from catalog.roots.folders import NOT_ALLOWED, LibraryRefused, checked_folder, escaped, refuse_overlap
from catalog.roots.taken_folders import TakenFolders, lock_taken_folders, of_others
from catalog.snapshots.location import FolderLocation
from catalog.sources.s3_keys import SCHEME, BucketRoot
from photolala.lib.paths import escape_path


def add_library(user: User, folder: str, name: str | None = None, **fields: Any) -> Library:
    """Make the server's `folder` (absolute, in escaped form or as it is) a library of `user`; nothing is scanned yet.

    `fields` are further fields of the row (`ratings`, `time_zone`). Raises LibraryRefused for a folder that is not
    allowed, not there, no folder, unreadable, or that overlaps with what others or the server have, or another library.
    """
    if folder.startswith(SCHEME):
        return _add_bucket(user, folder, name, **fields)
    real = checked_folder(user, folder)
    title = (name or "").strip() or escape_path(os.fsencode(real.name)) or "/"
    values = {"time_zone": settings.TIME_ZONE, **fields}
    # Before anything of somebody else's is looked at; once more below, under the lock.
    refuse_overlap(user, real)
    found = adopt.find_catalog(FolderLocation(real, escaped(real)))
    try:
        with transaction.atomic():
            lock_taken_folders()
            refuse_overlap(user, real)
            key = adopt.free_id(found, user)
            if key:
                values["id"] = key
            library = Library.objects.create(
                owner=user, name=title[:200], root=escape_path(os.fsencode(real)), **values
            )
            library.adopted_entry_count = found.entry_count if found else 0  # type: ignore[attr-defined]
            return library
    except IntegrityError:
        raise LibraryRefused(NOT_ALLOWED) from None


def _add_bucket(user: User, uri: str, name: str | None, **fields: Any) -> Library:
    """Make a bucket's prefix a library. Its stars stay in the database: no photo in a bucket is written yet."""
    try:
        root = allowed_bucket(user.get_username(), uri)
        _refuse_bucket_overlap(
            user, root
        )  # before anything of somebody else's is looked at; once more below, under the lock
        require_bucket(root)
    except NotAllowed:
        raise LibraryRefused(NOT_ALLOWED) from None
    except BucketRefused as refused:
        raise LibraryRefused(str(refused)) from None
    title = (name or "").strip() or root.uri.rpartition("/")[2]
    values = {"time_zone": settings.TIME_ZONE, **fields, "ratings": Library.Ratings.DATABASE, "is_watched": False}
    found = adopt.find_catalog(bucket_location(root.uri, is_quick=True))
    try:
        with transaction.atomic():
            lock_taken_folders()
            _refuse_bucket_overlap(user, root)
            key = adopt.free_id(found, user)
            if key:
                values["id"] = key
            library = Library.objects.create(owner=user, name=title[:200], source="s3", root=root.uri, **values)
            library.adopted_entry_count = found.entry_count if found else 0  # type: ignore[attr-defined]
            return library
    except IntegrityError:
        raise LibraryRefused(NOT_ALLOWED) from None


def _refuse_bucket_overlap(user: User, root: BucketRoot) -> None:
    found = list(TakenFolders().overlapping(root))
    foreign = of_others(user, found)
    if foreign is not None:
        raise LibraryRefused(NOT_ALLOWED, foreign.words)
    for taken in found:
        raise LibraryRefused(
            f"That prefix overlaps with the library “{taken.name}”, and a photo can be in one library only. Nothing was changed."
        )
