"""Sends what the server keeps of exports and backups, in any pieces, so that a broken download continues.

Each download is recorded (`ExportDownload`), and of one user ten are under way at most.
"""

import io
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, BinaryIO, Protocol, cast

from django.db import Error, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from accounts.models import User
from exports.models import Export, ExportDownload
from photolala.lib.process import identity, is_alive, is_dead
from photolala.web.ranges import Download, serve
from photolala.web.refusals import TooManyRequests

logger = logging.getLogger(__name__)
MOST_DOWNLOADS = 10
"""So many downloads of exports one user may have under way, in all web servers."""
BELIEVED_FOR = timedelta(hours=1)
"""How long a download counts as under way if it cannot be told whether the process that sends it is alive."""
_dropped: deque[ExportDownload] = deque()
"""Records of downloads whose end is not noted yet: answers that were dropped unsent, or the database was away."""


class Archive(Protocol):
    """Bytes that are known beforehand, however many there are."""

    total_size: int

    @property
    def fingerprint(self) -> str:
        """Changes whenever a byte would."""

    def iter_range(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` on."""


class ArchiveReader(io.RawIOBase):
    """An archive as a file to seek once and then read on; the download is under way from then until the file is closed."""

    def __init__(self, archive: Archive, begin: Callable[[int], ExportDownload]) -> None:
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

    def close(self) -> None:
        """Close it, and the file that the archive was reading."""
        self._pieces = iter(())
        super().close()

    def __del__(self) -> None:
        """Leave the end of an answer that was never sent to be noted: garbage collection may use no database."""
        if self._record is not None:
            _dropped.append(self._record)
        super().__del__()


def serve_archive(
    request: HttpRequest,
    archive: Archive,
    *,
    name: str,
    user_id: Any,
    filename: str = "",
    media_type: str = "application/zip",
    export: Export | None = None,
    has_ranges: bool = True,
) -> HttpResponseBase:
    """Answer with an archive, or the part asked for; the ETag changes when a byte does. Raises TooManyRequests.

    The download is recorded for the user as one of `name` (and of `export`, if it is one). `has_ranges`: parts may be had.
    """
    download = Download(
        archive.total_size,
        media_type,
        etag=archive.fingerprint,
        filename=filename or f"{name}.zip",
        attachment=True,
        has_ranges=has_ranges,
    )

    def begin(offset: int) -> ExportDownload:
        for _ in range(len(_dropped)):
            with suppress(IndexError):  # another thread took it
                _note_end(_dropped.popleft())
        record = ExportDownload(
            export=export,
            export_name=name,
            user_id=user_id,
            address=str(request.META.get("REMOTE_ADDR") or "")[:64],
            first_byte=offset,
            size_bytes=archive.total_size,
            server=identity(),
        )
        return _begin(record)

    reader = ArchiveReader(archive, begin)
    download.ended = reader.end
    return serve(request, download, cast(BinaryIO, reader))


@transaction.atomic
def _begin(record: ExportDownload) -> ExportDownload:
    """Record a download that begins. Raises TooManyRequests, and records nothing, if too many are under way."""
    User.objects.select_for_update().filter(pk=record.user_id).values_list("pk").first()  # one at a time counts
    open_ones = ExportDownload.objects.filter(user=record.user_id, ended_at=None)
    if sum(_is_under_way(one) for one in open_ones) >= MOST_DOWNLOADS:
        raise TooManyRequests(
            f"{MOST_DOWNLOADS} downloads of your exports are under way. Wait until one has ended, or stop one, and try again.",
            "too_many_downloads",
            wait_seconds=30,
        )
    record.save(force_insert=True)
    logger.info(
        "%s: user %s downloads it from byte %d, to %s",
        record.export_name,
        record.user_id,
        record.first_byte,
        record.address,
    )
    return record


def _note_end(record: ExportDownload) -> None:
    """Note how far a download came; if the database cannot be written now, the next download does it."""
    try:
        ExportDownload.objects.filter(pk=record.pk).update(ended_at=timezone.now(), sent_bytes=record.sent_bytes)
    except Error as error:
        logger.warning("The end of the download %s could not be noted yet: %s", record.pk, error)
        _dropped.append(record)


def is_being_sent(downloads: QuerySet[ExportDownload]) -> bool:
    """Tell whether one of these downloads is under way: the files have to stay until then."""
    return any(_is_under_way(one) for one in downloads.filter(ended_at=None))


def _is_under_way(download: ExportDownload) -> bool:
    """Tell whether it is still being sent; one whose process ended is not, whatever its record says."""
    if is_alive(download.server):
        return True
    return not is_dead(download.server) and download.started_at > timezone.now() - BELIEVED_FOR
