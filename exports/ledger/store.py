"""The ledger of one destination: which photos were exported there. Every change is on the disk before it is seen."""

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from exports.ledger.compaction import CompactedRecords
from exports.ledger.damage import FoundDamage, note_damage
from exports.ledger.errors import InvalidRecord, LedgerFailed, refusal
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, LoadedLedger, LoadReport, load_ledger
from exports.ledger.lock import take_lock
from exports.ledger.log import AppendLog
from exports.ledger.mutations import Mutation, encode_mutation
from exports.ledger.numbering import RENUMBERED_ABOVE, read_mark
from exports.ledger.records import ExportRecord, RecordStatus, check_record, format_date, whole_seconds
from exports.ledger.regular import refuse_link
from exports.ledger.snapshot import broken_name, keep_aside, remove_leftovers
from photolala.lib.files import fsync_directory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an asset goes: the month it is filed under, and the folder below the destination, such as `2025/02/`."""

    year: int
    month: int
    rel_path: str


class Ledger(CompactedRecords):
    """The export records in one folder, open for writing by this process alone.

    Each writer method returns when its change is on the disk, and raises LedgerFailed if it is not: the change is then
    not visible here either, and all later writes are refused until the ledger is opened again. Safe to use from
    several threads.
    """

    def __init__(self, directory: Path, *, now: Callable[[], datetime] | None = None) -> None:
        """Open the ledger in `directory` (made if missing), recovering from whatever the last process left.

        Raises LedgerBusy if someone else has it open, LedgerFailed if the disk refuses. `report` tells what was found.
        """
        self.directory = Path(directory)
        self._now = now or (lambda: datetime.now(UTC))
        self._guard = threading.RLock()
        self._failure = None
        self._log = None
        self._background = None
        self._lock = -1
        try:
            self._make_directory()
            self._lock = take_lock(self.directory)
            for name in (SNAPSHOT_NAME, LOG_NAME):
                remove_leftovers(self.directory / name)
            loaded = load_ledger(self.directory)
            self._state = loaded.state
            self._noted_number = read_mark(self._lock)
            self._number = max(loaded.last_number, loaded.seen_number, self._noted_number)
            self._snapshot_count = loaded.snapshot_count
            self._mutations_since_snapshot = loaded.report.replayed_lines + loaded.report.stale_lines
            self._log_is_damaged = bool(loaded.log.bad_count)
            self.report: LoadReport = loaded.report
            self._note_damage()  # first: a kill after the next line would leave no trace of it but a name
            self._set_broken_snapshot_aside(loaded)
            self._log = AppendLog(self.directory / LOG_NAME, loaded.log)
            if self._number > RENUMBERED_ABOVE:
                self._number = max(loaded.seen_number, self._noted_number)  # the log is emptied, and goes on from there
                self.compact()
            elif loaded.snapshot.bad_count or self._log_is_damaged:
                self._compact_if_possible()
        except OSError as error:
            self._release()
            raise LedgerFailed(refusal(self.directory, "opened", error)) from error
        except BaseException:
            self._release()
            raise

    # -- writing

    def mark_in_progress(self, asset_id: str, place: Place, filename: str | None = None) -> ExportRecord:
        """Record that the asset's export to `place` begins now; an earlier error is forgotten."""
        return self._mark(asset_id, place, RecordStatus.IN_PROGRESS, filename, None)

    def mark_exported(
        self, asset_id: str, place: Place, filename: str, export_date: datetime | None = None
    ) -> ExportRecord:
        """Record that the asset is in `place` as `filename` since `export_date` (now); an error is forgotten."""
        return self._mark(asset_id, place, RecordStatus.DONE, filename, None, export_date)

    def mark_failed(self, asset_id: str, error: str, place: Place | None = None) -> ExportRecord:
        """Record that the export failed now, and why. Without `place` the known one stays (InvalidRecord if none)."""
        with self._guard:
            known = self._state.get(asset_id)
            if place is None:
                if known is None:
                    raise InvalidRecord(f"{asset_id!r} has no record: its failure needs a year, month and folder.")
                place = Place(known.year, known.month, known.rel_path)
            return self._mark(asset_id, place, RecordStatus.FAILED, known.filename if known else None, error)

    def remove(self, asset_id: str) -> bool:
        """Forget the asset's record; return whether there was one."""
        with self._guard:
            if self._state.get(asset_id) is None:
                self.flush()
                return False
            self._write([(asset_id, None)])
            return True

    def put_all(self, records: Iterable[ExportRecord]) -> int:
        """Write many records with one wait for the disk; return how many.

        On an error none is seen here; what of them had reached the disk shows when the ledger is opened again.
        """
        checked = [check_record(record) for record in records]
        with self._guard:
            self._write([(record.id, record) for record in checked])
        return len(checked)

    def _mark(
        self,
        asset_id: str,
        place: Place,
        status: RecordStatus,
        filename: str | None,
        error: str | None,
        date: datetime | None = None,
    ) -> ExportRecord:
        with self._guard:
            known = self._state.get(asset_id)
            record = check_record(
                ExportRecord(
                    id=asset_id,
                    year=place.year,
                    month=place.month,
                    rel_path=place.rel_path,
                    status=status,
                    export_date=whole_seconds(date or self._now()),
                    filename=filename,
                    last_error=error,
                    extra=known.extra if known else {},
                )
            )
            self._write([(asset_id, record)])
        return record

    def _write(self, changes: list[tuple[str, ExportRecord | None]]) -> None:
        """Append the changes and, once they are on the disk, show them; compact when it is time."""
        self.flush()
        if not changes:
            return
        mutations = [
            Mutation(identifier, record, number)
            for number, (identifier, record) in enumerate(changes, start=self._number + 1)
        ]
        lines = b"".join(map(encode_mutation, mutations))
        try:
            self._opened_log().append(lines)
        except OSError as error:
            raise self._fail("written", error) from error
        except BaseException:  # interrupted in the middle: what the file holds now is unknown
            self._fail("written", OSError(errno.EINTR, "interrupted"))
            raise
        for mutation in mutations:
            self._state.apply(mutation)
        self._number += len(mutations)
        self._mutations_since_snapshot += len(mutations)
        self._compact_when_due()

    # -- opening and end

    def close(self) -> None:
        """Compact if anything has changed, and let others open the ledger; safe to call twice."""
        with self._guard:
            try:
                if self._log is not None and self._failure is None and self._mutations_since_snapshot:
                    self._compact_if_possible()
            finally:
                self._release()

    def __enter__(self) -> Self:
        """Return the ledger, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_directory(self) -> None:
        refuse_link(self.directory)
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True, exist_ok=True)
            fsync_directory(self.directory.parent)

    def _set_broken_snapshot_aside(self, loaded: LoadedLedger) -> None:
        if not loaded.snapshot.problem and not loaded.snapshot.bad_count:
            return
        path = self.directory / SNAPSHOT_NAME
        aside = broken_name(path, self._now())
        keep_aside(path, aside, is_moved=loaded.snapshot.problem is not None)
        self.report.set_aside.append(aside.name)
        logger.warning("The broken snapshot %s is kept as %s.", path, aside.name)

    def _note_damage(self) -> None:
        """Note what was found where it stays to be seen, before a compaction removes its traces."""
        report = self.report
        if report.problems:
            date = format_date(self._now())
            found = FoundDamage(date, report.problems, report.bad_lines, report.missing_numbers)
            note_damage(self.directory, found)

    def _release(self) -> None:
        try:
            self._cancel_background()
        finally:
            if self._log is not None:
                self._log.close()
                self._log = None
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1
