"""Resume by itself what failed for a reason that passes: a disk that was full, a database that was away, killed workers."""

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from operations.running import AlreadyActive

from .control import NotPossible, resume
from .models import Operation, State

logger = logging.getLogger(__name__)
SOONEST = {
    "no_space": timedelta(minutes=5),
    "io_error": timedelta(minutes=5),
    "database_unavailable": timedelta(minutes=1),
    "worker_died": timedelta(hours=1),
}
"""Codes of failures that pass, and how long at least is waited."""
SELDOMEST = timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=30)


def resume_what_may_go_on(now: datetime | None = None) -> int:
    """Set failed operations to work again whose reason may have passed, the older the more seldom; return how many."""
    now = now or timezone.now()
    failed = Operation.objects.filter(state=State.FAILED, superseded=False, error_code__in=list(SOONEST))
    resumed = 0
    for operation in failed.filter(created_at__gt=now - GIVEN_UP_AFTER).order_by("created_at"):
        pause = min(SELDOMEST, max(SOONEST[operation.error_code], (now - operation.created_at) / 8))
        ended = operation.finished_at
        if (
            ended is not None and now - pause < ended <= now
        ):  # one in the future is one of before the clock was set back
            continue
        try:
            resume(operation)
        except (NotPossible, AlreadyActive):
            continue  # somebody else was quicker
        logger.info(
            "Operation %s (%s) continues; it had failed: %s", operation.pk, operation.kind, operation.error_code
        )
        resumed += 1
    return resumed
