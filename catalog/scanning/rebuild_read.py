"""The first phase of a rebuild: read every file as if the catalog knew nothing, into the work file."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NamedTuple

from django.db import DatabaseError

from catalog.entries import read_here
from catalog.entries import taken as entries_taken
from catalog.entries.columns import digest_columns, size_and_time, survey_columns
from catalog.entries.decoders import scan_decoders
from catalog.entries.folder_comparison import LONGEST_PATH_BYTES, Entry, is_racy
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for, opened_ahead, photos_in
from catalog.entries.last_read import rating_in
from catalog.entries.read_failures import ReadFailures, can_read_known
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import HashCache, Library, Photo
from catalog.roots import root_check
from catalog.scanning.digest import AHEAD
from catalog.scanning.rebuild_work import Body, ReadEntry, RebuildWork
from catalog.snapshots.schema import EntryRow
from catalog.sources.base import Directory, Source
from operations.running import Run
from photolala.lib.paths import join_path

_FOLDER_NAMES = 400


class _File(NamedTuple):
    """A file to be read; `known` is what the cache has of it, if its size and time are those of a known hash."""

    place: tuple[str, str]
    entry: Entry
    known: "_KnownHash | None"


class _KnownHash(NamedTuple):
    hashes: HashCache
    body: str


class RebuildReader:
    """Reads the files of a library into a work file."""

    def __init__(self, run: Run, library: Library, source: Source, work: RebuildWork) -> None:
        self._run = run
        self._library = library
        self._source = source
        self._work = work
        self.read = 0
        """How many files were read whole."""
        self.cached = 0
        """Of how many files only the head was read, because their hash and metadata were known."""
        self.incomplete: list[str] = []
        """Why folders could not be listed whole."""

    def read_all(self) -> None:
        """Read every file that the work file lacks: the heads of those whose hashes are known, the others whole."""
        known = Photo.objects.filter(library=self._library).exclude(state=Photo.State.MISSING).count()
        left = known - self._work.count()  # about: what the folders hold is known when they have been read
        self._run.phase("Reading all files", left if left > 0 else None, unit="files")
        with ExitStack() as opened, scan_decoders() as pool:
            pool.tick = partial(self._run.checkpoint, force=False, is_lasting=False)
            if not self._run.params.get("full") and not self._source.is_far:
                self._keep(self._recognised(pool))
            self._keep(self._digested(pool, opened_ahead(opened, self._source, self._jobs(), AHEAD)))

    def require_source(self) -> None:
        """Raise SourceUnavailable if the root cannot be listed, or its pointer is gone."""
        self._source.check()
        root_check.check_pointer_is_there(self._library)

    def _keep(self, found: Iterator[ReadEntry]) -> None:
        """Write what was read in batches: a kill costs one of them."""
        batch: list[ReadEntry] = []
        flushed = time.monotonic()
        for read in found:
            batch.append(read)
            self._run.advance()
            if len(batch) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                self._work.add(batch)
                batch, flushed = [], time.monotonic()
                self._run.checkpoint()
        self._work.add(batch)
        self._run.checkpoint()

    def _digested(self, pool: DecoderPool, jobs: Iterator[Job]) -> Iterator[ReadEntry]:
        """Yield the entries of files that are read whole. Raises SourceUnavailable if the source fails, not the files."""
        read_failures = ReadFailures(self.require_source, partial(can_read_known, self._library, self._source))
        for job, result in pool.facts(jobs):
            file: _File = job.key
            self.read += 1
            columns = digest_columns(result)
            known = self._own_bodies([result.photo_md5]).get(result.photo_md5, "") if result.photo_md5 else ""
            columns |= _size_in(known)
            facts = size_and_time(result, file.entry[:2]) if result.photo_md5 else None
            row = _entry_row(file, facts, columns, result.head_md5, result.photo_md5)
            told = known or result.metadata_body
            body = Body(result.photo_md5, told) if result.photo_md5 and told else None
            read = ReadEntry(row, file.entry[2] if result.photo_md5 else "", body)
            for one in read_failures.admit(job.open, result.problem, {"read": read}, was_read=bool(result.photo_md5)):
                yield one["read"]
        for one in read_failures.flush():
            yield one["read"]

    def _recognised(self, pool: DecoderPool) -> Iterator[ReadEntry]:
        """Yield the entries of files whose size, time and head are those of a known hash; others are left to be read."""
        for job, result in pool.survey(self._jobs(only_cached=True)):
            file: _File = job.key
            if file.known is None:
                continue
            hashes, body = file.known
            if result.problem or result.head_md5 != hashes.head_md5 or result.size_bytes != hashes.size_bytes:
                continue
            self.cached += 1
            columns = {**survey_columns(result), **_size_in(body), "rating": rating_in(body)}
            row = _entry_row(file, None, columns, hashes.head_md5, hashes.photo_md5)
            yield ReadEntry(row, file.entry[2], Body(hashes.photo_md5, body))

    def _jobs(self, *, only_cached: bool = False) -> Iterator[Job]:
        """Yield the files that the work file lacks; with `only_cached` those whose hashes and metadata the cache has."""
        for directory in self._source.walk():
            if not directory.is_complete and not only_cached:
                self.incomplete += [f"{problem.path}: {problem.reason}" for problem in directory.problems][:5]
            sidecars: dict[str, dict[str, str]] = {}
            found = self._listed(directory, sidecars)
            for first in range(0, len(found), _FOLDER_NAMES):
                paths = {directory.path_of(name): name for name in list(found)[first : first + _FOLDER_NAMES]}
                self._work.see(paths)
                read = self._work.known_in(list(paths))
                left = {
                    path: name
                    for path, name in paths.items()
                    if read.get(path) != found[name] or is_racy(found[name][1], time.time_ns())
                }
                cached = self._cached(left, found, sidecars) if only_cached else {}
                for path, name in left.items():
                    if only_cached and path not in cached:
                        continue
                    file = _File((directory.path, name), found[name], cached.get(path))
                    yield self._job(directory, file, sidecars.get(name, {}))
            self._run.checkpoint(force=False, is_lasting=False)

    def _cached(
        self, paths: dict[str, str], found: dict[str, Entry], sidecars: dict[str, dict[str, str]]
    ) -> dict[str, _KnownHash]:
        """Return the hash and the metadata JSON of those paths that are known for this very size and time."""
        rows = HashCache.objects.filter(
            library=self._library, path__in=[p for p, n in paths.items() if n not in sidecars]
        )
        known = []
        for row in rows:
            size, mtime, _ = found[paths[row.path]]
            if (row.size_bytes, row.mtime_ns) == (size, mtime) and not is_racy(mtime, time.time_ns()):
                known.append(row)
        bodies = self._own_bodies([row.photo_md5 for row in known])
        return {row.path: _KnownHash(row, bodies[row.photo_md5]) for row in known if row.photo_md5 in bodies}

    def _own_bodies(self, photo_md5s: list[str]) -> dict[str, str]:
        """Return what decoders said of some contents to this library: what the cache has may be of others' photos.

        What cannot be read, or is of another content, is left out: then the file tells.
        """
        bodies: dict[str, str] = {}
        with suppress(DatabaseError):
            bodies = read_here.of_decoders(self._library, photo_md5s)
        return {md5: body for md5, body in bodies.items() if _is_of(body, md5)}

    def _listed(self, directory: Directory, sidecars: dict[str, dict[str, str]]) -> dict[str, Entry]:
        found = photos_in(directory, sidecars)
        return {n: entry for n, entry in found.items() if len(directory.path_of(n).encode()) <= LONGEST_PATH_BYTES}

    def _job(self, directory: Directory, file: _File, beside: dict[str, str]) -> Job:
        return job_for(
            self._source,
            self._library.time_zone,
            directory.path_of(file.place[1]),
            file,
            file.entry[:2],
            sidecars={kind: directory.path_of(other) for kind, other in beside.items()},
            sidecar_first=self._library.ratings == Library.Ratings.SIDECAR,
        )


def _entry_row(
    file: _File,
    facts: dict[str, int] | None,
    columns: dict[str, Any],
    head_md5: str,
    photo_md5: str,
) -> EntryRow:
    """Return a snapshot's row, without an id yet; `facts` are size and time of the file that was read, if they were told."""
    return EntryRow(
        path=join_path(*file.place),
        filename=file.place[1],
        size_bytes=facts["size_bytes"] if facts else file.entry[0],
        mtime_ns=facts["mtime_ns"] if facts else file.entry[1],
        head_md5=head_md5 or None,
        photo_md5=photo_md5 or None,
        media_type=columns["media_type"] or None,
        width=columns["width"],
        height=columns["height"],
        orientation=columns["orientation"],
        taken_at=_taken(columns),
        taken_at_source=columns["taken_source"] or None,
        duration_ms=columns["duration_ms"],
        rating=columns["rating"],
        photo_id=None,
    )


def _taken(columns: dict[str, Any]) -> str | None:
    if not columns["taken_source"]:
        return None
    return entries_taken.taken_text(columns["taken_local"], columns["taken_offset_minutes"])


def _is_of(body: str, photo_md5: str) -> bool:
    with suppress(ValueError, AttributeError, RecursionError):
        return bool(json.loads(body).get("photoMD5") == photo_md5)
    return False


def _size_in(body: str) -> dict[str, int]:
    """Return width and height from the metadata JSON of the same content: who drew the picture knows better than a header."""
    told = json.loads(body) if body else {}
    size = {name: value for name in ("width", "height") if type(value := told.get(name)) is int and 0 < value < 2**31}
    return size if len(size) == 2 else {}
