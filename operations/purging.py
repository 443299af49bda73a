"""Forget what is over: finished operations after a while, so that the list stays one that people read, and kept answers."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from . import clock
from .models import ENDED, Operation, State, StoredAnswer

BATCH = 500
KEPT_FOR = timedelta(hours=24)
"""The answers to requests with an `Idempotency-Key` (`api.idempotency`)."""


def purge_finished(days: int | None = None) -> int:
    """Delete operations that ended more than `days` of being there ago (the setting, if not given); return how many.

    None while the clock is suspect.

    Kept are those that a person may still want to resume, and the last completed one of each kind and key: what it found
    out (hit rates, the time zone of the dates) is asked for later.
    """
    if clock.is_suspect():
        return 0
    before = clock.time_ago(timedelta(days=settings.KEEP_OPERATIONS_DAYS if days is None else days))
    old = Operation.objects.filter(state__in=ENDED, finished_at__lt=before)
    old = old.exclude(Q(state=State.FAILED) & Q(superseded=False))
    completed = Operation.objects.filter(state=State.COMPLETED).order_by("kind", "active_key", "-created_at", "id")
    latest: dict[tuple[str, str], object] = {}
    for key, kind, active_key in completed.values_list("pk", "kind", "active_key").iterator(chunk_size=1000):
        latest.setdefault((kind, active_key), key)
    kept = set(latest.values())
    purged = 0
    last = None
    while True:
        page = old.order_by("id").filter(Q() if last is None else Q(id__gt=last)).values_list("pk", flat=True)[:BATCH]
        keys = list(page)
        if not keys:
            return purged
        last = keys[-1]
        gone = [key for key in keys if key not in kept]
        Operation.objects.filter(pk__in=gone).delete()
        purged += len(gone)


def forget_old_answers(now: datetime | None = None) -> int:
    """Remove the answers that are older than a day; return how many."""
    return StoredAnswer.objects.filter(created_at__lte=(now or timezone.now()) - KEPT_FOR).delete()[0]
