"""Rebuild a library's catalog from its files: a complete new snapshot beside the old catalog, and only then the switch.

Phase 1 reads every file, as if the catalog knew nothing, into a work file; the rows, the snapshots and the pointers stay
untouched, and a kill costs a batch. Phase 2 publishes what the rows say now as the backup, and switches to the new
snapshot in one transaction (`history.restore.switch_to`), after which the pointer moves. `restore` is the same switch backwards.
"""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from accounts.models import User
from catalog.cache.rebuild_folders import remove_abandoned_work, work_folder
from catalog.cache.working import working_folder
from catalog.entries import read_here
from catalog.entries import taken as entries_taken
from catalog.entries.columns import digest_columns, size_and_time, survey_columns
from catalog.entries.decoders import scan_decoders
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for, opened_ahead, photos_in
from catalog.entries.last_read import rating_in
from catalog.entries.listing import LONGEST_PATH_BYTES, Entry, is_racy
from catalog.entries.read_failures import ReadFailures, can_read_known
from catalog.entries.taken import BY_A_PERSON
from catalog.history import publish
from catalog.history import rows as history_rows
from catalog.history.copies import root_md5
from catalog.history.restore import require_root, switch_to
from catalog.identity.aliases import alias_rows
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import HashCache, Library, Photo
from catalog.models.photo import photo_id
from catalog.roots import guard
from catalog.roots.library_operations import library_operation
from catalog.roots.locations import best_snapshot
from catalog.roots.reach import held_source
from catalog.scanning.plan import too_many_gone
from catalog.scanning.rebuild_work import (
    MISSING,
    PRESENT,
    REMEMBERED,
    Known,
    RebuildWork,
    own_work,
    remove_own_work,
    remove_work,
)
from catalog.scanning.scan import Scan
from catalog.snapshots.given import Given, Marked, given_row, marked_row
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import EntryRow, SnapshotHeader, SnapshotUnusable, snapshot_name
from catalog.snapshots.write import write_snapshot
from catalog.sources.base import Directory, Source, SourceUnavailable
from operations.models import Operation
from operations.passing import is_passing
from operations.running import LeaseLost, OperationFailed, Run, start
from photolala.lib.paths import join_path

logger = logging.getLogger(__name__)
KIND = "rebuild"
_FOLDER_NAMES = 400


def start_rebuild(library: Library, user: User, *, full: bool = False, enqueue: bool = True) -> Operation:
    """Start rebuilding the catalog; `full` reads every file anew, else known hashes spare unchanged files a second reading.

    Raises AlreadyActive while the library is scanned, restored or rebuilt.
    """
    params = {"library": str(library.pk), "full": full}
    key = library.scan_key
    return start(KIND, user, subject=library.name, active_key=key, params=params, unit="files", enqueue=enqueue)


@library_operation(
    KIND, label="Rebuild of the catalog", queue="scan", when_gone="there is nothing to rebuild", keeps_work=True
)
def run_rebuild(run: Run, library: Library) -> dict[str, Any]:
    """Rebuild the library that `run.params` names. Safe to run again, wherever it ended."""
    remove_abandoned_work()
    folder = work_folder(run.operation.pk)
    folder.mkdir(parents=True, exist_ok=True)
    own = own_work(folder, run.token, anew=bool(run.params.get("start_over")))
    if run.params.get("start_over"):
        run.forget_param("start_over")
    with ExitStack() as stack:
        source = stack.enter_context(held_source(library))
        try:
            result = Rebuild(run, library, source, own).run_all()
        except SourceUnavailable as error:
            raise OperationFailed(f"{error} The catalog is as it was.", "root_unavailable") from None
        except LeaseLost:
            remove_own_work(own)  # a later claim has its own, and may be done by now
            raise
    remove_work(folder, run.token)
    with suppress(OSError):  # a later claim works there
        folder.rmdir()
    return result


