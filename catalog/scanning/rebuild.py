"""Rebuild a library's catalog from its files: a complete new snapshot beside the old catalog, and only then the switch.

Phase 1 reads every file, as if the catalog knew nothing, into a work file; the rows, the snapshots and the pointers stay
untouched, and a kill costs a batch. Phase 2 publishes what the rows say now as the backup, and switches to the new
snapshot in one transaction (`history.switch.switch_to`), after which the pointer moves. `restore` is the same switch backwards.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from accounts.models import User
from catalog.cache.rebuild_folders import remove_abandoned_work, work_folder
from catalog.cache.working import working_folder
from catalog.entries import read_here
from catalog.entries import taken as entries_taken
from catalog.entries.taken import BY_A_PERSON
from catalog.history import publish
from catalog.history import rows as history_rows
from catalog.history.copies import root_md5
from catalog.history.switch import require_root, switch_to
from catalog.identity.aliases import alias_rows
from catalog.models import Library, Photo
from catalog.models.photo import photo_id
from catalog.roots import root_check
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import held_source
from catalog.roots.snapshot_locations import best_snapshot
from catalog.scanning.plan import too_many_gone
from catalog.scanning.rebuild_read import RebuildReader
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
from catalog.snapshots.given import Given, Marked, given_row, marked_row, value_text
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import SnapshotHeader, SnapshotUnusable, snapshot_name
from catalog.snapshots.write import write_snapshot
from catalog.sources.base import Source, SourceUnavailable
from operations.database_conflicts import is_transient
from operations.models import Operation
from operations.running import LeaseLost, OperationFailed, Run, start
from photolala.lib.paths import join_path

logger = logging.getLogger(__name__)
KIND = "rebuild"


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

    def run_all(self) -> dict[str, Any]:
        """Read, write the new snapshot, back up, switch, and let a scan see to thumbnails; return what was done."""
        started = time.monotonic()
        self.run.phase("Looking through the folders", unit="files")
        self.source.check()
        confirmed = bool(self.run.params.get("confirm_gone"))
        root_check.check_root_is_the_same(self.library, confirmed=confirmed)
        if confirmed:  # by a person: it is the right folder, though the pointer is gone from it
            root_check.forget_pointer_if_gone(self.library)
        read_here.mark_those_known(self.library, self.run)
        with closing(RebuildWork(self.work_file)) as work:
            reader = RebuildReader(self.run, self.library, self.source, work)
            reader.read_all()
            self._require_whole(work, reader)
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
            "read": reader.read,
            "cache_hits": reader.cached,
            "cache_misses": reader.read,
            "rebuilt_md5": switched["snapshot_md5"],
            "backup_md5": backup,
            "rebuild_seconds": round(seconds, 3),
        }

    # -- what a person has to confirm -------------------------------------------------------------------------------------

    def _require_whole(self, work: RebuildWork, reader: RebuildReader) -> None:
        """Raise OperationFailed if a folder could not be read: a catalog without it would be no rebuild but a loss."""
        if reader.incomplete:
            raise OperationFailed(
                f"Not every folder could be read ({'; '.join(reader.incomplete[:3])}). The catalog is as it was; what was "
                "read is kept. Fix it, then retry.",
                "incomplete",
            )
        work.forget_unseen()
        known = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING).count()
        if known and not work.count():
            reader.require_source()
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
        columns += ("caption_held", "caption", "keywords_held", "keywords", "place_held", "latitude", "longitude")
        columns += ("taken_held", "taken_local", "taken_offset_minutes")
        photos = Photo.objects.filter(library=self.library).order_by("pk").values_list(*columns)
        for key, directory, filename, md5, rating, is_held, state, *more in photos.iterator(chunk_size=2000):
            has_caption, caption, has_keywords, keywords, has_place, latitude, longitude, *taken = more
            place = history_rows.place_text(latitude, longitude) if has_place else None
            path = join_path(directory, filename)
            rank = MISSING if state == Photo.State.MISSING else PRESENT
            taken_at = entries_taken.taken_text(taken[1], taken[2]) if taken[0] else None
            told = (caption if has_caption else None, value_text(keywords) if has_keywords else None, place, rank)
            yield Known(str(key), path, md5, (rating or 0) if is_held else None, taken_at, *told)
        if latest is None:
            return
        is_only_place = latest.marked() is None and not self.library.writes_ratings
        with suppress(SnapshotUnusable):
            for entry in latest.entries():
                key = _uuid_text(entry.photo_id)
                rating = entry.rating if is_only_place else None
                taken_at = entry.taken_at if entry.taken_at_source == BY_A_PERSON else None
                if key:
                    yield Known(key, entry.path, entry.photo_md5 or "", rating, taken_at, None, None, None, REMEMBERED)

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
            if is_transient(error):
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


def _uuid_text(text: str | None) -> str:
    with suppress(ValueError):
        return str(UUID(text)) if text else ""
    return ""
