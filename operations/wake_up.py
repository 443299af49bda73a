"""Wake a worker up for an operation: a Celery message; the sweep sends what was lost again."""

import logging

from django.db import Error, transaction
from django.utils import timezone

from operations.kinds import queue_of
from operations.models import Operation, State

logger = logging.getLogger(__name__)


def enqueue(operation: Operation) -> int:
    """Send the message for `operation`; a broker that is away is no error, because the sweep sends it again."""
    from photolala.celery import app  # here, so that commands which send nothing start without Celery

    try:
        app.send_task("operations.run", (str(operation.pk),), queue=queue_of(operation), ignore_result=True)
    except Exception as error:  # noqa: BLE001  (kombu raises many kinds; the operation is safe in the database)
        logger.warning("Operation %s could not be enqueued: %s", operation.pk, error)
        return 0
    try:
        Operation.objects.filter(pk=operation.pk).update(enqueued_at=timezone.now())
    except Error as error:
        logger.warning("It could not be noted that operation %s was enqueued: %s", operation.pk, error)
    return 1


def next_in_line(operation: Operation) -> Operation | None:
    """Return what comes next in the line of one that is not at work any more, or deleted."""
    if not operation.line:
        return None
    waiting = Operation.objects.filter(line=operation.line, state=State.PENDING)
    return waiting.first_in_line().order_by("created_at", "pk").first()


def enqueue_next_in_line(operation: Operation) -> None:
    """Send the message for what comes next in its line, once the transaction is committed."""
    follower = next_in_line(operation)
    if follower is not None:
        transaction.on_commit(lambda: enqueue(follower))