class Rebuild:
    """One run of a rebuild."""

    def __init__(self, run: Run, library: Library, source: Source, work_file: Path) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.work_file = work_file
        self.counts = {"read": 0, "cached": 0}
        self.incomplete: list[str] = []

    def run_all(self) -> dict[str, Any]:
        """Read, write the new snapshot, back up, switch, and let a scan see to thumbnails; return what was done."""
        started = time.monotonic()
        self.run.phase("Looking through the folders", unit="files")
        self.source.check()
        confirmed = bool(self.run.params.get("confirm_gone"))
        guard.check_root_is_the_same(self.library, confirmed=confirmed)
        if confirmed:  # a person's word that this is the right folder, though the pointer is gone from it
            guard.forget_pointer_if_gone(self.library)
        read_here.mark_those_known(self.library, self.run)
        with closing(RebuildWork(self.work_file)) as work:
            self._read_all(work)
            self._require_whole(work)
            with self._latest() as latest:
                recognised = work.identify(self._known(latest), _given(latest))
            self._ask_about_gone(recognised.get(PRESENT, 0), confirmed=confirmed)
            self._ask_about_broken(work.count_broken(), confirmed=confirmed)
            work.name_new(lambda path, head, size: str(photo_id(self.library.pk, path, f"{head}:{size}")))
            self.run.phase("Writing the new catalog", work.count(), unit="entries")
            header = SnapshotHeader(str(self.library.pk))
            rows = (work.entries(), work.bodies(), history_rows.star_rows(self.library), alias_rows(self.library))
            with (
                working_folder(f"rebuild-switch-{self.run.token}") as folder,
                write_snapshot(folder, header, *rows, marks=self._marks(work)) as written,
            ):
                backup = self._back_up()
                switched = self._switch(written.path, written.md5)
        seconds = time.monotonic() - started
        scanned = Scan(self.run, Library.objects.get(pk=self.library.pk), self.source).run_all()
        return {
            **scanned,
            **{name: switched[name] for name in ("added", "changed", "gone")},
            "recognised": sum(recognised.values()),
            "read": self.counts["read"],
            "cache_hits": self.counts["cached"],
            "cache_misses": self.counts["read"],
            "rebuilt_md5": switched["snapshot_md5"],
            "backup_md5": backup,
            "rebuild_seconds": round(seconds, 3),
        }

    # -- phase 1 ------------------------------------------------------------------------------------------------------

    def _read_all(self, work: RebuildWork) -> None:
        """Read every file that the work file lacks: the heads of those whose hashes are known, the others whole."""
        self.run.phase("Reading all files", unit="files")
        with ExitStack() as opened, scan_decoders() as pool:
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            if not self.run.params.get("full") and not self.source.is_far:
                self._keep(work, self._recognised(pool, work))
            jobs = opened_ahead(opened, self.source, self._jobs(work), 4)
            self._keep(work, self._digested(pool, jobs))

    def _keep(self, work: RebuildWork, found: Iterator[tuple[EntryRow, str, tuple[str, str] | None]]) -> None:
        rows: list[tuple[EntryRow, str]] = []
        bodies: list[tuple[str, str]] = []
        flushed = time.monotonic()
        for row, sidecars, body in found:
            rows.append((row, sidecars))
            if body:
                bodies.append(body)
            self.run.advance()
            if len(rows) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                work.add(rows, bodies)
                rows, bodies, flushed = [], [], time.monotonic()
                self.run.checkpoint()
        work.add(rows, bodies)
        self.run.checkpoint()

    def _digested(
        self, pool: DecoderPool, jobs: Iterator[Job]
    ) -> Iterator[tuple[EntryRow, str, tuple[str, str] | None]]:
        """Yield the rows of files that are read whole. Raises SourceUnavailable if the source fails, not the files."""
        read_failures = ReadFailures(self._require_source, partial(can_read_known, self.library, self.source))
        for job, result in pool.facts(jobs):
            place, entry = job.key
            self.counts["read"] += 1
            columns = digest_columns(result)
            known = self._own_bodies([result.photo_md5]).get(result.photo_md5, "") if result.photo_md5 else ""
            columns |= _size_in(known)
            facts = size_and_time(result, entry[:2]) if result.photo_md5 else None
            row = _entry_row(place, entry, facts, columns, result.head_md5, result.photo_md5)
            told = known or result.metadata_body
            body = (result.photo_md5, told) if result.photo_md5 and told else None
            kept: Any = {"row": row, "sidecars": entry[2] if result.photo_md5 else "", "body": body}
            for one in read_failures.admit(job.open, result.problem, kept, was_read=bool(result.photo_md5)):
                yield one["row"], one["sidecars"], one["body"]
        for one in read_failures.flush():
            yield one["row"], one["sidecars"], one["body"]

    def _recognised(
        self, pool: DecoderPool, work: RebuildWork
    ) -> Iterator[tuple[EntryRow, str, tuple[str, str] | None]]:
        """Yield the rows of files whose size, time and head are those of a known hash; what differs is left to be read."""
        for job, result in pool.survey(self._jobs(work, only_cached=True)):
            place, entry, cached, body = job.key
            if result.problem or result.head_md5 != cached.head_md5 or result.size_bytes != cached.size_bytes:
                continue
            self.counts["cached"] += 1
            columns = {**survey_columns(result), **_size_in(body), "rating": rating_in(body)}
            row = _entry_row(place, entry, None, columns, cached.head_md5, cached.photo_md5)
            yield row, entry[2], (cached.photo_md5, body)

    def _jobs(self, work: RebuildWork, *, only_cached: bool = False) -> Iterator[Job]:
        """Yield the files that the work file lacks; with `only_cached` those whose hashes and metadata the cache has."""
        for directory in self.source.walk():
            if not directory.is_complete and not only_cached:
                self.incomplete += [f"{problem.path}: {problem.reason}" for problem in directory.problems][:5]
            sidecars: dict[str, dict[str, str]] = {}
            found = self._listed(directory, sidecars)
            for first in range(0, len(found), _FOLDER_NAMES):
                paths = {directory.path_of(name): name for name in list(found)[first : first + _FOLDER_NAMES]}
                work.see(paths)
                read = work.known_in(list(paths))
                left = {
                    path: name
                    for path, name in paths.items()
                    if read.get(path) != found[name] or is_racy(found[name][1], time.time_ns())
                }
                cached = self._cached(left, found, sidecars) if only_cached else {}
                for path, name in left.items():
                    key: tuple[Any, ...] = ((directory.path, name), found[name])
                    if only_cached and path not in cached:
                        continue
                    yield self._job(directory, name, (*key, *cached.get(path, ())), sidecars.get(name, {}))
            self.run.checkpoint(force=False, is_lasting=False)

    def _cached(
        self, paths: dict[str, str], found: dict[str, Entry], sidecars: dict[str, dict[str, str]]
    ) -> dict[str, tuple[HashCache, str]]:
        """Return the hash and the metadata JSON of those paths that are known for this very size and time."""
        rows = HashCache.objects.filter(
            library=self.library, path__in=[p for p, n in paths.items() if n not in sidecars]
        )
        known = []
        for row in rows:
            size, mtime, _ = found[paths[row.path]]
            if (row.size_bytes, row.mtime_ns) == (size, mtime) and not is_racy(mtime, time.time_ns()):
                known.append(row)
        bodies = self._own_bodies([row.photo_md5 for row in known])
        return {row.path: (row, bodies[row.photo_md5]) for row in known if row.photo_md5 in bodies}

    def _own_bodies(self, photo_md5s: list[str]) -> dict[str, str]:
        """Return what decoders said of some contents to this library: what the cache has may be of others' photos.

        What cannot be read, or is of another content, is left out: then the file tells.
        """
        bodies: dict[str, str] = {}
        with suppress(DatabaseError):
            bodies = read_here.of_decoders(self.library, photo_md5s)
        return {md5: body for md5, body in bodies.items() if _is_of(body, md5)}

    def _listed(self, directory: Directory, sidecars: dict[str, dict[str, str]]) -> dict[str, Entry]:
        found = photos_in(directory, sidecars)
        return {n: entry for n, entry in found.items() if len(directory.path_of(n).encode()) <= LONGEST_PATH_BYTES}

    def _job(self, directory: Directory, name: str, key: tuple[Any, ...], beside: dict[str, str]) -> Job:
        return job_for(
            self.source,
            self.library.time_zone,
            directory.path_of(name),
            key,
            key[1][:2],
            sidecars={kind: directory.path_of(other) for kind, other in beside.items()},
            sidecar_first=self.library.ratings == Library.Ratings.SIDECAR,
        )

    def _require_source(self) -> None:
        self.source.check()
        guard.check_pointer_is_there(self.library)

    def _require_whole(self, work: RebuildWork) -> None:
        """Raise OperationFailed if a folder could not be read: a catalog without it would be no rebuild but a loss."""
        if self.incomplete:
            raise OperationFailed(
                f"Not every folder could be read ({'; '.join(self.incomplete[:3])}). The catalog is as it was; what was read is "
                "kept. Fix it, then retry.",
                "incomplete",
            )
        work.forget_unseen()
        known = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING).count()
        if known and not work.count():
            self._require_source()
            raise OperationFailed(
                f"There is no photo in {self.library.root}, though the catalog knows {known:,}. Is its disk or share "
                "mounted? The catalog is as it was.",
                "root_empty",
            )

    def _ask_about_gone(self, recognised: int, *, confirmed: bool) -> None:
        """Stop and ask a person if so much is gone that a part of the disk may not be mounted, as a scan would."""
        known = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING).count()
        gone = known - recognised
        if confirmed or not too_many_gone(gone, known):
            return
        raise OperationFailed(
            f"{gone:,} of {known:,} photos are gone from {self.library.root}. That is more than a fifth, so the catalog is as it "
            "was: perhaps a disk is not mounted. If they were really taken away, confirm it, and they are marked as missing.",
            "confirm_gone",
            gone=gone,
            known=known,
        )

    def _ask_about_broken(self, broken: int, *, confirmed: bool) -> None:
        """Stop and ask a person if so many photos that were read once cannot be read now that it is hardly their fault."""
        known = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING).count()
        if confirmed or not too_many_gone(broken, known):
            return
        raise OperationFailed(
            f"{broken:,} of {known:,} photos in {self.library.root} could be read once, and cannot be read now. That is more "
            "than a fifth, so the catalog is as it was: perhaps Photolala has no right to read them any more, or the disk or "
            "server fails. Resume this when they can be read; if they really are broken, confirm it.",
            "confirm_gone",
            broken=broken,
            known=known,
        )

    # -- who is who ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _latest(self) -> Iterator[Snapshot | None]:
        """Open the latest snapshot of this library that can be used; None if there is none."""
        with working_folder("rebuild-known") as folder:
            snapshot = best_snapshot(self.library, root_md5(self.library), folder).snapshot
            if snapshot is None:
                yield None
                return
            with closing(snapshot):
                yield snapshot if snapshot.header.library_id == str(self.library.pk) else None

    def _known(self, latest: Snapshot | None) -> Iterator[Known]:
        """Yield the photos that the rows know, then those that only the latest snapshot knows."""
        columns = ("pk", "directory", "filename", "photo_md5", "rating", "rating_held", "state")
        columns += ("taken_held", "taken_local", "taken_offset_minutes")
        photos = Photo.objects.filter(library=self.library).order_by("pk").values_list(*columns)
        for key, directory, filename, md5, rating, is_held, state, *taken in photos.iterator(chunk_size=2000):
            path = join_path(directory, filename)
            rank = MISSING if state == Photo.State.MISSING else PRESENT
            taken_at = entries_taken.taken_text(taken[1], taken[2]) if taken[0] else None
            yield str(key), path, md5, (rating or 0) if is_held else None, taken_at, rank
        if latest is None:
            return
        is_only_place = latest.marked() is None and not self.library.writes_ratings
        with suppress(SnapshotUnusable):
            for entry in latest.entries():
                key = _uuid_text(entry.photo_id)
                rating = entry.rating if is_only_place else None
                taken_at = entry.taken_at if entry.taken_at_source == BY_A_PERSON else None
                if key:
                    yield key, entry.path, entry.photo_md5 or "", rating, taken_at, REMEMBERED

    def _marks(self, work: RebuildWork) -> Iterator[tuple[str, str]]:
        yield marked_row(Marked(str(self.library.pk), self.library.ratings))
        yield from map(given_row, work.given())

    # -- phase 2 ------------------------------------------------------------------------------------------------------

    def _back_up(self) -> str:
        """Publish what the rows say as a snapshot, unless the latest one says it; return its MD5.

        Rows that cannot be read any more are the reason for a rebuild, and no hindrance.
        """
        require_root(self.library)
        if not Photo.objects.filter(library=self.library).exists():
            return self.library.snapshot_md5
        try:
            return publish.publish_if_due(self.library, self.source, self.run)
        except (DatabaseError, ValueError, SnapshotUnusable) as error:
            if is_passing(error):
                raise
            logger.warning("Library %s: its rows could not be backed up: %s", self.library.pk, error)
            return self.library.snapshot_md5

    def _switch(self, written_path: str, md5: str) -> dict[str, Any]:
        with working_folder(f"rebuild-switch-{self.run.token}") as folder:
            target = folder / snapshot_name(md5)
            shutil.copyfile(written_path, target)
            with closing(open_snapshot(target, md5)) as snapshot:
                return switch_to(Library.objects.get(pk=self.library.pk), snapshot, folder, self.run, is_fresh=True)


def _given(latest: Snapshot | None) -> Iterator[Given]:
    with suppress(SnapshotUnusable):
        yield from latest.given() if latest else ()


def _entry_row(
    place: tuple[str, str],
    entry: Entry,
    facts: dict[str, int] | None,
    columns: dict[str, Any],
    head_md5: str,
    photo_md5: str,
) -> EntryRow:
    """Return a snapshot's row, without an id yet; `facts` are size and time of the file that was read, if they were told."""
    return EntryRow(
        path=join_path(*place),
        filename=place[1],
        size_bytes=facts["size_bytes"] if facts else entry[0],
        mtime_ns=facts["mtime_ns"] if facts else entry[1],
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


def _uuid_text(text: str | None) -> str:
    with suppress(ValueError):
        return str(UUID(text)) if text else ""
    return ""
