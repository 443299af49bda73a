"""Backups that are made again and again, by the same verb as those that a person asks for; and thinning them out."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from exports.downloads import is_being_sent
from exports.models import Backup, BackupSchedule, ExportDestination, ExportDownload, Scope
from exports.refusals import ExportRefused
from operations.clock import is_suspect
from operations.running import AlreadyActive

from .encryption import BadKey, check_recipient, make_key
from .places import place_of
from .requests import bucket_parent, delete_backup, start_backup
from .retention import Keep, Made, to_delete

logger = logging.getLogger(__name__)
MOST_KEPT = 60
"""Of so many days, weeks or months backups are kept at most."""


@dataclass(frozen=True)
class Where:
    """Where a schedule keeps its backups: in the bucket of a destination, or on this server (None)."""

    destination: ExportDestination | None


def set_schedule(
    user: User,
    scope: str,
    *,
    every_days: int,
    keep: Keep | None = None,
    passphrase: str = "",
    recipient: str | None = None,
    place: Where | None = None,
) -> BackupSchedule:
    """Say how often backups of `user` are made, where, and how many are kept. Only what is given changes.

    With a passphrase they are encrypted from now on: a key is made for it, and the passphrase itself is kept nowhere. An empty
    `recipient` ends encryption. Raises ExportRefused.
    """
    if every_days not in BackupSchedule.Every.values:
        raise ExportRefused("Backups are made every day, every week or every 30 days, or not at all.", "bad_schedule")
    if scope not in Scope.values or (scope == Scope.SERVER and not user.is_superuser):
        raise ExportRefused(
            "Only an administrator makes backups of the whole server. Nothing was changed.", "administrators_only"
        )
    values: dict[str, Any] = {"every_days": every_days, "refusal": ""}
    if keep is not None:
        if not all(0 <= number <= MOST_KEPT for number in (keep.daily, keep.weekly, keep.monthly)):
            raise ExportRefused(f"Keep 0 to {MOST_KEPT} of each kind. Nothing was changed.", "bad_schedule")
        values |= {"keep_daily": keep.daily, "keep_weekly": keep.weekly, "keep_monthly": keep.monthly}
    if place is not None:
        if place.destination is not None:
            bucket_parent(user, place.destination)
        values["destination"] = place.destination
    try:
        if passphrase:
            key = make_key(passphrase)
            values |= {"recipient": key.recipient, "key_file": key.key_file}
        elif recipient is not None:
            values |= {"recipient": check_recipient(recipient) if recipient else "", "key_file": ""}
    except BadKey as error:
        raise ExportRefused(str(error), "bad_recipient") from None
    schedule, _ = BackupSchedule.objects.update_or_create(user=user, scope=scope, defaults=values)
    return schedule


def start_due(now: datetime | None = None) -> int:
    """Ask for the backups that are due; return how many. One that is at work or waits already is not asked for again."""
    now = now or timezone.now()
    count = 0
    for schedule in BackupSchedule.objects.filter(every_days__gt=0, user__is_active=True).select_related(
        "user", "destination"
    ):
        if schedule.started_at is not None and now - schedule.interval < schedule.started_at <= now:
            continue
        mine = BackupSchedule.objects.filter(pk=schedule.pk, started_at=schedule.started_at)
        if not mine.update(started_at=now):
            continue  # another worker's clock was quicker
        try:
            start_backup(
                schedule.user,
                schedule.scope,
                destination=schedule.destination,
                recipient=schedule.recipient,
                key_file=schedule.key_file,
                is_scheduled=True,
            )
        except (AlreadyActive, ExportRefused) as reason:
            logger.warning("The scheduled backup of user %s is not made: %s", schedule.user_id, reason)
            if isinstance(reason, ExportRefused):
                BackupSchedule.objects.filter(pk=schedule.pk).update(refusal=str(reason))
            continue
        if schedule.refusal:
            BackupSchedule.objects.filter(pk=schedule.pk).update(refusal="")
        count += 1
    return count


def thin_out(user: User, scope: str) -> int:
    """Delete scheduled backups of `user` that the schedule does not keep; return how many.

    Those of each place are counted for themselves. None while the clock is suspect. What a person asked for, and what another
    server made, stays until a person deletes it.
    """
    schedule = BackupSchedule.objects.filter(user=user, scope=scope, every_days__gt=0).first()
    if schedule is None or is_suspect():
        return 0
    keep = Keep(schedule.keep_daily, schedule.keep_weekly, schedule.keep_monthly)
    mine = Backup.objects.filter(user=user, scope=scope, is_scheduled=True, was_found=False, completed_at__isnull=False)
    by_place: dict[str, list[Backup]] = {}
    for backup in mine.select_related("operation", "user"):
        if backup.is_managed:
            by_place.setdefault(backup.parent, []).append(backup)
    return sum(_thin_out_place(backups, keep) for backups in by_place.values())


def _thin_out_place(backups: list[Backup], keep: Keep) -> int:
    by_key = {backup.pk: backup for backup in backups}
    made = [Made(backup.pk, backup.created_at, backup.verified_at is not None) for backup in backups]
    count = 0
    for key in to_delete(made, keep):
        if is_being_sent(ExportDownload.objects.filter(export_name=by_key[key].name)):
            continue
        try:
            delete_backup(by_key[key])
        except (ExportRefused, OSError) as error:
            logger.warning("The old backup %s stays: %s", key, error)
            continue
        count += 1
    return count


def remove_failed() -> int:
    """Delete what is left of backups that were never finished, and that a later one took the place of; return how many.

    They hold nothing, are on no page, and would count as kept ones until no further one may be made.
    """
    unfinished = Backup.objects.filter(completed_at=None).select_related("operation", "user")
    count = 0
    for backup in unfinished.filter(Q(operation=None) | Q(operation__superseded=True)):
        if not backup.is_managed:
            continue
        try:
            if place_of(backup).is_there():  # it was stopped while it was verified: perhaps it is whole
                continue
            delete_backup(backup)
        except (ExportRefused, OSError) as error:
            logger.warning("What is left of the backup %s stays: %s", backup.pk, error)
            continue
        count += 1
    return count


def thin_out_all() -> int:
    """Thin out the backups of all schedules; return how many were deleted."""
    return sum(thin_out(one.user, one.scope) for one in BackupSchedule.objects.select_related("user"))
