"""The bell: Celery messages that tell a worker to look at an operation."""

import logging
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from .models import Operation, State
from .purging import purge_finished
from .running import KINDS, execute

logger = logging.getLogger(__name__)
RING_AGAIN = timedelta(seconds=60)
RING_SELDOM = timedelta(minutes=10)


@shared_task(name="operations.run")
def run_operation(operation_id: str) -> None:
    """Run one operation if it is there and free; quietly nothing otherwise. Safe to deliver any number of times."""
    operation = execute(operation_id)
    if operation is not None and operation.state == State.PENDING:
        ring_for(operation)  # the worker is shutting down: the next one finds the message at once


@shared_task(name="operations.tasks.sweep", ignore_result=True)
def sweep() -> int:
    """Ring again for work that nobody does: lost messages, dead workers. Returns how many bells were rung."""
    now = timezone.now()
    rung = 0
    for operation in Operation.objects.filter(state=State.PENDING).iterator():
        # The longer it waits, the likelier is a long queue: ringing ever again would only make that longer.
        pause = min(RING_SELDOM, max(RING_AGAIN, (now - operation.updated_at) / 4))
        if operation.rung_at is None or operation.rung_at < now - pause:
            rung += ring_for(operation)
    for operation in Operation.objects.filter(state=State.RUNNING):
        if operation.lease_is_dead(now) and (operation.rung_at is None or operation.rung_at < now - RING_AGAIN / 4):
            logger.warning("Operation %s lost its worker; ringing for another.", operation.pk)
            rung += ring_for(operation)
    return rung


def ring_for(operation: Operation) -> int:
    """Send the message for `operation`; a broker that is away is no error, because the sweep rings again."""
    kind = KINDS.get(operation.kind)
    try:
        run_operation.apply_async((str(operation.pk),), queue=kind.queue if kind else "files")
    except Exception as error:  # noqa: BLE001  (kombu raises many kinds; the operation is safe in the database)
        logger.warning("The broker could not be rung for operation %s: %s", operation.pk, error)
        return 0
    Operation.objects.filter(pk=operation.pk).update(rung_at=timezone.now())
    return 1


@shared_task(name="operations.tasks.purge", ignore_result=True)
def purge() -> int:
    """Forget operations that ended long ago. Returns how many."""
    return purge_finished()
