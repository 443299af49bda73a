"""Where the files of an import lie: a folder of this server, a ZIP archive, or what somebody sent."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from django.conf import settings

from catalog.importing.staging import open_upload
from catalog.models import Import, ImportItem
from catalog.models.photo import HEAD_BYTES
from catalog.roots.folders import NOT_TO_BE_READ, LibraryRefused, checked_folder, refuse_foreign
from catalog.sources.archive import ArchiveSource
from catalog.sources.base import Directory, FileChanged, SourceUnavailable
from catalog.sources.local import LocalSource
from photolala.lib.paths import unescape_path


class Origin(Protocol):
    """Lists the files of an import and opens them."""

    def walk(self) -> Iterator[Directory]:
        """Yield the folders. Raises SourceUnavailable."""

    def open(self, item: ImportItem) -> int:
        """Return a read-only descriptor, for the caller to close. Raises OSError."""

    def head_md5(self, item: ImportItem) -> str:
        """Return the MD5 of the first 4 kB; "" where that is not known, or the file cannot be read."""

    def forget(self, item: ImportItem) -> None:
        """Say that the file is not asked for any more."""

    def close(self) -> None:
        """Give back what is held open."""


class FolderOrigin:
    """A folder that the one who imports may read."""

    def __init__(self, wanted: Import) -> None:
        try:
            real = checked_folder(wanted.user, wanted.source, refusal=NOT_TO_BE_READ)
            refuse_foreign(wanted.user, real, before=wanted.created_at)
        except LibraryRefused as refused:
            raise SourceUnavailable(str(refused)) from None
        self._source = LocalSource(real)

    def walk(self) -> Iterator[Directory]:
        """Yield the folders."""
        return self._source.walk()

    def open(self, item: ImportItem) -> int:
        """Open the file if it is the one that was listed."""
        return self._source.open(item.path, expected=(item.size_bytes, item.mtime_ns))

    def head_md5(self, item: ImportItem) -> str:
        """Read the head of the file, if it is the one that was listed."""
        try:
            descriptor = self._source.open(item.path, expected=(item.size_bytes, item.mtime_ns))
        except OSError:
            return ""
        with open(descriptor, "rb") as file:
            return hashlib.md5(file.read(HEAD_BYTES), usedforsecurity=False).hexdigest()

    def forget(self, item: ImportItem) -> None:
        """Nothing was kept."""

    def close(self) -> None:
        """Close the folders."""
        self._source.close()


class ArchiveOrigin:
    """A ZIP archive that was sent, or that lies in a folder of this server."""

    def __init__(self, wanted: Import, keepalive: Callable[[], object]) -> None:
        try:
            descriptor = open_upload(wanted.user_id, wanted.archive) if wanted.archive else _open_on_server(wanted)
        except OSError as error:
            raise SourceUnavailable(
                f"The archive {wanted.source} cannot be read now: {error.strerror}. Nothing more was imported of it."
            ) from None
        self._source = ArchiveSource(descriptor, Path(settings.DATA_DIR) / "working", keepalive)

    def walk(self) -> Iterator[Directory]:
        """Yield the folders."""
        return self._source.walk()

    def open(self, item: ImportItem) -> int:
        """Unpack the file."""
        return self._source.open(item.path)

    def head_md5(self, item: ImportItem) -> str:
        """No earlier import is asked about an archive."""
        return ""

    def forget(self, item: ImportItem) -> None:
        """Remove the unpacked copy."""
        self._source.forget(item.path)

    def close(self) -> None:
        """Close the archive."""
        self._source.close()


class UploadOrigin:
    """Files that somebody sent; each is an item from the moment it is whole."""

    def __init__(self, wanted: Import) -> None:
        self._user_id = wanted.user_id

    def walk(self) -> Iterator[Directory]:
        """Yield nothing: the items are there."""
        yield from ()

    def open(self, item: ImportItem) -> int:
        """Open the staged file."""
        if item.upload is None:
            raise FileNotFoundError(2, "What was sent is not kept any more")
        descriptor = open_upload(self._user_id, item.upload)
        if os.fstat(descriptor).st_size != item.size_bytes:
            os.close(descriptor)
            raise FileChanged(errno.ESTALE, "What is kept of it is not as long as what was sent; send it again")
        return descriptor

    def head_md5(self, item: ImportItem) -> str:
        """No earlier import is asked about what was sent."""
        return ""

    def forget(self, item: ImportItem) -> None:
        """Keep it: the importer says when it may go."""

    def close(self) -> None:
        """Nothing is held open."""


def origin_of(wanted: Import, keepalive: Callable[[], object] = lambda: None) -> Origin:
    """Return where the import's files lie; the caller closes it. Raises SourceUnavailable with a sentence.

    `keepalive` is called while something takes long, and may raise to end it.
    """
    if wanted.kind == Import.Kind.FOLDER:
        return FolderOrigin(wanted)
    return ArchiveOrigin(wanted, keepalive) if wanted.kind == Import.Kind.ARCHIVE else UploadOrigin(wanted)


def _open_on_server(wanted: Import) -> int:
    path = Path(os.fsdecode(unescape_path(wanted.source)))
    try:
        real = checked_folder(wanted.user, os.fsdecode(os.fsencode(path.parent)), refusal=NOT_TO_BE_READ)
        refuse_foreign(wanted.user, real, before=wanted.created_at)
    except LibraryRefused as refused:
        raise SourceUnavailable(str(refused)) from None
    with LocalSource(real) as source:
        return source.open(wanted.source.rpartition("/")[2])
