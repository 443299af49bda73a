"""A destination whose disk or share is mounted elsewhere now: known again by the file beside its records."""

import os
from pathlib import Path

from django.db import IntegrityError, transaction

from accounts.models import User
from catalog.roots.taken_folders import lock_taken_folders
from exports.ledger.load import FOLDER_NAME
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from operations.models import ACTIVE, Operation
from photolala.lib.files import is_real_folder
from photolala.lib.paths import escape_path

from .folders import check_folder, check_folder_for_command
from .identity import claim_records, known_identity


def move_destination(
    user: User, destination: ExportDestination, folder: str, *, is_operator: bool = False
) -> ExportDestination:
    """Say that what the destination had is in `folder` now. Nothing is copied, and no file but the one with its id is written.

    The folder must have its records, and no other destination's. Who runs the server (`is_operator`) may name any folder.
    Raises ExportRefused.
    """
    if destination.is_bucket:
        raise ExportRefused(
            "A prefix of a bucket cannot be mounted elsewhere. Add the other prefix as a destination; an export there knows what "
            "it has by itself. Nothing was changed."
        )
    check = check_folder_for_command if is_operator else check_folder
    real = check(user, folder, but=destination)
    if not isinstance(real, Path) or not is_real_folder(real):
        raise ExportRefused(f"There is no folder {folder[:200]}. Mount its disk first. Nothing was changed.")
    with transaction.atomic():
        lock_taken_folders()
        held = ExportDestination.objects.select_for_update().get(pk=destination.pk)
        if Operation.objects.filter(active_key=held.active_key, state__in=ACTIVE).exists():
            raise ExportRefused(
                "An export to this destination, or a check of it, is at work. Cancel it first. Nothing was changed.",
                "at_work",
            )
        check(user, folder, but=held)
        _require_its_records(held, real)
        held.folder = escape_path(os.fsencode(real))
        try:
            with transaction.atomic():
                held.save(update_fields=["folder"])
        except IntegrityError:
            raise ExportRefused("Another destination has that folder. Nothing was changed.") from None
    claim_records(held)
    return held


def _require_its_records(destination: ExportDestination, real: Path) -> None:
    """Raise ExportRefused unless the folder has the destination's records, or it never had any."""
    found = known_identity(real)
    if found is not None and found.id != destination.pk:
        raise ExportRefused(
            f"That folder has the records of another destination (“{found.name}”). Choose the folder that has those of "
            f"“{destination.name}”. Nothing was changed."
        )
    if found is None and destination.has_records and not is_real_folder(real / FOLDER_NAME):
        raise ExportRefused(
            f"That folder has no {FOLDER_NAME}, in which the records of “{destination.name}” are. Choose the folder that was "
            "exported to, not one above or below it. Nothing was changed."
        )
