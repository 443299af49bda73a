"""Backups below a prefix of a bucket: where their objects are, which are complete, and what no backup needs any more.

`Backups/<name>/` has the lists of a backup, and its manifest, which is put last: without it nothing there is a backup. Attached
files are in `Backups/media/` by their MD5, once for all backups of the prefix. An encrypted backup is one object, with its key
file beside it. While one is made that uses the media, `Backups/<name>.unfinished` tells the other servers of the prefix so.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Self
from uuid import UUID

from catalog.sources.s3_keys import BucketRoot, bucket_root, md5_in_etag
from exports.bundle.entries import MediaFile
from exports.bundle.files import checked_name
from exports.bundle.layout import MANIFEST_NAME, MEDIA_FOLDER, MEDIA_MANIFEST, is_media_path
from exports.bundle.lists import BundleRefused, read_list
from exports.models import BUCKET_BACKUPS as FOLDER

from .transports.bucket_calls import BucketCalls
from .transports.bucket_folders import BucketFolder, open_object

ENCRYPTED, KEY_FILE, UNFINISHED = ".zip.age", ".key.age", ".unfinished"
LEFT_FOR = timedelta(days=1)
"""What no backup names is kept so long: a backup that was stopped goes on with what it has sent."""
_MARK = b"A backup is being made, or was stopped. Until this is a day old no attached file is deleted here.\n"
_BEGIN = "backup_"
_NAME = re.compile(r"backup_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_([0-9a-f-]{36})")
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Listed:
    """An object: its size, the MD5 that its ETag may be ("" if it looks like none), and when it was put."""

    size_bytes: int
    md5: str
    modified: datetime


@dataclass(frozen=True)
class FoundBackup:
    """A complete backup that a prefix has."""

    name: str
    id: UUID
    created_at: datetime
    is_encrypted: bool
    size_bytes: int


class BucketBackups:
    """The backups below one prefix. Every method raises OSError if the server refuses or is away."""

    def __init__(self, root: BucketRoot, calls: BucketCalls | None = None) -> None:
        self.root = root
        self.calls = calls or BucketCalls(root)

    def address(self, name: str) -> str:
        """Return where a backup is, for people and for the command."""
        return f"{self.root.uri}/{FOLDER}/{name}"

    def folder(self, path: str = "") -> BucketFolder:
        """Return the objects directly below `Backups/<path>`, to put further ones there."""
        return BucketFolder(self.calls, f"{FOLDER}/{path}/" if path else f"{FOLDER}/")

    def open(self, path: str) -> BinaryIO:
        """Return a local copy of `Backups/<path>`, open at its start."""
        folder, _, name = path.rpartition("/")
        return open(open_object(self.root, f"{FOLDER}/{folder}" if folder else FOLDER, name), "rb")

    def listed(self, path: str) -> dict[str, Listed]:
        """Return all objects whose keys begin with `Backups/<path>`, by what follows `Backups/`."""
        calls, begin = self.calls, self.calls.key(f"{FOLDER}/")

        def pages() -> dict[str, Listed]:
            found = calls.client.get_paginator("list_objects_v2").paginate(Bucket=calls.bucket, Prefix=begin + path)
            return {
                one["Key"].removeprefix(begin): Listed(int(one["Size"]), md5_in_etag(one["ETag"]), one["LastModified"])
                for page in found
                for one in page.get("Contents", ())
            }

        return calls.call(pages, FOLDER)

    def mark_unfinished(self, name: str) -> None:
        """Tell other servers that a backup is being made. It counts for a day, and is put anew without ever being away."""
        calls = self.calls
        calls.call(
            lambda: calls.client.put_object(
                Bucket=calls.bucket,
                Key=calls.key(f"{FOLDER}/{name}{UNFINISHED}"),
                Body=_MARK,
                ContentMD5=b64encode(hashlib.md5(_MARK, usedforsecurity=False).digest()).decode(),
            ),
            FOLDER,
        )

    def remove(self, path: str) -> None:
        """Delete the object `Backups/<path>`, if there is one."""
        calls = self.calls
        calls.call(lambda: calls.client.delete_object(Bucket=calls.bucket, Key=calls.key(f"{FOLDER}/{path}")), FOLDER)

    def remove_backup(self, name: str) -> None:
        """Delete a backup, complete or not: first what makes it one."""
        for path in sorted(self.listed(name), key=lambda path: (not path.endswith((MANIFEST_NAME, ENCRYPTED)), path)):
            if path.startswith(f"{name}/") or path in (name + ENCRYPTED, name + KEY_FILE, name + UNFINISHED):
                self.remove(path)

    def found(self, listed: Mapping[str, Listed] | None = None) -> list[FoundBackup]:
        """Return the complete backups, the newest first; among `listed`, which begins with `backup_`, if that is known."""
        sizes: dict[str, int] = {}
        complete: dict[str, bool] = {}
        for path, one in (self.listed(_BEGIN) if listed is None else listed).items():
            name, slash, rest = path.partition("/")
            if slash:
                sizes[name] = sizes.get(name, 0) + one.size_bytes
                if rest == MANIFEST_NAME:
                    complete[name] = False
            elif path.endswith(ENCRYPTED):
                name = path.removesuffix(ENCRYPTED)
                complete[name], sizes[name] = True, one.size_bytes
        known = [_found(name, is_encrypted, sizes[name]) for name, is_encrypted in complete.items()]
        return sorted((one for one in known if one is not None), key=lambda one: one.created_at, reverse=True)

    def media_of(self, name: str) -> Iterator[MediaFile]:
        """Yield what media a backup in a folder names. Raises InvalidBundle, too."""
        with closing(self.open(f"{name}/{MEDIA_MANIFEST.name}")) as stream:
            yield from read_list(stream, MEDIA_MANIFEST.key, MEDIA_MANIFEST.name)  # type: ignore[misc]

    def sweep(self, now: datetime, keepalive: Callable[[], None] = lambda: None) -> int:
        """Delete media that no backup of the prefix names, and that are a day old; return how many.

        None while a backup is being made there, also by another server: it may rely on what it found. Raises InvalidBundle
        if a backup cannot be read: nothing is deleted then, for nobody knows what it needs.
        """
        begun = self.listed(_BEGIN)
        if _is_one_made(begun, now):
            return 0
        pool = self.listed(f"{MEDIA_FOLDER}/")
        complete = self.found(begun)
        needed = {
            str(one["photo_md5"])
            for backup in complete
            if not backup.is_encrypted
            for one in self.media_of(backup.name)
        }
        known = {backup.name for backup in complete}
        count = 0
        for path, one in pool.items():
            md5 = path.removeprefix(f"{MEDIA_FOLDER}/")
            if _MD5.fullmatch(md5) and md5 not in needed and one.modified < now - LEFT_FOR:
                keepalive()
                by_now = self.listed(_BEGIN)
                if _is_one_made(by_now, now) or not {backup.name for backup in self.found(by_now)} <= known:
                    break  # another server's, which may have found this one there
                self.remove(path)
                count += 1
        return count


def _is_one_made(listed: Mapping[str, Listed], now: datetime) -> bool:
    """Tell whether a backup is being made, or was stopped less than a day ago, by whatever server."""
    return any(path.endswith(UNFINISHED) and one.modified >= now - LEFT_FOR for path, one in listed.items())


class BucketBundle:
    """The files of a backup in a bucket, as restoring and verifying read them. A context manager."""

    def __init__(self, backups: BucketBackups, name: str) -> None:
        """List what there is. Raises BundleRefused if it is no complete backup, and OSError."""
        self._backups, self._name = backups, name
        self._files = {path.removeprefix(f"{name}/"): one for path, one in backups.listed(f"{name}/").items()}
        if MANIFEST_NAME not in self._files:
            raise BundleRefused(f"There is no complete backup at {backups.address(name)}.", "not_there")
        self._pool: dict[str, Listed] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def size(self, name: str) -> int | None:
        """Return how many bytes a file has; None if there is none."""
        found = self._found(name)
        return None if found is None else found.size_bytes

    def open(self, name: str) -> BinaryIO:
        """Return a local copy of a file. Raises FileNotFoundError, BundleRefused, OSError."""
        path = _pool_path(checked_name(name))
        return self._backups.open(path or f"{self._name}/{name}")

    def told_md5(self, name: str) -> str:
        """Return the MD5 that the server tells of a medium, without reading it; "" if it tells none.

        Of an object that is encrypted with a service's key it tells what only looks like one, and a list does not say so:
        what is not the MD5 in the medium's name has to be read.
        """
        found, path = self._found(name), _pool_path(name)
        return found.md5 if found is not None and path == f"{MEDIA_FOLDER}/{found.md5}" else ""

    def _found(self, name: str) -> Listed | None:
        path = _pool_path(name)
        if path is None:
            return self._files.get(name)
        if self._pool is None:
            self._pool = self._backups.listed(f"{MEDIA_FOLDER}/")
        return self._pool.get(path)


def open_bucket_bundle(uri: str) -> BucketBundle:
    """Return the files of the backup at `s3://bucket/prefix/Backups/<name>`. Raises BundleRefused, OSError."""
    root, name = split_address(uri)
    return BucketBundle(BucketBackups(root), name)


def split_address(uri: str) -> tuple[BucketRoot, str]:
    """Return the prefix and the name in the address of a backup. Raises BundleRefused."""
    place, _, name = uri.rstrip("/").rpartition("/")
    place, _, folder = place.rpartition("/")
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    try:
        if folder != FOLDER:
            raise ValueError
        return bucket_root(bucket, prefix), name
    except ValueError:
        raise BundleRefused(
            f"A backup in a bucket has an address such as s3://bucket/prefix/{FOLDER}/backup_…, and not {uri[:200]!r}.",
            "bad_path",
        ) from None


def _pool_path(name: str) -> str | None:
    """Return where the pool has a medium of a backup, from `media/YYYY/<time>_<MD5>.<ext>`; None for other files."""
    path = name.removeprefix(f"{MEDIA_FOLDER}/")
    if path == name or not is_media_path(path):
        return None
    return f"{MEDIA_FOLDER}/{path.rpartition('_')[2].partition('.')[0]}"


def _found(name: str, is_encrypted: bool, size_bytes: int) -> FoundBackup | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    with suppress(ValueError):
        created_at = datetime.strptime(match[1], "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC)
        return FoundBackup(name, UUID(match[2]), created_at, is_encrypted, size_bytes)
    return None
