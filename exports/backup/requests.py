"""Ask for a backup, verify one, delete one; whose they are is the caller's to check."""

import hashlib
import logging
import os
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from exports.bundle.lists import InvalidBundle
from exports.destinations.folders import check_folder
from exports.models import BUCKET_BACKUPS, Backup, ExportDestination, Scope
from exports.refusals import ExportRefused
from operations.models import ACTIVE, Operation
from operations.running import start
from photolala.lib.paths import escape_path

from .encryption import BadKey, check_recipient
from .places import place_of

logger = logging.getLogger(__name__)
SUBJECTS = {Scope.PERSON: "what I made", Scope.SERVER: "the whole server"}
MOST_KEPT = 200
"""So many backups of one user are kept in one place at most."""


def start_backup(
    user: User,
    scope: str = Scope.PERSON,
    *,
    destination: ExportDestination | None = None,
    recipient: str = "",
    key_file: str = "",
    is_scheduled: bool = False,
) -> Backup:
    """Ask for a backup that the server keeps, or the bucket of `destination`; encrypted if `recipient` is given.

    One of a user is at work at a time. The caller found the destination to be the user's. Raises ExportRefused, and
    AlreadyActive (with the operation) if the same is at work or waits.
    """
    parent = bucket_parent(user, destination) if destination is not None else ""
    if Backup.objects.filter(user=user, parent=parent).count() >= MOST_KEPT:
        raise ExportRefused(
            f"{MOST_KEPT} backups of yours are kept there. Delete one first. Nothing was started.", "too_many_backups"
        )
    backup = Backup(user=user, scope=scope, is_scheduled=is_scheduled, parent=parent, destination=destination)
    _encrypt_for(backup, recipient, key_file)
    return _start(backup, key=f"backup:{user.pk}:{scope}", line=f"backup:{user.pk}")


def bucket_parent(user: User, destination: ExportDestination) -> str:
    """Return the folder of backups in a destination's bucket, if the user may (still) have it. Raises ExportRefused."""
    if not destination.is_bucket:
        raise ExportRefused(
            "Backups go to this server, or to a destination in a bucket; this one is a folder. Nothing was changed.",
            "no_bucket",
        )
    check_folder(user, destination.folder, but=destination)
    return f"{destination.folder}/{BUCKET_BACKUPS}"


def start_backup_in(
    destination: ExportDestination, user: User, scope: str = Scope.PERSON, *, recipient: str = "", key_file: str = ""
) -> Backup:
    """Ask for a backup in a bucket for a command, to be run in the foreground. Raises as `start_backup_to`."""
    backup = Backup(user=user, scope=scope, parent=f"{destination.folder}/{BUCKET_BACKUPS}", destination=destination)
    _encrypt_for(backup, recipient, key_file)
    return _start_in_foreground(backup)


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
    return _start_in_foreground(backup)


def _start_in_foreground(backup: Backup) -> Backup:
    facts = f"{backup.parent}\n{backup.user_id}\n{backup.scope}\n{backup.packaging}\n{backup.is_encrypted}"
    mark = hashlib.sha256(facts.encode()).hexdigest()[:40]
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
    if backup.is_in_bucket and not backup.is_managed:
        raise ExportRefused(
            f"The destination of this backup was forgotten. Add {backup.parent.removesuffix(f'/{BUCKET_BACKUPS}')} again, and "
            "look for the backups there.",
            "no_destination",
        )
    return start(
        "verify_backup",
        backup.user,
        subject=backup.name,
        active_key=f"verify_backup:{backup.pk}",
        params={"backup": str(backup.pk)},
        unit="files",
    )


def start_finding(user: User, destination: ExportDestination) -> Operation:
    """Ask for a look at a destination's bucket for backups that this server does not list. ExportRefused, AlreadyActive."""
    bucket_parent(user, destination)
    return start(
        "find_backups",
        user,
        subject=destination.name,
        active_key=f"find_backups:{destination.pk}",
        params={"destination": str(destination.pk)},
        unit="backups",
    )


def delete_backup(backup: Backup) -> None:
    """Delete the backup and its files, if the server keeps them or has their bucket. ExportRefused while at work; OSError."""
    if backup.operation is not None and backup.operation.is_active:
        raise ExportRefused("This backup is still at work. Cancel it first. Nothing was deleted.", "at_work")
    busy = Operation.objects.filter(active_key=f"verify_backup:{backup.pk}", state__in=ACTIVE)
    if busy.exists():
        raise ExportRefused("This backup is just being verified. Wait, or cancel that. Nothing was deleted.", "at_work")
    if backup.is_managed:
        place_of(backup).remove()
    if backup.operation_id:
        Operation.objects.filter(pk=backup.operation_id).update(superseded=True)
    logger.info("Backup %s of user %s is deleted.", backup.pk, backup.user_id)
    backup.delete()
    if backup.is_in_bucket and backup.is_managed:
        _sweep(backup)


def is_any_at_work(user: User) -> bool:
    """Tell whether a backup of the user is at work, or waits."""
    return Operation.objects.filter(owner=user, kind="backup", state__in=ACTIVE).exists()


class _Begun(Exception):
    """Another backup began."""


def _sweep(backup: Backup) -> None:
    """Delete attached files that no backup in the bucket needs any more; what cannot be deleted now is later.

    A backup that begins meanwhile may find them there, and need them: then no more are deleted.
    """
    from .bucket import backups_of

    claims = Operation.objects.filter(owner=backup.user, kind="backup").order_by("pk").values_list("pk", "token")
    before = list(claims)
    if is_any_at_work(backup.user):
        return

    def require_none_begun() -> None:
        if list(claims.all()) != before:
            raise _Begun("Another backup began.")

    try:
        count = backups_of(backup).sweep(timezone.now(), require_none_begun)
    except (OSError, InvalidBundle, _Begun) as error:
        logger.warning("Attached files in %s are not swept: %s", backup.parent, error)
    else:
        logger.info("%d attached files that no backup needs are deleted in %s.", count, backup.parent)
