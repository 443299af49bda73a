"""The export records of a backup: where originals went, and which ones."""

from collections.abc import Iterator

from accounts.models import User
from exports.bundle import entries
from exports.bundle.layout import time_text
from exports.destinations.records import ledger_of
from exports.ledger.errors import LedgerFailed
from exports.models import ExportDestination

from .issues import Issues


class ExportRecords:
    """The destinations of a user (None: of all), and their records; those that are out of reach become issues."""

    def __init__(self, user: User | None, using: str, issues: Issues) -> None:
        rows = ExportDestination.objects.using(using).select_related("owner").order_by("pk")
        self._destinations = list(rows if user is None else rows.filter(owner=user))
        self._issues = issues

    def destinations(self) -> Iterator[entries.Destination]:
        """Yield the destinations by id."""
        for row in self._destinations:
            yield {
                "id": str(row.pk),
                "name": row.name,
                "folder": row.folder,
                "template": row.template,
                "owner": row.owner.get_username(),
                "createdAt": time_text(row.created_at),
                "withCompanions": row.with_companions,
                "previewPx": row.preview_px,
            }

    def records(self) -> Iterator[entries.ExportRecordEntry]:
        """Yield the records by destination and id. The files hold them: they are as of now, not of the moment."""
        for row in self._destinations:
            if not row.has_records:
                continue
            try:
                if not row.records_folder.is_dir():
                    raise LedgerFailed("Its folder is not there: the disk is not connected, or it was moved.")
                state = ledger_of(row).state
            except (LedgerFailed, OSError) as reason:
                self._issues.add(f"The records of the destination “{row.name}” are not in this backup. {reason}")
                continue
            for record in state.sorted_records():
                yield {"destinationId": str(row.pk), "record": record.to_json()}
