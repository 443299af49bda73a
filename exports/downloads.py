"""Sends a finished export as one ZIP, in any pieces: nothing is packed beforehand, and a broken download continues."""

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from django.http import HttpRequest, HttpResponseBase

from photolala.web.ranges import Download, serve
from photolala.web.refusals import Conflict, NotThere

from .formats.manifest import InvalidManifest
from .formats.zip_stream import ZipStream, stream_export_folder
from .models import Export


class ZipReader(io.RawIOBase):
    """A ZIP stream as a file to seek once and then read on."""

    def __init__(self, archive: ZipStream) -> None:
        super().__init__()
        self._archive = archive
        self._pieces: Iterator[bytes] = archive.iter_range()
        self._rest = b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to `offset` from the start."""
        self._pieces, self._rest = self._archive.iter_range(offset), b""
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return some of the next bytes, at most `size`; nothing at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        if size < 0:
            size = len(self._rest)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def serve_export(request: HttpRequest, export: Export) -> HttpResponseBase:
    """Answer with the ZIP of a finished export, or the part asked for; the ETag changes when a byte does.

    Raises Conflict while it is not finished, NotThere if its files are gone or damaged.
    """
    if export.completed_at is None:
        raise Conflict("This export is not finished; there is nothing to download yet.", "not_finished")
    if not export.is_kept_here:
        raise Conflict("A command wrote this export to another folder of the server; take it from there.", "elsewhere")
    try:
        archive = stream_export_folder(export.folder)
    except (OSError, InvalidManifest):
        raise NotThere("The files of this export are gone or damaged. Delete it and export again.", "no_file") from None
    download = Download(
        archive.total_size,
        "application/zip",
        etag=archive.fingerprint,
        filename=f"{export.folder_name}.zip",
        attachment=True,
    )
    return serve(request, download, cast(BinaryIO, ZipReader(archive)))
