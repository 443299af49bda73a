"""The bell: Celery messages that tell a worker to look at an operation."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.db import Error
from django.utils import timezone

from operations import clock, turns, wake_up
from operations.hearing import note_sweep
from operations.kinds import KINDS
from operations.models import Operation, State, lease_length
from operations.purging import forget_old_answers, purge_finished
from operations.resuming import resume_what_may_go_on
from operations.running import execute
from photolala.lib.process import boot_seconds

logger = logging.getLogger(__name__)
RING_AGAIN = timedelta(seconds=60)
RING_SELDOM = timedelta(minutes=10)
_leases: dict[UUID, tuple[tuple[int, datetime | None], float]] = {}
"""The leases that this process has seen, and when (boot clock) it saw each first."""


@shared_task(name="operations.run")
def run_operation(operation_id: str) -> None:
    """Run the operation whose turn it is; quietly nothing if that one is not there or not free. Safe to deliver any number
    of times.

    The one named by the message is rung for again if another goes first.
    """
    queues = turns.consumed_queues()
    waiting: list[UUID] = [UUID(operation_id)]
    while waiting:
        rung = waiting.pop()
        chosen = turns.choose(rung, queues)
        if chosen is None:
            return
        if chosen != rung:
            _ring_or_keep(rung, waiting)
        turn = turns.Turn(queues)
        operation = execute(chosen, turn=turn)
        if operation is None:
            continue
        kind = KINDS.get(operation.kind)
        if operation.state != State.PENDING:
            held_back = turns.next_held_back() if kind is not None and kind.starts_over else None
            if held_back is not None:
                wake_up.ring_for(held_back)
        elif turn.gave_way:
            _ring_or_keep(operation.pk, waiting)
        else:
            wake_up.ring_for(operation)  # the worker is shutting down: the next one finds the message at once


def _ring_or_keep(operation_id: UUID, waiting: list[UUID]) -> None:
    """Ring for an operation; while the broker is away nobody hears that, and this worker sees to it itself."""
    operation = Operation.objects.filter(pk=operation_id, state=State.PENDING).first()
    if operation is not None and not wake_up.ring_for(operation):
        waiting.append(operation_id)


@shared_task(name="operations.tasks.sweep", ignore_result=True)
def sweep() -> int:
    """Ring again for work that nobody does: lost messages, dead workers. Returns how many bells were rung."""
    try:
        clock.look()
        note_sweep()
        resume_what_may_go_on()
    except Error as error:  # a disk that is full, say; what can be read is rung for all the same
        logger.warning("The time could not be noted: %s", error)
    now = timezone.now()
    rung = 0
    for operation in Operation.objects.filter(state=State.PENDING).iterator():
        # The longer it waits, the likelier is a long queue: ringing ever again would only make that longer.
        pause = min(RING_SELDOM, max(RING_AGAIN, (now - operation.updated_at) / 4))
        if _is_rung_before(operation, now - pause, now):
            rung += wake_up.ring_for(operation)
    running = list(Operation.objects.filter(state=State.RUNNING))
    for operation in running:
        is_dead = operation.lease_is_dead(now) or _stands_still(operation)
        if is_dead and _is_rung_before(operation, now - RING_AGAIN / 4, now):
            logger.warning("Operation %s lost its worker; ringing for another.", operation.pk)
            rung += wake_up.ring_for(operation)
    for key in _leases.keys() - {operation.pk for operation in running}:
        del _leases[key]
    return rung


def _is_rung_before(operation: Operation, before: datetime, now: datetime) -> bool:
    """True if nobody was rung since `before`; a time in the future is one of before the clock was set back."""
    return operation.rung_at is None or operation.rung_at < before or operation.rung_at > now


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


@shared_task(name="operations.tasks.purge", ignore_result=True)
def purge() -> int:
    """Forget operations that ended long ago, and answers that were kept for a day. Returns how many operations."""
    forget_old_answers()
    return purge_finished()
