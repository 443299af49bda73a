"""Where the files of an import lie: a folder of this server, a ZIP archive, or what somebody sent."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import UUID

from django.conf import settings

from catalog.models import Import, ImportItem, Upload
from catalog.roots.folders import NOT_TO_BE_READ, LibraryRefused, checked_folder, refuse_foreign
from catalog.scanning.verify import HEAD_BYTES
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

    def __init__(self, wanted: Import, breathe: Callable[[], object]) -> None:
        try:
            descriptor = open_upload(wanted.user_id, wanted.archive) if wanted.archive else _open_on_server(wanted)
        except OSError as error:
            raise SourceUnavailable(
                f"The archive {wanted.source} cannot be read now: {error.strerror}. Nothing more was imported of it."
            ) from None
        self._source = ArchiveSource(descriptor, Path(settings.DATA_DIR) / "working", breathe)

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


def origin_of(wanted: Import, breathe: Callable[[], object] = lambda: None) -> Origin:
    """Return where the import's files lie; the caller closes it. Raises SourceUnavailable with a sentence.

    `breathe` is called while something takes long, and may raise to end it.
    """
    if wanted.kind == Import.Kind.FOLDER:
        return FolderOrigin(wanted)
    return ArchiveOrigin(wanted, breathe) if wanted.kind == Import.Kind.ARCHIVE else UploadOrigin(wanted)


def staged_path(user_id: UUID, upload_id: UUID) -> Path:
    """Return where an upload's bytes lie, or will lie."""
    return Path(settings.UPLOADS_DIR) / str(user_id) / str(upload_id)


def open_upload(user_id: UUID, upload_id: UUID) -> int:
    """Return a read-only descriptor of what was sent. Raises OSError.

    Who sent it may be another one by now, or have left since (`libraries.forget`): the row knows under whose name it lies.
    """
    now = Upload.objects.filter(pk=upload_id).values_list("user_id", flat=True).first()
    return os.open(staged_path(now or user_id, upload_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def forget_uploads(upload_ids: list[UUID]) -> None:
    """Remove the rows of uploads; `remove_staged` then removes their bytes, after the commit."""
    if upload_ids:
        Upload.objects.filter(pk__in=upload_ids).delete()


def remove_staged(user_id: UUID, upload_ids: list[UUID]) -> None:
    """Remove the bytes of uploads whose rows are gone. Safe to repeat."""
    for key in upload_ids:
        staged_path(user_id, key).unlink(missing_ok=True)


def discard_uploads(user_id: UUID, upload_ids: list[UUID]) -> None:
    """Remove uploads, rows first: a kill in between leaves bytes that no row names, which the schedule removes."""
    forget_uploads(upload_ids)
    remove_staged(user_id, upload_ids)


def _open_on_server(wanted: Import) -> int:
    path = Path(os.fsdecode(unescape_path(wanted.source)))
    try:
        real = checked_folder(wanted.user, os.fsdecode(os.fsencode(path.parent)), refusal=NOT_TO_BE_READ)
        refuse_foreign(wanted.user, real, before=wanted.created_at)
    except LibraryRefused as refused:
        raise SourceUnavailable(str(refused)) from None
    with LocalSource(real) as source:
        return source.open(wanted.source.rpartition("/")[2])
