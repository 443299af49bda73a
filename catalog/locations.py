"""Where a library's snapshots lie: in its root, and mirrored in the cache (a folder, or an object store)."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage

from catalog.snapshots.location import PREFIX, FolderLocation, Location
from photolala.lib.paths import unescape_path

from .buckets import bucket_location
from .cache_tree import cache
from .models import Library

CACHE_LABEL = "the cache"


def root_location(library: Library) -> Location | None:
    """Return the library's own root, a folder or a prefix in a bucket, as a place for snapshots; None for other sources."""
    if library.source == "s3":
        return bucket_location(library.root)
    if library.source != "local":
        return None
    return FolderLocation(os.fsdecode(unescape_path(library.root)), library.root)


def cache_location(root_md5: str) -> Location:
    """Return the cache's mirror of a root (formats.md §2)."""
    storage = cache()
    if isinstance(storage, FileSystemStorage):
        return FolderLocation(Path(storage.path(root_md5)), CACHE_LABEL, create=True)
    return StorageLocation(storage, root_md5, CACHE_LABEL)


class StorageLocation:
    """Snapshots in an object store. An object appears whole or not at all; there is no rename, so copies are made."""

    def __init__(self, storage: Storage, folder: str, label: str) -> None:
        self.label = label
        self._storage = storage
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names that begin with `.photolala.`, sorted."""
        with suppress(FileNotFoundError):
            return sorted(name for name in self._storage.listdir(self._folder)[1] if name.startswith(PREFIX))
        return []

    def open(self, name: str) -> BinaryIO:
        """Return a local copy of the object, open for reading."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
        try:
            with self._storage.open(self._path(name)) as stored:
                for chunk in stored.chunks(1 << 20):
                    copy.write(chunk)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy  # type: ignore[return-value]

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file."""
        with Path(path).open("rb") as file:
            self._storage.save(self._path(name), File(file))

    def put_bytes(self, name: str, data: bytes) -> None:
        """Replace the object."""
        self._storage.save(self._path(name), ContentFile(data))

    def delete(self, name: str) -> None:
        """Delete the object."""
        self._storage.delete(self._path(name))

    def rename(self, name: str, new_name: str) -> None:
        """Copy the object to its new name, then delete the old one."""
        with self.open(name) as file:
            self._storage.save(self._path(new_name), File(file))
        self.delete(name)

    def _path(self, name: str) -> str:
        if not name.startswith(PREFIX) or "/" in name:
            raise ValueError(f"{name!r} is not the name of a snapshot or pointer.")
        return f"{self._folder}/{name}"
