"""Whose turn it is: one person's long work never keeps another's waiting while there are fewer workers than work.

A message only says that something waits. The worker that hears it takes what is due by these rules, and asks every second or
so, between batches, whether to give way. What gave way is pending again and continues when its turn comes, by being claimed.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from operations.kinds import KINDS
from operations.running import Run

from .models import Operation, State
from .stages import STAGES

LOOK_SECONDS = 1.0
LEAST_SECONDS = 2.0
"""No turn is shorter."""
WAITED = timedelta(seconds=1.5)
"""What is pending for as long finds no free worker, as it seems."""
YOUNG_SECONDS = 30.0
"""Work that had less time so far is taken for short: long work gives way to it as soon as it can."""
LONG_TURN_SECONDS = 30.0
"""To work that is known to be long, long work gives way only after as much."""
SERVED_LATELY = timedelta(hours=1)
MOST_LOOKED_AT = 50
LEFT_TO_A_COMMAND = timedelta(seconds=60)
TURNS = "turns"
"""In an operation's metrics: how often it gave way (`given`), and how often in a row to no gain (`fruitless`)."""


class Turn:
    """Tells a run when to give way; hand it to `execute`."""

    def __init__(self, queues: Collection[str]) -> None:
        """`queues` are those from which this worker takes work."""
        self.gave_way = False
        self._queues = queues
        self._began = self._looked = monotonic()

    def is_over(self, run: Run) -> bool:
        """True if `run` is to stop here and continue later, which it then does. Asks the database once a second at most."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS or now - self._began < self._least(run):
            return False
        self._looked = now
        self.gave_way = is_waited_for(run.operation, now - self._began, self._queues)
        if self.gave_way:
            noted = run.metrics.get(TURNS, {})
            fruitless = 0 if self._progress(run) is not None else noted.get("fruitless", 0) + 1
            run.metrics[TURNS] = {"given": noted.get("given", 0) + 1, "fruitless": fruitless}
        return self.gave_way

    def _least(self, run: Run) -> float:
        """Return how long this turn is at least.

        Twice as long as it took to come to where the last one had stopped; while that is not reached, twice as long as the
        turn before: so all work comes to its end, whatever waits.
        """
        progress = self._progress(run)
        if progress is not None:
            return max(LEAST_SECONDS, 2 * (progress - self._began))
        return LEAST_SECONDS * float(2 ** min(30, run.metrics.get(TURNS, {}).get("fruitless", 0)))

    def _progress(self, run: Run) -> float | None:
        kind = KINDS.get(run.operation.kind)
        return None if kind is None or kind.starts_over else run.progress_at


def consumed_queues() -> set[str]:
    """Return the queues from which this worker takes work."""
    from celery import current_app  # the web server has no use for it

    return {str(name) for name in current_app.amqp.queues.consume_from}


def is_waited_for(operation: Operation, seconds: float, queues: Collection[str]) -> bool:
    """True if other work should have the worker that `operation` has had for some `seconds`."""
    now = timezone.now()
    waiting = _waiting(queues, now).exclude(pk=operation.pk)
    # One that waits since the future waits since before the clock was set back.
    waiting = waiting.filter(Q(updated_at__lt=now - WAITED) | Q(updated_at__gt=now + WAITED)).order_by("updated_at")
    others = waiting.exclude(owner=operation.owner_id).values_list("started_at", "metrics")
    for started_at, metrics in others[:MOST_LOOKED_AT]:
        if seconds >= LONG_TURN_SECONDS or started_at is None or seconds_in(metrics) < YOUNG_SECONDS:
            return True
    if seconds_in(operation.metrics) + seconds < YOUNG_SECONDS:
        return False
    own = waiting.filter(owner=operation.owner_id).values_list("metrics", flat=True)
    return any(seconds_in(metrics) < YOUNG_SECONDS for metrics in own[:MOST_LOOKED_AT])


def choose(named: UUID, queues: Collection[str]) -> UUID | None:
    """Return which operation a worker that got the message of one of them takes; None if it is to wait, and nothing else does.

    First comes who has the fewest workers, then who had none for the longest; of one person's work what is taken for short,
    then what has waited for the longest.
    """
    waiting = Operation.objects.filter(pk=named).values("state", "kind").first()
    if waiting is None or waiting["state"] != State.PENDING:
        return named  # gone, or of a worker that died: the claim tells
    kind = KINDS.get(waiting["kind"])
    now = timezone.now()
    ripe = Q(updated_at__lt=now - WAITED) | Q(updated_at__gt=now + WAITED) | Q(pk=named)
    waiting = _waiting({*queues, kind.queue} if kind else queues, now).filter(ripe)
    people = dict(waiting.order_by().values_list("owner").annotate(Min("updated_at")))
    if not people:
        return None if kind else named
    if len(people) > 1:
        running = Counter(one.owner_id for one in _running(now))
        lately = Operation.objects.filter(
            owner__in=people, started_at__isnull=False, updated_at__gt=now - SERVED_LATELY
        )
        served = dict(lately.order_by().values_list("owner").annotate(Max("updated_at")))
        long_ago = now - SERVED_LATELY
        owner = min(people, key=lambda one: (running[one], served.get(one, long_ago), people[one]))
        waiting = waiting.filter(owner=owner)
    first = waiting.order_by("updated_at").values_list("pk", "metrics")[:MOST_LOOKED_AT]
    return min(first, key=lambda one: seconds_in(one[1]) >= YOUNG_SECONDS)[0]


def next_held_back() -> Operation | None:
    """Return what waited because too much of its kind ran, once there is room for it; the longest waiting first."""
    if held_back_kinds():
        return None
    names = [name for name, kind in KINDS.items() if kind.starts_over]
    return Operation.objects.filter(state=State.PENDING, kind__in=names).order_by("updated_at").first()


def held_back_kinds() -> set[str]:
    """Return the kinds that wait just now although a worker may be free: the last one is for other work."""
    full = _starting_over_is_full(timezone.now())
    return {name for name, kind in KINDS.items() if full and kind.starts_over}


def seconds_in(metrics: dict[str, Any]) -> float:
    """Return how long an operation was worked at, over all its claims."""
    return float(sum(stage.get("seconds") or 0.0 for stage in metrics.get(STAGES, [])))


def _waiting(queues: Collection[str], now: datetime) -> QuerySet[Operation]:
    """Return what waits for a worker of these queues, without what a command is about to run itself."""
    full = _starting_over_is_full(now)
    names = [name for name, kind in KINDS.items() if kind.queue in queues and not (full and kind.starts_over)]
    pending = Operation.objects.filter(state=State.PENDING, kind__in=names).first_in_line()
    return pending.exclude(started_at=None, worker__gt="", created_at__gt=now - LEFT_TO_A_COMMAND)


def _starting_over_is_full(now: datetime) -> bool:
    """True if all workers but one are at work that cannot give way without beginning again: the last one is for others."""
    if settings.WORKER_PROCESSES < 2:
        return False
    busy = sum(1 for one in _running(now) if (kind := KINDS.get(one.kind)) is not None and kind.starts_over)
    return busy >= settings.WORKER_PROCESSES - 1


def _running(now: datetime) -> list[Operation]:
    running = Operation.objects.filter(state=State.RUNNING).defer("checkpoint", "metrics", "result")
    return [one for one in running if not one.lease_is_dead(now)]
