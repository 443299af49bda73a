"""Sends a finished export as one ZIP, in any pieces: nothing is packed beforehand, and a broken download continues.

Each one is recorded (`ExportDownload`), and of one user ten are under way at most.
"""

import io
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import BinaryIO, cast

from django.db import Error, transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from accounts.models import User
from exports.formats.manifest import InvalidManifest
from exports.formats.zip_stream import ZipStream, stream_export_folder
from exports.models import Export, ExportDownload
from photolala.lib.process import identity, is_alive, is_dead
from photolala.web.ranges import Download, serve
from photolala.web.refusals import Conflict, NotThere, TooManyRequests

logger = logging.getLogger(__name__)
MOST_DOWNLOADS = 10
"""So many downloads of exports one user may have under way, in all web servers."""
BELIEVED_FOR = timedelta(hours=1)
"""How long a download counts as under way if it cannot be told whether the process that sends it is alive."""
_dropped: deque[ExportDownload] = deque()
"""Records of downloads whose end is not noted yet: answers that were dropped unsent, or the database was away."""


class ZipReader(io.RawIOBase):
    """A ZIP stream as a file to seek once and then read on; the download is under way from then until the file is closed."""

    def __init__(self, archive: ZipStream, begin: Callable[[int], ExportDownload]) -> None:
        """`begin` is called with the first byte that is sent, and returns the record of the download."""
        super().__init__()
        self._archive = archive
        self._begin = begin
        self._record: ExportDownload | None = None
        self._pieces: Iterator[bytes] = archive.iter_range()
        self._rest = b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to `offset` from the start, and begin."""
        if self._record is None:
            self._record = self._begin(offset)
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
        if self._record is not None:
            self._record.sent_bytes += len(piece)
        return piece

    def end(self) -> None:
        """End the download: note how far it came, and close."""
        record, self._record = self._record, None
        try:
            if record is not None:
                _note_end(record)
        finally:
            self.close()

    def __del__(self) -> None:
        """Leave the end of an answer that was never sent to be noted: garbage collection may use no database."""
        if self._record is not None:
            _dropped.append(self._record)
        super().__del__()


def serve_export(request: HttpRequest, export: Export) -> HttpResponseBase:
    """Answer with the ZIP of a finished export, or the part asked for; the ETag changes when a byte does.

    Raises Conflict while it is not finished, NotThere if it expired or its files are gone or damaged, and TooManyRequests.
    """
    if export.completed_at is None:
        raise Conflict("This export is not finished; there is nothing to download yet.", "not_finished")
    if not export.is_kept_here:
        raise Conflict("A command wrote this export to another folder of the server; take it from there.", "elsewhere")
    if export.is_expired:
        raise NotThere(
            "This export has expired, and its files are deleted. Export again; no photo was touched.", "expired"
        )
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

    def begin(offset: int) -> ExportDownload:
        for _ in range(len(_dropped)):
            with suppress(IndexError):  # another thread took it
                _note_end(_dropped.popleft())
        return _begin(export, offset, archive.total_size, str(request.META.get("REMOTE_ADDR") or ""))

    reader = ZipReader(archive, begin)
    download.ended = reader.end
    return serve(request, download, cast(BinaryIO, reader))


@transaction.atomic
def _begin(export: Export, offset: int, size_bytes: int, address: str) -> ExportDownload:
    """Record a download that begins. Raises TooManyRequests, and records nothing, if too many are under way."""
    User.objects.select_for_update().filter(pk=export.user_id).values_list("pk").first()  # one at a time counts
    open_ones = ExportDownload.objects.filter(user=export.user_id, ended_at=None)
    if sum(_is_under_way(one) for one in open_ones) >= MOST_DOWNLOADS:
        raise TooManyRequests(
            f"{MOST_DOWNLOADS} downloads of your exports are under way. Wait until one has ended, or stop one, and try again.",
            "too_many_downloads",
            wait_seconds=30,
        )
    record = ExportDownload.objects.create(
        export=export,
        export_name=export.folder_name,
        user_id=export.user_id,
        address=address[:64],
        first_byte=offset,
        size_bytes=size_bytes,
        server=identity(),
    )
    logger.info("Export %s: user %s downloads it from byte %d, to %s", export.pk, export.user_id, offset, address)
    return record


def _note_end(record: ExportDownload) -> None:
    """Note how far a download came; if the database cannot be written now, the next download does it."""
    try:
        ExportDownload.objects.filter(pk=record.pk).update(ended_at=timezone.now(), sent_bytes=record.sent_bytes)
    except Error as error:
        logger.warning("The end of the download %s could not be noted yet: %s", record.pk, error)
        _dropped.append(record)


def is_being_sent(export: Export) -> bool:
    """Tell whether somebody still downloads it: its files have to stay until then."""
    return any(_is_under_way(one) for one in ExportDownload.objects.filter(export=export, ended_at=None))


def _is_under_way(download: ExportDownload) -> bool:
    """Tell whether it is still being sent; one whose process ended is not, whatever its record says."""
    if is_alive(download.server):
        return True
    return not is_dead(download.server) and download.started_at > timezone.now() - BELIEVED_FOR
