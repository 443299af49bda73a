"""The operation `export_folder`: copies a library's originals into dated folders, each once, with a record of each."""

from contextlib import closing
from typing import Any

from catalog.models import Library
from catalog.roots.reach import source_for
from catalog.roots.told import told
from catalog.sources.base import SourceUnavailable
from exports.destinations.guard import guard_of
from exports.ledger.errors import LedgerFailed
from exports.models import ExportDestination
from exports.reading.originals import SourceGuard
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run

from .folder_export import FolderExport
from .opened import export_into
from .plan import Target
from .report import Report


@operation_kind("export_folder", label="Folder export", queue="export")
def run_folder_export(run: Run) -> dict[str, Any]:
    """Copy what the destination lacks of the library's originals; safe to run again after any end."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    library = Library.objects.visible_to(run.owner).filter(pk=run.params["library"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    if library is None:
        raise OperationFailed("The library is not there, or not yours to see any more. Nothing was exported.", "gone")
    guard = guard_of(destination)
    try:
        with closing(source_for(library)) as source:
            source_guard = SourceGuard(library, source)
            source_guard.require()

            def copy(target: Target, report: Report) -> dict[str, Any]:
                return FolderExport(run, library, source, source_guard, target, report).run_all()

            return export_into(run, destination, guard, copy)
    except SourceUnavailable as error:
        raise OperationFailed(told(library, run.owner, str(error)), "root_unavailable") from None
    except LedgerFailed as error:
        raise OperationFailed(str(error), "destination") from error
