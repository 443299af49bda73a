"""What can be asked of an open ledger."""

from collections.abc import Iterator
from threading import RLock

from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.state import LedgerState, MonthSummary, summarize_month


class RecordReads:
    """The questions that a ledger answers from memory."""

    _state: LedgerState
    _guard: RLock

    def is_exported(self, asset_id: str) -> bool:
        """Tell whether the asset's export is done."""
        record = self._state.get(asset_id)
        return record is not None and record.status is RecordStatus.DONE

    def export_info(self, asset_id: str) -> ExportRecord | None:
        """Return the asset's record, or None if it has none."""
        return self._state.get(asset_id)

    def month_summary(self, year: int, month: int, total_assets: int) -> MonthSummary:
        """Return how much of a month that has `total_assets` photos is exported; costs one look-up."""
        return summarize_month(year, month, self._state.done_count(year, month), total_assets)

    def done_months(self) -> list[tuple[int, int, int]]:
        """Return (year, month, done records) of each month that has any, oldest first."""
        with self._guard:
            return self._state.done_months()

    def records(self) -> Iterator[ExportRecord]:
        """Yield all records by ascending id; the ledger must not be changed meanwhile."""
        return self._state.sorted_records()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._state)
