"""When the last verified backup of somebody was, and whether that is too long ago."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import User
from exports.models import Backup, BackupSchedule, Scope

OLD_AFTER = timedelta(days=30)
"""Without a schedule. With one, a backup is old once two are overdue."""


@dataclass(frozen=True)
class BackupStatus:
    """How safe what somebody made is."""

    verified: Backup | None
    """The newest backup of which all was read and right."""
    is_old: bool
    schedule: BackupSchedule | None


def backup_status(user: User, scope: str = Scope.PERSON, now: datetime | None = None) -> BackupStatus:
    """Return when the user's last verified backup was made. Two queries."""
    verified = (
        Backup.objects.visible_to(user).filter(scope=scope, verified_at__isnull=False).order_by("-created_at").first()
    )
    schedule = BackupSchedule.objects.visible_to(user).filter(scope=scope).first()
    after = 2 * schedule.interval if schedule is not None and schedule.every_days else OLD_AFTER
    is_old = verified is None or verified.created_at < (now or timezone.now()) - after
    return BackupStatus(verified, is_old, schedule)
