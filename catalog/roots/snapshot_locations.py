"""Where a library's snapshots are: in its root, and mirrored in the cache (a folder, or an object store)."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage

from catalog.cache.tree import cache, words_for
from catalog.models import Library
from catalog.roots.buckets import bucket_location
from catalog.snapshots.choose import Choice, choose_snapshot
from catalog.snapshots.location import PREFIX, FolderLocation, Location
from catalog.sources.held_root import HeldRoot
from catalog.sources.s3_keys import SCHEME
from photolala.lib.paths import unescape_path

CACHE_LABEL = "the cache"
COPIES_LABEL = "the place for copies of catalogs"


def root_location(library: Library, held: HeldRoot | None = None) -> Location | None:
    """Return the library's own root, a folder or a prefix in a bucket, as a place for snapshots; None for other sources.

    With `held` it is that open folder, wherever the root's path leads by now.
    """
    if library.source == "s3":
        return bucket_location(library.root)
    if library.source != "local":
        return None
    if held:  # reached over no link when it was opened
        return FolderLocation(f"/proc/self/fd/{held.descriptor}", library.root)
    return FolderLocation(os.fsdecode(unescape_path(library.root)), library.root, is_real=True)


def cache_location(root_md5: str) -> Location:
    """Return the cache's mirror of a root (formats.md §2)."""
    storage = cache()
    if isinstance(storage, FileSystemStorage):
        return FolderLocation(Path(storage.path(root_md5)), CACHE_LABEL, create=True)
    return StorageLocation(storage, root_md5, CACHE_LABEL)


def copies_location(library: Library) -> Location | None:
    """Return where PHOTOLALA_CATALOG_COPIES keeps another copy of the library's snapshots; None if it names no place.

    Raises FileNotFoundError if that is a folder that is not there: it is never made, for its disk may be unplugged.
    """
    place = settings.CATALOG_COPIES.rstrip("/")
    if not place:
        return None
    below = f"catalogs/{library.owner_id}/{library.pk}"
    if place.startswith(SCHEME):
        location = bucket_location(f"{place}/{below}", is_quick=True)  # a copy more: a scan does not wait long for it
        location.label = COPIES_LABEL
        return location
    if not os.path.isdir(place):  # False also for what cannot be looked at
        raise FileNotFoundError(errno.ENOENT, "The folder for copies of catalogs is not there", place)
    return FolderLocation(Path(place) / below, COPIES_LABEL, create=True)


def best_snapshot(library: Library, root_md5: str, working_folder: str | os.PathLike[str]) -> Choice:
    """Choose a snapshot as `choose_snapshot` does: the root's, the cache's, and then one of the copies kept elsewhere."""
    choice = choose_snapshot(root_location(library), cache_location(root_md5), working_folder)
    if choice.snapshot is not None:
        return choice
    try:
        copies = copies_location(library)
    except OSError as error:
        choice.notes.append(f"{error.strerror}.")
        return choice
    if copies is None:
        return choice
    elsewhere = choose_snapshot(None, copies, working_folder)
    elsewhere.notes[:0] = choice.notes[:-1]  # but for the last, that there is none
    return elsewhere


@contextmanager
def _as_os_errors(name: str) -> Iterator[None]:
    """Raise OSError for whatever the storage raises, with words that can be shown."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each storage has its own kinds of errors
        raise OSError(errno.EIO, f"The cache does not answer as it should ({words_for(error)})", name) from error


class StorageLocation:
    """Snapshots in an object store. An object appears whole or not at all; there is no rename, so copies are made."""

    def __init__(self, storage: Storage, folder: str, label: str) -> None:
        self.label = label
        self._storage = storage
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names that begin with `.photolala.`, sorted."""
        with suppress(FileNotFoundError), _as_os_errors(self._folder):
            return sorted(name for name in self._storage.listdir(self._folder)[1] if name.startswith(PREFIX))
        return []

    def open(self, name: str) -> BinaryIO:
        """Return a local copy of the object, open for reading."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
        try:
            with _as_os_errors(name), self._storage.open(self._path(name)) as stored:
                for chunk in stored.chunks(1 << 20):
                    copy.write(chunk)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file."""
        with Path(path).open("rb") as file, _as_os_errors(name):
            self._storage.save(self._path(name), File(file))

    def put_bytes(self, name: str, data: bytes) -> None:
        with _as_os_errors(name):
            self._storage.save(self._path(name), ContentFile(data))

    def delete(self, name: str) -> None:
        with _as_os_errors(name):
            self._storage.delete(self._path(name))

    def rename(self, name: str, new_name: str) -> None:
        """Copy the object to its new name, then delete the old one."""
        with self.open(name) as file, _as_os_errors(name):
            self._storage.save(self._path(new_name), File(file))
        self.delete(name)

    def _path(self, name: str) -> str:
        if not name.startswith(PREFIX) or "/" in name:
            raise ValueError(f"{name!r} is not the name of a snapshot or pointer.")
        return f"{self._folder}/{name}"
