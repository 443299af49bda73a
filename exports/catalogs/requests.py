"""Ask for an export of a catalog, and delete one; who may do so is the caller's to check."""

import hashlib
import logging
import os
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.models import Library
from catalog.roots.told import THE_FOLDER
from exports.models import Export
from exports.reading.rows import read_filters, require_album
from exports.refusals import ExportRefused
from operations.models import ACTIVE, Operation
from operations.running import Words, start, words_for_owners
from photolala.lib.hiding import hide_folder
from photolala.lib.paths import escape_path

from .partials import remove_export_files

logger = logging.getLogger(__name__)
FURTHEST_ZONE = timedelta(hours=14)
MOST_WAITING = 20
"""So many exports of one user are at work and wait at most."""


@dataclass(frozen=True)
class Wishes:
    """What a person wants exported. Both days belong to the range."""

    format: str
    start_date: date | None = None
    end_date: date | None = None
    filter: dict[str, Any] = field(default_factory=dict)
    include_media: bool = False


def start_export(user: User, library: Library, wishes: Wishes) -> Export:
    """Ask for an export of `library`, which `user` may see; a worker makes it, after those asked for before by this user.

    Raises ExportRefused for a format or range that cannot be, or if too many wait, BadRequest for a filter that is none, and
    AlreadyActive (with the operation) if the same export is under way or waits.
    """
    line = f"export:{user.pk}"
    if Operation.objects.filter(line=line, state__in=ACTIVE).count() >= MOST_WAITING:
        raise ExportRefused(
            f"{MOST_WAITING} exports of yours are at work or wait. Wait until one is done, or cancel one. Nothing was started.",
            "queue_full",
        )
    return _start(user, library, wishes, key=f"{line}:{_mark(library, wishes)}", line=line)


def start_export_to(folder: Path, user: User, library: Library, wishes: Wishes) -> Export:
    """The same for a command, into `folder`, to be run in the foreground.

    Raises AlreadyActive if the same export to the same folder is under way (or its process has died).
    """
    parent = escape_path(os.path.realpath(os.fsencode(folder)))
    mark = _mark(library, wishes, parent)
    return _start(user, library, wishes, key=f"export-to:{mark}", parent=parent, enqueue=False)


def _mark(library: Library, wishes: Wishes, parent: str = "") -> str:
    """Return what is the same for the same wish."""
    return hashlib.sha256(f"{parent}\n{library.pk}\n{wishes}".encode()).hexdigest()[:40]


def _start(
    user: User,
    library: Library,
    wishes: Wishes,
    *,
    key: str,
    line: str = "",
    parent: str = "",
    enqueue: bool = True,
) -> Export:
    _check(wishes)
    require_album(user, wishes.filter)
    with transaction.atomic():
        export = Export(
            user=user,
            library=library,
            library_name=library.name,
            format=wishes.format,
            start_date=wishes.start_date,
            end_date=wishes.end_date,
            filter=wishes.filter,
            include_media=wishes.include_media,
            parent=parent,
        )
        export.operation = start(
            "export",
            user,
            subject=library.name,
            active_key=key,
            line=line,
            params={"export": str(export.pk)},
            enqueue=enqueue,
        )
        export.save(force_insert=True)
    return export


@words_for_owners
def words_of_exported(operation: Operation) -> Words | None:
    """Return how to say what the export of somebody else's library says."""
    export = Export.objects.filter(operation=operation).select_related("library").first()
    if export is None or export.library is None or export.library.owner_id == operation.owner_id:
        return None
    root = export.library.root
    return lambda value: hide_folder(value, root, THE_FOLDER)


def delete_export(export: Export) -> None:
    """Delete the export and its files, if the server keeps them. ExportRefused while it is at work; OSError."""
    if export.operation is not None and export.operation.is_active:
        raise ExportRefused("This export is still at work. Cancel it first. Nothing was deleted.", "at_work")
    if export.is_kept_here:
        remove_export_files(export)
    if export.operation_id:
        Operation.objects.filter(pk=export.operation_id).update(superseded=True)
    logger.info("Export %s of user %s is deleted.", export.pk, export.user_id)
    export.delete()


def _check(wishes: Wishes) -> None:
    if wishes.format not in Export.Format.values:
        raise ExportRefused("The format is json or csv. Nothing was started.", "bad_format")
    if wishes.start_date and wishes.end_date and wishes.end_date < wishes.start_date:
        raise ExportRefused("The last day is before the first. Nothing was started.", "bad_range")
    today = (timezone.now() + FURTHEST_ZONE).date()  # where the day begins first
    if any(day and day > today for day in (wishes.start_date, wishes.end_date)):
        raise ExportRefused("The range ends in the future; today is the last day. Nothing was started.", "bad_range")
    read_filters(wishes.filter)
