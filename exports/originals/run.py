"""The operation `export_folder`: copies a library's originals into dated folders, each once, with a record of each."""

import time
from contextlib import ExitStack
from typing import Any

from catalog.models import Library
from catalog.roots.reach import source_for
from catalog.roots.told import told
from catalog.sources.base import SourceUnavailable
from exports.destinations.guard import guard_of
from exports.destinations.identity import claim_records
from exports.destinations.publishing import PublishedRecords
from exports.destinations.transports.opening import transport_of
from exports.ledger.errors import LedgerBusy, LedgerFailed
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.reading.originals import SourceGuard
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run

from .folder_export import FolderExport
from .names import OpenFolders
from .plan import Target
from .report import Report

LOCK_PATIENCE_SECONDS = 30.0


@operation_kind("export_folder", label="Folder export", queue="export")
def run_folder_export(run: Run) -> dict[str, Any]:
    """Copy what the destination lacks of the library's originals; safe to run again after any end."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    library = Library.objects.visible_to(run.owner).filter(pk=run.params["library"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    if library is None:
        raise OperationFailed("The library is not there, or not yours to see any more. Nothing was exported.", "gone")
    destination_guard = guard_of(destination)
    with ExitStack() as stack:
        source = source_for(library)
        stack.callback(source.close)
        try:
            guard = SourceGuard(library, source)
            guard.require()
            ledger = stack.enter_context(open_ledger(run, destination))
            published = PublishedRecords(destination, ledger)
            published.adopt()
            ExportDestination.objects.filter(pk=destination.pk).update(has_records=True)
            claim_records(destination)
            folders = OpenFolders(transport_of(destination), ledger.records())
            stack.callback(folders.close)
            folders.clear_interrupted()
            target = Target(destination, destination_guard, ledger, folders)
            report = Report(run.operation)
            try:
                result = FolderExport(run, library, source, guard, target, report).run_all()
            finally:
                problem = published.publish()
                if run.still_mine():
                    report.publish()
            result["record_problems"] += [problem] if problem else []
            return result
        except SourceUnavailable as error:
            raise OperationFailed(told(library, run.owner, str(error)), "root_unavailable") from None
        except LedgerFailed as error:
            raise OperationFailed(str(error), "destination") from error


def open_ledger(run: Run, destination: ExportDestination) -> Ledger:
    """Open the ledger; a worker that lost this operation may hold it for a moment more."""
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            return Ledger(destination.records_folder)
        except LedgerBusy as error:
            if time.monotonic() > deadline:
                raise OperationFailed(str(error), "busy") from None
        run.checkpoint(force=False)
        time.sleep(0.2)
