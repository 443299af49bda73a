"""One run of a folder export: goes through a library's photos, copies what the destination lacks, and records each."""

import logging
import os
import time
from typing import Any
from uuid import UUID

from django.utils import timezone

from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from catalog.roots.told import told
from catalog.sources.base import Source
from exports.ledger.original_copy import NameTaken
from exports.ledger.placement import recorded_name
from exports.ledger.records import ExportRecord, RecordStatus
from exports.reading.originals import OriginalUnreadable, Problems, SourceGuard, open_original
from operations.running import LeaseLost, OperationFailed, Run

from .companions import COMPANIONS_KEY, FULL, SIGNATURE_KEY, CompanionExport
from .plan import (
    MD5_KEY,
    NOT_COPIED,
    SIZE_KEY,
    Item,
    PhotoRow,
    Planner,
    Target,
    Unplannable,
    is_known_bad,
    photo_rows,
)
from .previews import PREVIEW_KEY, PreviewExport
from .report import ALREADY_THERE, EXPORTED, FAILED, Report, ReportRow

GROUP_FILES = 16
GROUP_BYTES = 64 << 20
MOST_RECORD_PROBLEMS = 20
_IDS_AT_ONCE = 1000
_ROWS_AT_ONCE = 200

logger = logging.getLogger(__name__)


