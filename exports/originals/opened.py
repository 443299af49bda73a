"""A destination while an export writes into it: its ledger is held, and its records are published in the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from exports.destinations.guard import Guard
from exports.destinations.identity import claim_records
from exports.destinations.publishing import PublishedRecords
from exports.destinations.transports.opening import transport_of
from exports.ledger.errors import LedgerBusy
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from operations.running import OperationFailed, Run

from .names import OpenFolders
from .plan import Target
from .report import Report

LOCK_PATIENCE_SECONDS = 30.0


@contextmanager
def opened_target(run: Run, destination: ExportDestination, guard: Guard) -> Iterator[tuple[Target, PublishedRecords]]:
    """Hold the destination for a `with` block, at whose end the records are to be published. Raises LedgerFailed."""
    with open_ledger(run, destination) as ledger:
        published = PublishedRecords(destination, ledger)
        published.adopt()
        ExportDestination.objects.filter(pk=destination.pk).update(has_records=True)
        claim_records(destination)
        with closing(OpenFolders(transport_of(destination), ledger.records())) as folders:
            folders.clear_interrupted()
            yield Target(destination, guard, ledger, folders), published


def export_into(
    run: Run, destination: ExportDestination, guard: Guard, copy: Callable[[Target, Report], dict[str, Any]]
) -> dict[str, Any]:
    """Let `copy` export into the destination; return its result. Records and report are published, also if it fails.

    Raises what `copy` raises, and LedgerFailed.
    """
    with opened_target(run, destination, guard) as (target, published):
        report = Report(run.operation)
        try:
            result = copy(target, report)
        finally:
            problem = published.publish()
            if run.still_mine():
                report.publish()
        result["record_problems"] += [problem] if problem else []
        return result


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
