"""Celery tasks of exports: start those that are due, delete the files of those that expired or have no owner, and leftovers."""

import logging
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from operations.clock import is_suspect, time_ago
from operations.models import State
from photolala.celery import app

from .backup import left_behind as backups_left_behind
from .backup.schedule import remove_failed, start_due, thin_out_all
from .catalogs import left_behind
from .catalogs.downloads import is_being_sent
from .catalogs.partials import remove_export_files, remove_partials
from .destinations import left_behind as records_left_behind
from .formats.sink import PARTIAL_PREFIX, remove_partial
from .models import Export, ExportDownload
from .originals import schedule
from .originals.report import remove_old_reports
from .restore.expiry import forget_old

logger = logging.getLogger(__name__)
DOWNLOAD_DAYS = 365
"""For so long it is kept who downloaded what."""
MAY_CONTINUE = (State.PENDING, State.RUNNING, State.INTERRUPTED)


@app.task(name="exports.tasks.purge_exports", ignore_result=True)
def purge_exports() -> int:
    """Delete the files of exports that expired or whose user is gone, those of runs that nobody continues, and old records.

    Restores that nobody confirmed for two weeks and what users and destinations left that are gone for thirty days
    (backups, records of buckets) are deleted too.

    Return how many exports' files were deleted: none for a day after the clock was set.
    """
    count = 0
    if not is_suspect():
        count = _remove_expired() + left_behind.sweep()
        forget_old()
        backups_left_behind.sweep()
        records_left_behind.sweep()
    _remove_abandoned()
    remove_old_reports()
    ExportDownload.objects.filter(started_at__lt=time_ago(timedelta(days=DOWNLOAD_DAYS))).delete()
    return count


@app.task(name="exports.tasks.start_due_exports", ignore_result=True)
def start_due_exports() -> int:
    """Start the folder exports for which it is time by their destinations' schedules; return how many."""
    return schedule.start_due_exports()


@app.task(name="exports.tasks.make_backups", ignore_result=True)
def make_backups() -> int:
    """Ask for the backups that schedules want now, and delete those that they do not keep or that failed.

    Return how many were asked for.
    """
    thin_out_all()
    remove_failed()
    return start_due()


def _remove_expired() -> int:
    before: dict[timedelta, datetime] = {}
    count = 0
    for export in Export.objects.filter(expires_at__lt=timezone.now(), parent="").iterator():
        if export.expires_at is None or export.completed_at is None:
            continue
        kept_for = export.expires_at - export.completed_at
        if kept_for not in before:
            before[kept_for] = time_ago(kept_for)
        if export.completed_at >= before[kept_for] or not export.folder.exists() or is_being_sent(export):
            continue
        try:
            remove_export_files(export)
        except OSError as error:
            logger.warning("The files of the expired export %s cannot be deleted: %s", export.pk, error)
            continue
        logger.info("Export %s of user %s expired; its files are deleted.", export.pk, export.user_id)
        count += 1
    return count


def _remove_abandoned() -> None:
    """Delete partial folders of exports that were cancelled while they waited, have failed, or are gone."""
    for folder in Path(settings.EXPORTS_DIR).glob(f"*/{PARTIAL_PREFIX}*"):
        try:
            key = UUID(folder.name.removeprefix(PARTIAL_PREFIX)[:36])
        except ValueError:
            continue
        export = Export.objects.select_related("operation").filter(pk=key).first()
        operation = export.operation if export is not None else None
        if operation is not None and operation.state in MAY_CONTINUE and not operation.superseded:
            continue
        try:
            if export is None:
                remove_partial(folder)
            else:
                # If it was resumed meanwhile, the run that claimed it has a greater token, and perhaps this very folder.
                remove_partials(export, before=operation.token + 1 if operation is not None else None)
        except OSError as error:
            logger.warning("The partial export %s cannot be deleted: %s", folder.name, error)