class FolderExport:
    """One run of a folder export, which holds the destination's ledger."""

    def __init__(
        self,
        run: Run,
        library: Library,
        source: Source,
        guard: SourceGuard,
        target: Target,
        report: Report | None = None,
        problems: Problems | None = None,
    ) -> None:
        self._report = report
        self.run = run
        self.library = library
        self.source = source
        self.guard = guard
        self.target = target
        self.ledger = target.ledger
        self.folders = target.folders
        self.planner = Planner(library, target)
        self.problems = Problems() if problems is None else problems
        self._placeless: set[UUID] = set()
        self.companions: CompanionExport | None = None
        if target.destination.with_companions:
            self.companions = CompanionExport(source, target, self.problems, self._require_mine)
        self.previews: PreviewExport | None = None
        if target.destination.preview_px:
            self.previews = PreviewExport(library, source, target, self.problems, self._require_mine)
        self.counts = {"copied": 0, "skipped": 0, "adopted": 0}
        self.size_bytes = 0
        self.clock = time.monotonic()
        for problem in target.ledger.report.problems:
            logger.warning("Records of the destination %s: %s", target.destination.pk, problem)

    def run_all(self, photos: PhotoQuerySet | None = None) -> dict[str, Any]:
        """Go through the library's photos (those among `photos`), newest first, group after group; return the counts."""
        photos = Photo.objects.all() if photos is None else photos
        photos = photos.filter(library=self.library).exclude(state=Photo.State.MISSING)
        self.run.phase("Copying photos", total=photos.count(), unit="photos")
        self.export(photos)
        return self._result()

    def export(self, photos: PhotoQuerySet) -> None:
        """Export what the destination lacks of these photos of the library, none of which is missing, and record it."""
        try:
            self._go_through(photos)
            self._go_through_missed(photos)
        finally:
            if self.previews is not None:
                self.previews.close()
        self.guard.settle()
        self._require_mine()
        self.ledger.flush()

    def _go_through(self, photos: PhotoQuerySet) -> None:
        """Export what the destination lacks of these photos."""
        group: list[Item] = []
        rows: list[PhotoRow] = []
        for row in photo_rows(photos, self.planner.naming):
            rows.append(row)
            item = self._plan(row)
            if item is not None:
                group.append(item)
            else:
                self.run.advance()
                self.run.checkpoint(force=False)
            if self._is_large(group) or self.folders.are_too_many or len(rows) == _ROWS_AT_ONCE:
                self._export(group)
                group = []
                self._export_beside(rows)
                rows = []
                self.folders.trim()
        self._export(group)
        self._export_beside(rows)

    def _export_beside(self, rows: list[PhotoRow]) -> None:
        """Copy what is beside these photos, and put previews there, if the destination is to have it. No photo may be at work."""
        if self.companions is not None:
            self.companions.export(rows)
        if self.previews is not None:
            self.previews.export(rows, lambda: self.run.checkpoint(force=False))

    def _go_through_missed(self, photos: PhotoQuerySet) -> None:
        """Export the photos whose date was edited from what was still to be read to what had been read.

        An export takes as long as the disk needs: one moment of the database for all of it would hold up its cleaning for
        days. By their ids, which never change, no photo is missed, and for nearly all the ledger knows the answer.
        """
        missed: list[UUID] = []
        after: UUID | None = None
        while True:
            rows = photos if after is None else photos.filter(pk__gt=after)
            ids: list[UUID] = list(rows.order_by("pk").values_list("pk", flat=True)[:_IDS_AT_ONCE])
            missed += [one for one in ids if self.ledger.export_info(str(one)) is None and one not in self._placeless]
            if missed and (len(missed) >= _IDS_AT_ONCE or len(ids) < _IDS_AT_ONCE):
                self._go_through(photos.filter(pk__in=missed))
                missed = []
            if len(ids) < _IDS_AT_ONCE:
                return
            after = ids[-1]

    def _result(self) -> dict[str, Any]:
        return {
            "library": str(self.library.pk),
            "operation": str(self.run.operation.pk),
            "destination": self.target.destination.folder,
            **self.counts,
            "companions": self.companions.count if self.companions is not None else 0,
            "previews": self.previews.count if self.previews is not None else 0,
            "failed": self.problems.count,
            "size_bytes": self.size_bytes,
            "seconds": round(time.monotonic() - self.clock, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
            "record_problems": self.ledger.report.problems[:MOST_RECORD_PROBLEMS],
        }

    def _plan(self, row: PhotoRow) -> Item | None:
        """Return what is to be done with a photo; None if nothing is, or nothing can be (which is then recorded)."""
        try:
            item = self.planner.plan(row)
        except Unplannable as reason:
            logger.warning("%s was not exported: %s", row.path, reason)
            self.problems.add(row.path, str(reason))
            self._tell(str(row.id), row.path, FAILED, None, str(reason))
            if reason.place is None:
                self._placeless.add(row.id)
            else:
                self.ledger.mark_failed(str(row.id), self._failure(str(row.id), str(reason)), reason.place)
            return None
        if item is None:
            self.counts["skipped"] += 1
            self._tell_of_skipped(row)
        return item

    def _tell(self, photo_id: str, path: str, result: str, record: ExportRecord | None, reason: str = "") -> None:
        """Add a photo to the report, if one is wished."""
        if self._report is not None:
            exported_as = f"{record.rel_path}{record.filename}" if record is not None else ""
            reason = told(self.library, self.run.owner, reason) if reason else ""
            self._report.add(ReportRow(photo_id, path, result, exported_as, reason))

    def _tell_of_skipped(self, row: PhotoRow) -> None:
        """Tell that the photo is there already, or was exported by this very run before something stopped it."""
        record = self.ledger.export_info(str(row.id))
        began = self.run.operation.created_at.replace(microsecond=0)  # as records tell the time
        is_of_this_run = record is not None and record.export_date is not None and record.export_date >= began
        self._tell(str(row.id), row.path, EXPORTED if is_of_this_run else ALREADY_THERE, record)

    @staticmethod
    def _is_large(group: list[Item]) -> bool:
        return len(group) >= GROUP_FILES or sum(item.original.size_bytes for item in group) >= GROUP_BYTES

    def _export(self, group: list[Item]) -> None:
        """Record that the group begins, copy each, record how each ended: two waits of the ledger for the disk."""
        if not group:
            return
        self._require_mine()
        self.ledger.put_all(self._record(item, RecordStatus.IN_PROGRESS) for item in group if not item.is_copied)
        outcomes: list[ExportRecord] = []
        try:
            for item in group:
                outcomes.append(self._export_one(item))
        finally:
            if self.run.still_mine():  # else the successor finds by the files themselves how far this run came
                self.ledger.put_all(outcomes)
        self.run.advance(len(group))
        self.run.checkpoint()

    def _require_mine(self) -> None:
        """Raise LeaseLost before anything is published for someone else, such as by a run that was frozen and wakes."""
        if not self.run.still_mine():
            raise LeaseLost

    def _export_one(self, item: Item) -> ExportRecord:
        try:
            if item.is_copied:
                self.counts["adopted"] += 1
                md5 = item.original.photo_md5
            else:
                md5 = self._copy(item)
                self.counts["copied"] += 1
                self.size_bytes += item.original.size_bytes
            self.guard.worked()
        except OriginalUnreadable as reason:
            self.guard.failed(reason)
            return self._failed(item, str(reason))
        except OSError as error:
            if error.errno in FULL:
                raise OperationFailed(
                    f"{error} What was exported before is kept and recorded.", "destination"
                ) from error
            self.target.guard.require()
            return self._failed(item, str(error))
        self.folders.remember(item.place.rel_path, recorded_name(item.name))
        record = self._record(item, RecordStatus.DONE, {MD5_KEY: md5, SIZE_KEY: item.original.size_bytes})
        self._tell(item.id, item.original.path, EXPORTED, record)
        return record

    def _copy(self, item: Item) -> str:
        """Copy the file and return its MD5; if somebody took its name meanwhile, under the next free one."""
        descriptor = open_original(self.source, item.original)
        expected = item.original.photo_md5 or None
        try:
            while True:
                try:
                    return item.folder.folder.put(
                        descriptor,
                        item.name,
                        item.mtime_ns,
                        expected_md5=expected,
                        before_publishing=self._require_mine,
                    )
                except NameTaken:
                    item.name = item.folder.claim(item.name)
                    self.ledger.put_all([self._record(item, RecordStatus.IN_PROGRESS)])  # a kill leaves it to be found
        finally:
            os.close(descriptor)

    def _record(
        self, item: Item, status: RecordStatus, extra: dict[str, Any] | None = None, error: str | None = None
    ) -> ExportRecord:
        known = self.ledger.export_info(item.id)
        if status is RecordStatus.IN_PROGRESS and known is not None and is_known_bad(known):
            error = known.last_error
        kept = dict(known.extra) if known else {}
        if known is not None and (known.rel_path, known.filename) != (item.place.rel_path, recorded_name(item.name)):
            kept.pop(COMPANIONS_KEY, None)  # they are beside the copy of before
            kept.pop(SIGNATURE_KEY, None)
            kept.pop(PREVIEW_KEY, None)
        return ExportRecord(
            id=item.id,
            year=item.place.year,
            month=item.place.month,
            rel_path=item.place.rel_path,
            status=status,
            export_date=timezone.now(),
            filename=recorded_name(item.name),
            last_error=error,
            extra={**kept, **(extra or {})},
        )

    def _failed(self, item: Item, reason: str) -> ExportRecord:
        logger.warning("%s was not exported: %s", item.original.path, reason)
        self.problems.add(item.original.path, reason)
        self._tell(item.id, item.original.path, FAILED, None, reason)
        self.folders.remember(item.place.rel_path, recorded_name(item.name))
        return self._record(item, RecordStatus.FAILED, error=self._failure(item.id, reason))

    def _failure(self, identifier: str, reason: str) -> str:
        """Return the error for a record; that of a bad copy still tells a check that the copy is bad."""
        known = self.ledger.export_info(identifier)
        return f"{NOT_COPIED}{reason}" if known is not None and is_known_bad(known) else reason
