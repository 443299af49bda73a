"""What people may do with an operation: cancel, resume, retry."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from operations import wake_up
from operations.kinds import KINDS
from operations.running import AlreadyActive

from .models import ACTIVE, Operation, State


class NotPossible(Exception):
    """The operation's state does not allow it; the text says why."""


def cancel(operation: Operation) -> None:
    """Ask a running operation to stop within its batch; a waiting one is cancelled at once. Raises NotPossible."""
    waiting = Operation.objects.filter(pk=operation.pk, state__in=[State.PENDING, State.INTERRUPTED])
    if waiting.update(state=State.CANCELLED, finished_at=timezone.now(), updated_at=timezone.now()):
        operation.refresh_from_db()
        wake_up.enqueue_next_in_line(operation)
        return
    if not Operation.objects.filter(pk=operation.pk, state=State.RUNNING).update(cancel_requested=True):
        operation.refresh_from_db()
        raise NotPossible(f"This operation is {operation.state} already.")
    operation.refresh_from_db()


def can_start_over(operation: Operation) -> bool:
    """True if it may be resumed, and has something to throw away first."""
    kind = KINDS.get(operation.kind)
    return operation.can_resume and kind is not None and kind.keeps_work


def start_over(operation: Operation) -> None:
    """Set it to work again from the beginning, as if it had read nothing yet. Raises NotPossible or AlreadyActive."""
    if not can_start_over(operation):
        raise NotPossible("There is nothing to start over here; resume does the same.")
    resume(operation, start_over=True)


def resume(operation: Operation, **params: object) -> None:
    """Set an interrupted, cancelled or failed operation to work again, from where it stood.

    `params` are added to its parameters (a person's answer to a question). Raises NotPossible or AlreadyActive.
    """
    if not operation.can_resume:
        raise NotPossible(f"This operation is {operation.state}; there is nothing to resume.")
    try:
        with transaction.atomic():
            now = Operation.objects.select_for_update().filter(pk=operation.pk, state=operation.state, superseded=False)
            current = now.first()
            updated = current and now.update(
                state=State.PENDING,
                params={**current.params, **params},
                attempts=0,
                cancel_requested=False,
                stop_requested=False,
                enqueued_at=None,
                finished_at=None,
                lease_until=None,
                updated_at=timezone.now(),
            )
    except IntegrityError:
        other = Operation.objects.filter(active_key=operation.active_key, state__in=ACTIVE).first()
        if other is None:
            raise NotPossible("Another one of the same kind has just ended; look again before resuming this.") from None
        raise AlreadyActive(other) from None
    operation.refresh_from_db()
    if not updated:
        raise NotPossible(f"This operation is {operation.state} by now.")
    transaction.on_commit(lambda: wake_up.enqueue(operation))
