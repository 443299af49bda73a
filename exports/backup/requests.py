"""Ask for a backup, verify one, delete one; whose they are is the caller's to check."""

import hashlib
import logging
import os
from pathlib import Path

from django.db import transaction

from accounts.models import User
from exports.formats.sink import PARTIAL_PREFIX, remove_partial
from exports.models import Backup, Scope
from exports.refusals import ExportRefused
from operations.models import ACTIVE, Operation
from operations.running import start
from photolala.lib.paths import escape_path

from .encryption import BadKey, check_recipient
from .packing import remove_unfinished

logger = logging.getLogger(__name__)
SUBJECTS = {Scope.PERSON: "what I made", Scope.SERVER: "the whole server"}
MOST_KEPT = 200
"""So many backups of one user are kept by the server at most."""


def start_backup(
    user: User, scope: str = Scope.PERSON, *, recipient: str = "", key_file: str = "", is_scheduled: bool = False
) -> Backup:
    """Ask for a backup that the server keeps, encrypted if `recipient` is given. One of a user is at work at a time.

    Raises ExportRefused, and AlreadyActive (with the operation) if the same is at work or waits.
    """
    if Backup.objects.filter(user=user, parent="").count() >= MOST_KEPT:
        raise ExportRefused(
            f"{MOST_KEPT} backups of yours are kept here. Delete one first. Nothing was started.", "too_many_backups"
        )
    backup = Backup(user=user, scope=scope, is_scheduled=is_scheduled)
    _encrypt_for(backup, recipient, key_file)
    return _start(backup, key=f"backup:{user.pk}:{scope}", line=f"backup:{user.pk}")


def start_backup_to(
    folder: Path,
    user: User,
    scope: str = Scope.PERSON,
    *,
    is_zip: bool = False,
    recipient: str = "",
    key_file: str = "",
) -> Backup:
    """The same for a command, into `folder`, to be run in the foreground.

    Raises ExportRefused, and AlreadyActive if the same backup to that folder is under way (or its process has died).
    """
    parent = escape_path(os.path.realpath(os.fsencode(folder)))
    packaging = Backup.Packaging.ZIP if is_zip else Backup.Packaging.FOLDER
    backup = Backup(user=user, scope=scope, parent=parent, packaging=packaging)
    _encrypt_for(backup, recipient, key_file)
    mark = hashlib.sha256(f"{parent}\n{user.pk}\n{scope}\n{backup.packaging}\n{bool(recipient)}".encode()).hexdigest()[
        :40
    ]
    return _start(backup, key=f"backup-to:{mark}", enqueue=False)


def _encrypt_for(backup: Backup, recipient: str, key_file: str) -> None:
    if not recipient:
        return
    try:
        backup.recipient = check_recipient(recipient)
    except BadKey as error:
        raise ExportRefused(str(error), "bad_recipient") from None
    backup.key_file, backup.packaging = key_file, Backup.Packaging.ZIP


def _start(backup: Backup, *, key: str, line: str = "", enqueue: bool = True) -> Backup:
    if backup.scope not in Scope.values:
        raise ExportRefused("A backup is of a person or of the server. Nothing was started.", "bad_scope")
    if backup.scope == Scope.SERVER and not (backup.user.is_active and backup.user.is_superuser):
        raise ExportRefused(
            "Only an administrator makes backups of the whole server. Nothing was started.", "administrators_only"
        )
    with transaction.atomic():
        backup.operation = start(
            "backup",
            backup.user,
            subject=SUBJECTS[Scope(backup.scope)],
            active_key=key,
            line=line,
            params={"backup": str(backup.pk)},
            unit="entries",
            enqueue=enqueue,
        )
        backup.save(force_insert=True)
    return backup


def start_verification(backup: Backup) -> Operation:
    """Ask that all of a finished backup is read again. Raises ExportRefused if it is not finished, and AlreadyActive."""
    if backup.completed_at is None:
        raise ExportRefused("This backup is not finished; there is nothing to verify yet.", "not_finished")
    return start(
        "verify_backup",
        backup.user,
        subject=backup.name,
        active_key=f"verify_backup:{backup.pk}",
        params={"backup": str(backup.pk)},
        unit="files",
    )


def delete_backup(backup: Backup) -> None:
    """Delete the backup and its files, if the server keeps them. ExportRefused while it is at work; OSError."""
    if backup.operation is not None and backup.operation.is_active:
        raise ExportRefused("This backup is still at work. Cancel it first. Nothing was deleted.", "at_work")
    busy = Operation.objects.filter(active_key=f"verify_backup:{backup.pk}", state__in=ACTIVE)
    if busy.exists():
        raise ExportRefused("This backup is just being verified. Wait, or cancel that. Nothing was deleted.", "at_work")
    if backup.is_kept_here:
        remove_files(backup)
    if backup.operation_id:
        Operation.objects.filter(pk=backup.operation_id).update(superseded=True)
    logger.info("Backup %s of user %s is deleted.", backup.pk, backup.user_id)
    backup.delete()


def remove_files(backup: Backup) -> None:
    """Delete the files of a backup, whole or partial. OSError. It loses its name first: one deleted in part never looks whole."""
    doomed = backup.parent_folder / f"{PARTIAL_PREFIX}{backup.pk}-deleted"
    if backup.path.is_dir():
        remove_partial(doomed)
        backup.path.rename(doomed)
    else:
        backup.path.unlink(missing_ok=True)
    remove_unfinished(backup)
