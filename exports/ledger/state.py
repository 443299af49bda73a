"""The state of a ledger in memory: records by asset id, and how many are done in each month."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from exports.ledger.mutations import Mutation
from exports.ledger.records import ExportRecord, RecordStatus


class MonthStatus(StrEnum):
    """How much of a month has been exported."""

    NOT_EXPORTED = "notExported"
    PARTIAL = "partial"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class MonthSummary:
    """How many of a month's photos are exported; `total_count` is what the caller said the month has."""

    year: int
    month: int
    exported_count: int
    total_count: int
    status: MonthStatus


def summarize_month(year: int, month: int, exported_count: int, total_count: int) -> MonthSummary:
    """Return a month's summary. A month without photos is `notExported`; more exported than there are: `complete`."""
    if exported_count <= 0 or total_count <= 0:
        status = MonthStatus.NOT_EXPORTED
    elif exported_count < total_count:
        status = MonthStatus.PARTIAL
    else:
        status = MonthStatus.COMPLETE
    return MonthSummary(year, month, exported_count, total_count, status)


class LedgerState:
    """All records, with the counts of done ones kept in step so that a month's summary costs one look-up."""

    def __init__(self, records: dict[str, ExportRecord] | None = None) -> None:
        """Start with `records` by their ids; the dictionary is this object's from now on."""
        self._records = {} if records is None else records
        self._done: dict[tuple[int, int], int] = {}
        for record in self._records.values():
            self._count(record, 1)

    def apply(self, mutation: Mutation) -> None:
        """Make the record what `mutation` says, or take it away. Doing so twice changes nothing more."""
        old = self._records.pop(mutation.id, None)
        if old:
            self._count(old, -1)
        if mutation.record:
            self._records[mutation.id] = mutation.record
            self._count(mutation.record, 1)

    def _count(self, record: ExportRecord, step: int) -> None:
        if record.status is RecordStatus.DONE:
            key = (record.year, record.month)
            count = self._done.get(key, 0) + step
            if count:
                self._done[key] = count
            else:
                del self._done[key]

    def get(self, asset_id: str) -> ExportRecord | None:
        """Return the record of the asset, or None."""
        return self._records.get(asset_id)

    def done_count(self, year: int, month: int) -> int:
        """Return how many records of that month are done."""
        return self._done.get((year, month), 0)

    def done_months(self) -> list[tuple[int, int, int]]:
        """Return (year, month, done records) of each month that has any, oldest first."""
        return sorted((year, month, count) for (year, month), count in self._done.items())

    def ids(self) -> list[str]:
        """Return all ids as of now, in no order."""
        return list(self._records)

    def with_status(self, status: RecordStatus) -> list[ExportRecord]:
        """Return the records of that status by ascending id."""
        return sorted((one for one in self._records.values() if one.status is status), key=lambda one: one.id)

    def sorted_records(self) -> Iterator[ExportRecord]:
        """Yield all records by ascending id."""
        records = self._records
        return (records[identifier] for identifier in sorted(records))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)
