"""Digest claimed photos: read each file once, write its cache objects, hand the rows over in batches."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from catalog.cache import tree
from catalog.entries.columns import digested_row
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for, opened_ahead, photos_in
from catalog.entries.listing import doubted, is_racy
from catalog.entries.read_failures import ReadFailures, can_read_known
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.task import Job
from catalog.models import Library
from catalog.sources.base import Source
from operations.running import Cancelled, Interrupted

MOST_KEPT_FOLDERS = 64


@dataclass(frozen=True, slots=True)
class _Reading:
    """A photo whose file is being read since `began_ns`; 0 is the time of a sidecar that is not there."""

    photo: Claimed
    began_ns: int
    newest_sidecar_ns: int


class Digesting:
    """Reads what `claim` gives, until that is nothing, and hands the rows to `apply`, which may raise to end it.

    `is_over` ends it between two files; what was claimed and not read is for the caller to give back.
    """

    def __init__(
        self,
        library: Library,
        source: Source,
        *,
        zone: str,
        opened: ExitStack,
        claim: Callable[[], list[Claimed]],
        apply: Callable[[list[Row]], None],
        require_source: Callable[[], None],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._library = library
        self._source = source
        self._zone = zone
        self._opened = opened
        self._claim = claim
        self._apply = apply
        self._require_source = require_source
        self._is_over = is_over

    def run(self, pool: DecoderPool) -> None:
        """Digest until nothing can be claimed. Raises SourceUnavailable if the source fails, not the files."""
        read_failures = ReadFailures(self._require_source, partial(can_read_known, self._library, self._source))
        rows: list[Row] = []
        flushed = time.monotonic()
        try:
            for job, result in pool.digest(opened_ahead(self._opened, self._source, self._jobs(), 4)):
                row = self._row(job.key, result)
                rows += read_failures.admit(job.open, result.problem, row, was_read=bool(result.photo_md5))
                if len(rows) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                    self._apply(rows)
                    rows, flushed = [], time.monotonic()
        except (Cancelled, Interrupted):  # asked for while a decoder was busy with one file
            unwritten, rows = rows, []
            self._apply(unwritten)
            raise
        self._apply([*rows, *read_failures.flush()])

    def _jobs(self) -> Iterator[Job]:
        beside_of: dict[str, dict[str, tuple[dict[str, str], int]]] = {}
        while claimed := self._claim():
            for photo in claimed:
                if self._is_over():
                    return
                if photo.directory not in beside_of:
                    if len(beside_of) > MOST_KEPT_FOLDERS:
                        beside_of.clear()
                    beside_of[photo.directory] = self._sidecars_in(photo.directory)
                names, newest_ns = beside_of[photo.directory].get(photo.filename, ({}, 0))
                prefix = f"{photo.directory}/" if photo.directory else ""
                yield job_for(
                    self._source,
                    self._zone,
                    photo.path,
                    _Reading(photo, time.time_ns(), newest_ns),
                    (photo.size_bytes, photo.mtime_ns),
                    sidecars={kind: prefix + name for kind, name in names.items()},
                    sidecar_first=self._library.ratings == Library.Ratings.SIDECAR,
                )

    def _sidecars_in(self, path: str) -> dict[str, tuple[dict[str, str], int]]:
        """Return the sidecars of each photo of a folder, by kind, and when the newest of them was written (ns)."""
        directory = self._source.list_directory(path)
        sidecars: dict[str, dict[str, str]] = {}
        photos_in(directory, sidecars)
        if not sidecars:
            return {}
        times = {name: mtime_ns for name, _, mtime_ns in directory.files}
        return {name: (beside, max(times[n] for n in beside.values())) for name, beside in sidecars.items()}

    def _row(self, reading: _Reading, result: DigestResult) -> Row:
        row = digested_row(reading.photo, result)
        written = (row["mtime_ns"], reading.newest_sidecar_ns)
        if row["photo_md5"] and any(is_racy(mtime_ns, reading.began_ns) for mtime_ns in written):
            row["sidecars"] = doubted(row["sidecars"])
        with tree.writing():
            if row["has_thumbnail"] and result.thumbnail:
                write = tree.write_makeshift if result.is_makeshift else tree.write_thumbnail
                write(row["photo_md5"], result.thumbnail, self._library.source)
            if row["metadata_body"]:
                tree.write_metadata(row["photo_md5"], row["metadata_body"], self._library.source)
        return row
