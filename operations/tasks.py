"""Celery tasks: run the operation that a wake-up message names, and enqueue again what nobody does."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error
from django.utils import timezone

from operations import clock, signals, turns, wake_up  # noqa: F401  (workers hear the signals)
from operations.kinds import KINDS
from operations.models import Operation, State, lease_length
from operations.overdue import note_sweep
from operations.purging import forget_old_answers, purge_finished
from operations.retry_failed import resume_what_may_go_on
from operations.running import execute
from photolala.celery import app
from photolala.lib.process import boot_seconds

logger = logging.getLogger(__name__)
ENQUEUE_AGAIN = timedelta(seconds=60)
ENQUEUE_SELDOM = timedelta(minutes=10)
_leases: dict[UUID, tuple[tuple[int, datetime | None], float]] = {}
"""The leases that this process has seen, and when (boot clock) it saw each first."""


@app.task(name="operations.run")
def run_operation(operation_id: str) -> None:
    """Run the operation whose turn it is; quietly nothing if that one is not there or not free. Safe to deliver any number
    of times.

    The one named by the message is enqueued again if another goes first.
    """
    queues = turns.consumed_queues()
    waiting: list[UUID] = [UUID(operation_id)]
    while waiting:
        named = waiting.pop()
        chosen = turns.choose(named, queues)
        if chosen is None:
            return
        if chosen != named:
            _enqueue_or_keep(named, waiting)
        turn = turns.Turn(queues)
        operation = execute(chosen, turn=turn)
        if operation is None:
            continue
        kind = KINDS.get(operation.kind)
        if operation.state != State.PENDING:
            held_back = turns.next_held_back() if kind is not None and kind.starts_over else None
            for follower in (held_back, wake_up.next_in_line(operation)):
                if follower is not None:
                    wake_up.enqueue(follower)
        elif turn.gave_way:
            _enqueue_or_keep(operation.pk, waiting)
        else:
            wake_up.enqueue(operation)  # the worker is shutting down: the next one finds the message at once


def _enqueue_or_keep(operation_id: UUID, waiting: list[UUID]) -> None:
    """Enqueue an operation; while the broker is away no worker gets the message, and this one sees to it itself."""
    operation = Operation.objects.filter(pk=operation_id, state=State.PENDING).first()
    if operation is not None and not wake_up.enqueue(operation):
        waiting.append(operation_id)


@app.task(name="operations.tasks.sweep", ignore_result=True)
def sweep() -> int:
    """Enqueue again the work that nobody does: lost messages, dead workers. Returns how many messages were sent."""
    try:
        clock.look()
        note_sweep()
        resume_what_may_go_on()
    except Error as error:  # a disk that is full, say; what can be read is enqueued all the same
        logger.warning("The time could not be noted: %s", error)
    now = timezone.now()
    sent = 0
    for operation in Operation.objects.filter(state=State.PENDING).first_in_line().iterator():
        # The longer it waits, the likelier is a long queue: more messages would only make that longer.
        pause = min(ENQUEUE_SELDOM, max(ENQUEUE_AGAIN, (now - operation.updated_at) / 4))
        if _is_enqueued_before(operation, now - pause, now):
            sent += wake_up.enqueue(operation)
    running = list(Operation.objects.filter(state=State.RUNNING))
    for operation in running:
        is_dead = operation.lease_is_dead(now) or _stands_still(operation)
        if is_dead and _is_enqueued_before(operation, now - ENQUEUE_AGAIN / 4, now):
            logger.warning("Operation %s lost its worker; enqueued for another.", operation.pk)
            sent += wake_up.enqueue(operation)
    for key in _leases.keys() - {operation.pk for operation in running}:
        del _leases[key]
    return sent


def _is_enqueued_before(operation: Operation, before: datetime, now: datetime) -> bool:
    """True if no message was sent since `before`; a time in the future is one of before the clock was set back."""
    return operation.enqueued_at is None or operation.enqueued_at < before or operation.enqueued_at > now


def _stands_still(operation: Operation) -> bool:
    """True if the lease was not renewed for twice its length, as measured here; then it is ended.

    For workers of other machines and earlier starts, whose leases can only be compared by wall clocks: one that was set back
    would let the lease of a dead worker last for as long.
    """
    lease = (operation.token, operation.lease_until)
    known, since = _leases.setdefault(operation.pk, (lease, boot_seconds()))
    if known != lease:
        _leases[operation.pk] = (lease, boot_seconds())
        return False
    if boot_seconds() - since < 2 * lease_length().total_seconds():
        return False
    same = Operation.objects.filter(pk=operation.pk, token=operation.token, lease_until=operation.lease_until)
    return bool(same.filter(state=State.RUNNING).update(lease_until=None))


@app.task(name="operations.tasks.purge", ignore_result=True)
def purge() -> int:
    """Forget operations that ended long ago, and answers that were kept for a day. Returns how many operations."""
    forget_old_answers()
    return purge_finished()
