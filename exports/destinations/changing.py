"""Change what a destination is called, how it names photos, and when exports to it begin by themselves."""

from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from exports.models import Backup, BackupSchedule, ExportDestination
from exports.refusals import ExportRefused
from operations.models import ACTIVE

from .naming import check_template


class DestinationChanges(TypedDict, total=False):
    """What may be changed; what is not given stays."""

    name: str
    template: str
    schedule: str
    schedule_hour: int
    schedule_weekday: int
    with_companions: bool
    preview_px: int


def change_destination(destination: ExportDestination, changes: DestinationChanges) -> None:
    """Change it; what is there already stays where it is. A new schedule counts from now. Raises ExportRefused."""
    if "template" in changes:
        check_template(changes["template"])
    names = [name for name, value in changes.items() if getattr(destination, name) != value]
    for name in names:
        setattr(destination, name, changes[name])  # type: ignore[literal-required]
    if any(name.startswith("schedule") for name in names):
        destination.scheduled_since = timezone.now() if destination.schedule else None
        destination.refusal, destination.refused_at = "", None
        names += ["scheduled_since", "refusal", "refused_at"]
    if names:
        destination.save(update_fields=names)


def forget_destination(destination: ExportDestination) -> None:
    """Forget the destination; files, records and backups stay where they are.

    Raises ExportRefused while a backup is made there, or a schedule makes them there: those must go somewhere else first.
    """
    with transaction.atomic():
        schedules = BackupSchedule.objects.select_for_update().filter(destination=destination)
        if any(one.every_days for one in schedules):
            raise ExportRefused(
                "Backups are made there on a schedule. On the page of backups, choose another place for them first. Nothing was "
                "changed.",
                "has_schedule",
            )
        if Backup.objects.filter(destination=destination, operation__state__in=ACTIVE).exists():
            raise ExportRefused("A backup is just being made there. Cancel it first. Nothing was changed.", "at_work")
        schedules.update(destination=None)
        destination.delete()
