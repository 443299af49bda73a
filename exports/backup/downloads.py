"""Sends a finished backup: a folder as a ZIP that is packed while it is sent, an encrypted ZIP as it is."""

import os
from collections.abc import Iterator
from pathlib import Path

from django.http import HttpRequest, HttpResponseBase

from exports.downloads import Archive, serve_archive
from exports.formats.manifest import InvalidManifest
from exports.formats.zip_stream import ChangedFile, stream_export_folder
from exports.models import Backup
from photolala.web.refusals import Conflict, NotThere

from .folder import READ_BYTES


class FileArchive:
    """A file of known content: its size, SHA-256, and any range of its bytes."""

    def __init__(self, path: Path, size_bytes: int, sha256: str) -> None:
        """Raises ChangedFile if it has another size, and OSError."""
        self._path, self.total_size, self.fingerprint = path, size_bytes, sha256
        if path.lstat().st_size != size_bytes:
            raise ChangedFile(f"{path} has not the size with which it was written.")

    def iter_range(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end` (None: all)."""
        stop = self.total_size if end is None else end
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            while start < stop and (chunk := os.pread(descriptor, min(READ_BYTES, stop - start), start)):
                start += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)


def serve_backup(request: HttpRequest, backup: Backup) -> HttpResponseBase:
    """Answer with a finished backup as one file, or the part asked for.

    Raises Conflict while it is not finished, NotThere if its files are gone or damaged, and TooManyRequests.
    """
    if backup.completed_at is None:
        raise Conflict("This backup is not finished; there is nothing to download yet.", "not_finished")
    if not backup.is_kept_here:
        raise Conflict("A command wrote this backup to another folder of the server; take it from there.", "elsewhere")
    archive: Archive
    try:
        if backup.packaging == Backup.Packaging.FOLDER:
            archive = stream_export_folder(backup.path)
        else:
            archive = FileArchive(backup.path, backup.size_bytes, backup.sha256)
    except (OSError, InvalidManifest):
        raise NotThere(
            "The files of this backup are gone or damaged. Delete it and make another one.", "no_file"
        ) from None
    if backup.is_encrypted:
        filename, media_type = backup.path.name, "application/octet-stream"
    else:
        filename, media_type = f"{backup.name}.zip", "application/zip"
    return serve_archive(
        request, archive, name=backup.name, user_id=backup.user_id, filename=filename, media_type=media_type
    )
