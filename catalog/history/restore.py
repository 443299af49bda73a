"""Put a library's catalog back to a snapshot: all its rows in one transaction, then the pointer. No photo is touched."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

from django.db import DatabaseError

from accounts.models import User
from catalog.cache.working import working_folder
from catalog.history import publish
from catalog.history.copies import SnapshotNotKept, open_copy, root_md5
from catalog.history.given_since import RESTORE
from catalog.history.switch import require_root, switch_to
from catalog.models import Library, Photo
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import source_for
from catalog.roots.snapshot_locations import best_snapshot
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import SnapshotUnusable
from catalog.sources.base import SourceUnavailable
from operations.database_conflicts import is_transient
from operations.models import Operation
from operations.running import OperationFailed, Run, start

logger = logging.getLogger(__name__)
KIND = RESTORE


def start_restore(library: Library, user: User, md5: str = "", *, enqueue: bool = True) -> Operation:
    """Start putting the catalog back to the snapshot `md5`, or to the latest that can be used.

    Raises AlreadyActive while the library is being scanned or restored.
    """
    params = {"library": str(library.pk), "md5": md5}
    key = library.scan_key  # the scan's own: they exclude each other
    return start(KIND, user, subject=library.name, active_key=key, params=params, unit="entries", enqueue=enqueue)


@library_operation(
    KIND, label="Restore of the catalog", queue="scan", when_gone="there is nothing to restore", starts_over=True
)
def run_restore(run: Run, library: Library) -> dict[str, Any]:
    """Restore the library that `run.params` names; returns what was changed. Safe to run again, wherever it ended."""
    run.phase("Reading the snapshot", unit="entries")
    with working_folder(f"restore-{run.token}") as folder:
        try:
            require_root(library)
            with _opened(library, run, folder) as snapshot:
                _back_up(library, snapshot, run)
                return switch_to(Library.objects.get(pk=library.pk), snapshot, folder, run)
        except (SnapshotNotKept, SnapshotUnusable) as error:
            raise OperationFailed(f"{error} The catalog is as it was.", "snapshot_unusable") from None
        except SourceUnavailable as error:
            raise OperationFailed(str(error), "root_unavailable") from None


def _back_up(library: Library, snapshot: Snapshot, run: Run) -> None:
    """Publish what the rows say now, so that the restore can be undone. Rows that cannot be read are no hindrance."""
    if run.operation.checkpoint.get("switched") or not Photo.objects.filter(library=library).exists():
        return
    try:
        with closing(source_for(library)) as source:
            publish.publish_if_due(library, source, run, snapshot.md5)
    except (DatabaseError, ValueError, SnapshotUnusable) as error:
        if is_transient(error):
            raise  # what can be read in a moment is not given up without a copy
        logger.warning("Library %s: its rows could not be backed up: %s", library.pk, error)


def _opened(library: Library, run: Run, folder: Path) -> Snapshot:
    """Open the snapshot that was asked for. A later claim opens the same one, whatever the pointers say by then."""
    md5 = run.params.get("md5") or run.operation.checkpoint.get("md5", "")
    if md5:
        snapshot = open_copy(library, md5, folder)
    else:
        choice = best_snapshot(library, root_md5(library), folder)
        if choice.snapshot is None:
            raise SnapshotNotKept(" ".join(choice.notes))
        snapshot = choice.snapshot
    run.checkpoint(md5=snapshot.md5)
    if snapshot.header.library_id != str(library.pk):
        logger.warning("The snapshot %s is of library %s.", snapshot.md5, snapshot.header.library_id)
    return snapshot
