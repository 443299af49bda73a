"""Small pictures beside the copies of photos, for programs and people that cannot open the originals."""

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from catalog.entries.decoders import preview_decoder
from catalog.media.pool import DecoderPool
from catalog.media.results import PreviewResult
from catalog.media.task import Job
from catalog.models import Library
from catalog.sources.base import Source
from exports.ledger.errors import InvalidRecord
from exports.ledger.names import check_filename
from exports.ledger.placement import recorded_name
from exports.ledger.records import ExportRecord, RecordStatus
from exports.reading.originals import Original, OriginalUnreadable, Problems, open_original
from operations.running import OperationFailed
from photolala.lib.digests import md5_of_descriptor

from .companions import FULL
from .names import file_name
from .plan import MD5_KEY, PhotoRow, Target

PREVIEW_KEY = "preview"
"""Key of ours in the records: the small picture beside the copy, of which edge, and of which bytes of the photo."""
BAD_KEY = "bad"
"""In it: how a check found the picture; such a one is made again by a repair, and by any export."""
EXTENSION = ".preview.jpg"
LONGEST_BYTES = 255
MOST_TRIES = 3
"""Exports that try a picture which only a limit, or a fault that may pass, prevented: each may take a minute."""

logger = logging.getLogger(__name__)


class PreviewExport:
    """Puts a picture beside each copy; one that was put once, of the same photo and size, is not made again."""

    def __init__(
        self,
        library: Library,
        source: Source,
        target: Target,
        problems: Problems,
        before_publishing: Callable[[], None],
    ) -> None:
        self._library, self._source, self._target, self._problems = library, source, target, problems
        self._before_publishing = before_publishing
        self._edge_px = target.destination.preview_px
        self._pool: DecoderPool | None = None
        self.count = 0

    def export(self, rows: list[PhotoRow], keepalive: Callable[[], None]) -> None:
        """Put the pictures of these photos, and record them with the photos. `keepalive` may raise to stop. OperationFailed."""
        changed: list[ExportRecord] = []
        try:
            for row in rows:
                record = self._target.ledger.export_info(str(row.id))
                if record is None or record.status is not RecordStatus.DONE or not record.filename:
                    continue
                if self._is_there(record):
                    continue
                keepalive()
                put = self._put(row, record)
                if put is not None:
                    changed.append(replace(record, extra={**record.extra, PREVIEW_KEY: put}))
                self._target.folders.trim()
        finally:
            if changed:
                self._before_publishing()
                self._target.ledger.put_all(changed)

    def close(self) -> None:
        """End the decoder."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _is_there(self, record: ExportRecord) -> bool:
        known = self._known(record)
        return bool(known) and ("tries" not in known or known["tries"] >= MOST_TRIES)

    def _known(self, record: ExportRecord) -> dict[str, Any]:
        """Return what was recorded of a picture of this size and of these bytes of the photo; empty if nothing was."""
        known = record.extra.get(PREVIEW_KEY)
        wanted = (self._edge_px, record.extra.get(MD5_KEY))
        if not isinstance(known, dict) or BAD_KEY in known:
            return {}
        return known if (known.get("edgePx"), known.get("ofMD5")) == wanted else {}

    def _put(self, row: PhotoRow, record: ExportRecord) -> dict[str, Any] | None:
        """Return what the record is to say of the picture; None if it could not be put, which is tried again another time."""
        facts = {"edgePx": self._edge_px, "ofMD5": record.extra.get(MD5_KEY)}
        try:
            found = self._picture_of(row)
            picture = found.picture
            if picture is None:
                self._note(row.path, f"No preview of it was exported: {found.problem or 'there is no picture in it.'}")
                may_pass = found.gave_up or found.short_of_memory
                tries = {"tries": self._known(record).get("tries", 0) + 1} if may_pass else {}
                return {**facts, "filename": None, **tries}
            name, md5 = self._copy(picture, row, record)
        except (OSError, OriginalUnreadable) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise OperationFailed(
                    f"{error} What was exported before is kept and recorded.", "destination"
                ) from error
            self._target.guard.require()
            self._note(row.path, f"Its preview was not exported: {getattr(error, 'strerror', None) or error}.")
            return None
        return {**facts, "filename": recorded_name(name), "sizeBytes": len(picture), "md5": md5}

    def _picture_of(self, row: PhotoRow) -> PreviewResult:
        """Return a JPEG of the photo as the catalog knows it, or why there is none. OriginalUnreadable."""
        original = Original(row.path, "", row.size_bytes, row.mtime_ns, row.photo_md5, str(row.id))
        descriptor = open_original(self._source, original)
        try:
            if self._pool is None:
                self._pool = preview_decoder()
            params = {"zone": self._library.time_zone, "mtime_ns": row.mtime_ns, "size_bytes": row.size_bytes}
            return self._pool.preview(
                Job(row.path, row.filename, partial(os.dup, descriptor), params), edge_px=self._edge_px
            )
        finally:
            os.close(descriptor)

    def _copy(self, picture: bytes, row: PhotoRow, record: ExportRecord) -> tuple[str, str]:
        """Write the picture beside the copy, under the next free name if somebody has its own; return name and MD5. OSError."""
        folder = self._target.folders.get(record.rel_path)
        name = self._target.folders.transport.fit_name(preview_name(file_name(record.filename or "")))
        with tempfile.TemporaryFile() as file:
            file.write(picture)
            file.flush()
            md5 = md5_of_descriptor(file.fileno())
            name, is_new = folder.put(
                file.fileno(),
                name,
                size_bytes=len(picture),
                mtime_ns=row.mtime_ns,
                md5=md5,
                before_publishing=self._before_publishing,
            )
            self.count += is_new
        return name, md5

    def _note(self, path: str, reason: str) -> None:
        logger.warning("%s: %s", path, reason)
        self._problems.add(path, reason)


def recorded_preview(record: ExportRecord) -> dict[str, Any] | None:
    """Return what was recorded of the picture beside a copy (`filename`, `sizeBytes`, `md5`); None if none was put there."""
    known = record.extra.get(PREVIEW_KEY)
    if not isinstance(known, dict) or not isinstance(known.get("filename"), str):
        return None
    try:
        check_filename(known["filename"])
    except InvalidRecord:  # of whoever wrote the file: it is not looked for
        return None
    return known


def with_bad_preview(record: ExportRecord, reason: str) -> ExportRecord:
    """Return `record`, which has a picture, saying that a check found it bad."""
    return replace(record, extra={**record.extra, PREVIEW_KEY: {**record.extra[PREVIEW_KEY], BAD_KEY: reason}})


def preview_name(photo: str) -> str:
    """Return what the picture beside the copy `photo` is called: with the whole name in it, so that it is clear of which."""
    return os.fsencode(photo)[: LONGEST_BYTES - len(EXTENSION)].decode("utf-8", "ignore") + EXTENSION
