"""Digest claimed photos: read each file once, write its cache objects, hand the rows over in batches."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from catalog.cache import tree
from catalog.entries.columns import digested_row
from catalog.entries.folder_comparison import doubted, is_racy
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for, photos_in
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.task import Job
from catalog.scanning.opened_root import OpenedRoot
from operations.running import Cancelled, Interrupted

MOST_KEPT_FOLDERS = 64
AHEAD = 4
"""Whole files of a far source that are opened ahead."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A photo whose file is being read since `began_ns`; 0 is the time of a sidecar that is not there."""

    photo: Claimed
    began_ns: int
    newest_sidecar_ns: int


class _Beside(NamedTuple):
    """The sidecars of a photo: their file names by kind, and when the newest of them was written (ns; 0 without any)."""

    names: dict[str, str]
    newest_ns: int


_NOTHING = _Beside({}, 0)


class Share(Protocol):
    """One worker's share of the photos that lack their digest: how it gets them, and where it writes what they are."""

    def claim(self) -> list[Claimed]:
        """Return the next photos to read, none when nothing is left."""
        ...

    def apply(self, rows: list[Row]) -> None:
        """Write the rows of photos that were read (possibly none). May raise to end the work."""
        ...

    def is_over(self) -> bool:
        """True to end between two files; what was claimed and not read is for the caller to give back."""
        ...


class Digesting:
    """Reads the photos of a share, until it has no more."""

    def __init__(self, root: OpenedRoot, share: Share) -> None:
        self._root = root
        self._library = root.library
        self._share = share

    def run(self, pool: DecoderPool) -> None:
        """Digest until nothing can be claimed. Raises SourceUnavailable if the source fails, not the files."""
        read_failures = self._root.read_failures()
        rows: list[Row] = []
        flushed = time.monotonic()
        try:
            for job, result in pool.digest(self._root.opened_ahead(self._jobs(), AHEAD)):
                row = self._row(job.key, result)
                rows += read_failures.admit(job.open, result.problem, row, was_read=bool(result.photo_md5))
                if len(rows) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                    self._share.apply(rows)
                    rows, flushed = [], time.monotonic()
        except (Cancelled, Interrupted):  # asked for while a decoder was busy with one file
            unwritten, rows = rows, []
            self._share.apply(unwritten)
            raise
        self._share.apply([*rows, *read_failures.flush()])

    def _jobs(self) -> Iterator[Job]:
        beside_of: dict[str, dict[str, _Beside]] = {}
        while claimed := self._share.claim():
            for photo in claimed:
                if self._share.is_over():
                    return
                if photo.directory not in beside_of:
                    if len(beside_of) > MOST_KEPT_FOLDERS:
                        beside_of.clear()
                    beside_of[photo.directory] = self._sidecars_in(photo.directory)
                beside = beside_of[photo.directory].get(photo.filename, _NOTHING)
                prefix = f"{photo.directory}/" if photo.directory else ""
                yield job_for(
                    self._root.source,
                    self._root.zone,
                    photo.path,
                    _Reading(photo, time.time_ns(), beside.newest_ns),
                    (photo.size_bytes, photo.mtime_ns),
                    sidecars={kind: prefix + name for kind, name in beside.names.items()},
                    sidecar_first=self._library.ratings == self._library.Ratings.SIDECAR,
                )

    def _sidecars_in(self, path: str) -> dict[str, _Beside]:
        """Return the sidecars of each photo of a folder that has any, by the photo's file name."""
        directory = self._root.source.list_directory(path)
        sidecars: dict[str, dict[str, str]] = {}
        photos_in(directory, sidecars)
        if not sidecars:
            return {}
        times = {name: mtime_ns for name, _, mtime_ns in directory.files}
        return {name: _Beside(names, max(times[n] for n in names.values())) for name, names in sidecars.items()}

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
