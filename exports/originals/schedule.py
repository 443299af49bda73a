"""Exports that nobody asks for: when a destination's own schedule says that it is time."""

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from catalog.models import Library
from exports.destinations.folders import check_folder
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from operations.models import Operation
from operations.running import AlreadyActive

from .requests import start_folder_export

logger = logging.getLogger(__name__)


def start_due_exports(now: datetime | None = None) -> int:
    """Start an export to each destination for which it is time, in its owner's name; return how many.

    It is time from the scheduled hour on, until every library that was exported to the destination before, and that its
    owner may still see, has been asked for once since then, by whomever and however it ended. One at a time.
    """
    now = now or timezone.now()
    scheduled = ExportDestination.objects.exclude(schedule=ExportDestination.Schedule.NEVER)
    return sum(_start_next(one, now) for one in scheduled.filter(owner__is_active=True).select_related("owner"))


def last_due(destination: ExportDestination, now: datetime) -> datetime | None:
    """Return when it was time last, by the server's clock; None if it was not since the schedule was set."""
    local = timezone.localtime(now)
    due = local.replace(hour=destination.schedule_hour, minute=0, second=0, microsecond=0)
    period = timedelta(days=1)
    if destination.schedule == ExportDestination.Schedule.WEEKLY:
        period = timedelta(days=7)
        due -= timedelta(days=(local.weekday() - destination.schedule_weekday) % 7)
    if due > local:
        due -= period
    return due if destination.scheduled_since is not None and due >= destination.scheduled_since else None


def _start_next(destination: ExportDestination, now: datetime) -> bool:
    due = last_due(destination, now)
    if due is None:
        return False
    asked = Operation.objects.filter(
        kind="export_folder", params__destination=str(destination.pk), created_at__gte=due
    ).values_list("params__library", flat=True)
    visible = Library.objects.visible_to(destination.owner).values("pk")
    library = destination.libraries.filter(pk__in=visible).exclude(pk__in=list(asked)).order_by("name", "pk").first()
    if library is None:
        return False
    try:
        check_folder(destination.owner, destination.folder, but=destination)
        start_folder_export(destination.owner, library, destination)
    except AlreadyActive:
        return False  # the next minute asks again
    except ExportRefused as refused:
        _tell(destination, str(refused), now)
        return False
    return True


def _tell(destination: ExportDestination, reason: str, now: datetime) -> None:
    """Let the owner know, on the destination's page, why no export begins: once for each reason, though each minute tries."""
    told = ExportDestination.objects.filter(pk=destination.pk).exclude(refusal=reason)
    if told.update(refusal=reason, refused_at=now):
        logger.warning("The scheduled export to %s is refused: %s", destination.pk, reason)
