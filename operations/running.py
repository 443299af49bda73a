"""Start, claim and execute operations: who may take one, and each of the ways in which its work can end.

The face of long work: what a kind's own code needs of its run (`Run`, the exceptions that end it) is imported from here, too.
"""

import logging
import traceback
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts.models import User
from operations import wake_up
from operations.database_conflicts import MOST_TRIES, is_transient, pause
from operations.kinds import KINDS
from operations.models import ACTIVE, INTERRUPTIONS, Operation, State, new_lease
from operations.reasons import reason_for
from operations.runs import (
    AlreadyActive,
    Cancelled,
    GaveWay,
    Interrupted,
    LeaseLost,
    OperationFailed,
    Run,
    Turn,
    Words,
    words_for_owners,
)
from photolala.lib.process import worker_identity

__all__ = [
    "AlreadyActive",
    "Cancelled",
    "GaveWay",
    "Interrupted",
    "LeaseLost",
    "OperationFailed",
    "Run",
    "Turn",
    "Words",
    "claim",
    "execute",
    "start",
    "words_for_owners",
]

logger = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
MOST_STARTS = 5
MOST_CHARACTERS = 8000


def start(
    kind: str,
    owner: User,
    *,
    subject: str = "",
    active_key: str = "",
    line: str = "",
    params: dict[str, Any] | None = None,
    unit: str = "photos",
    enqueue: bool = True,
) -> Operation:
    """Create a pending operation and enqueue it for a worker once the transaction is committed.

    Of those of the same `line` one runs at a time, in the order in which they were made.
    Raises AlreadyActive if `active_key` is held. An earlier one of that key that waits for a person is superseded.
    """
    new = {"kind": kind, "owner": owner, "subject": subject[:200], "active_key": active_key, "line": line, "unit": unit}
    # Who runs it without a message has as long to claim it as a worker that got one, and is named; then the sweep enqueues it.
    enqueued_at = None if enqueue else timezone.now()
    new |= {} if enqueue else {"worker": worker_identity()}
    for attempt in range(MOST_STARTS):
        try:
            with transaction.atomic():
                operation = Operation.objects.create(**new, params=params or {}, enqueued_at=enqueued_at)
                if active_key:
                    earlier = Operation.objects.filter(active_key=active_key).exclude(pk=operation.pk)
                    earlier.exclude(state=State.COMPLETED).update(superseded=True)
        except IntegrityError:
            existing = Operation.objects.filter(active_key=active_key, state__in=ACTIVE).first() if active_key else None
            if existing is not None:
                raise AlreadyActive(existing) from None
            if not active_key or attempt + 1 == MOST_STARTS:
                raise
            continue  # the other one ended in between
        break
    if enqueue:
        transaction.on_commit(lambda: wake_up.enqueue(operation))
    return operation


def claim(operation_id: Any, worker: str | None = None) -> Run | None:
    """Take the operation for this process; None if it is finished, cancelled, gone, someone else's or not yet its turn."""
    operation = Operation.objects.filter(pk=operation_id).first()
    now = timezone.now()
    if operation is None or operation.state not in ACTIVE:
        return None
    if operation.state == State.RUNNING and not operation.lease_is_dead(now):
        return None
    mine = Operation.objects.filter(pk=operation.pk, token=operation.token, state=operation.state)
    if operation.attempts >= MOST_ATTEMPTS:
        given_up = mine.update(
            state=State.FAILED,
            finished_at=now,
            error=f"The worker died {MOST_ATTEMPTS} times at this without getting further. Nothing is lost: see the "
            "log for the reason, then retry.",
            error_code="worker_died",
        )
        if given_up:
            wake_up.enqueue_next_in_line(operation)
        return None
    if operation.state == State.PENDING and not mine.first_in_line().exists():
        return None
    claim_of_it = {
        "state": State.RUNNING,
        "token": F("token") + 1,
        **new_lease(),
        "worker": worker or worker_identity(),
        "attempts": F("attempts") + 1,
        "stop_requested": False,
        "started_at": Coalesce("started_at", now),
        "finished_at": None,
        "error": "",
        "error_code": "",
        "error_detail": "",
        "updated_at": now,
    }
    if operation.state == State.RUNNING:  # whoever had it was killed
        count = operation.metrics.get(INTERRUPTIONS, 0)
        claim_of_it["metrics"] = {**operation.metrics, INTERRUPTIONS: count + 1}
    try:
        with transaction.atomic():
            claimed = mine.update(**claim_of_it)
    except IntegrityError:  # another one of its line was quicker
        return None
    if not claimed:
        return None
    operation.refresh_from_db()
    return Run(operation)


def execute(
    operation_id: Any,
    *,
    foreground: bool = False,
    on_progress: Callable[[Operation], None] | None = None,
    turn: Turn | None = None,
) -> Operation | None:
    """Claim and run an operation to one of its ends; return it, or None if it was not ours to run.

    In the foreground (a command) Ctrl-C leaves it `interrupted`; a worker that shuts down leaves it `pending`. What meets a
    trouble of the database that passes is handled here, by trying again; if it stays, it is left as at a shutdown.
    `on_progress` is called after each written checkpoint; `turn` says when it is to give way, and be `pending` again.
    """
    run = claim(operation_id)
    if run is None:
        return None
    for tries in range(1, MOST_TRIES + 1):
        run.on_progress, run.turn = on_progress, turn
        try:
            goes_on = _run_to_an_end(run, foreground=foreground, is_last_try=tries == MOST_TRIES)
        finally:
            run.end_heartbeat()
        if not goes_on:
            break
        pause(tries)
        again = claim(operation_id)
        if again is None:
            break
        run = again
    ended = Operation.objects.filter(pk=run.operation.pk).first()
    if ended is None:  # deleted meanwhile: nobody else knows in which line it was
        wake_up.enqueue_next_in_line(run.operation)
    return ended


def _run_to_an_end(run: Run, *, foreground: bool, is_last_try: bool) -> bool:
    """Do the work and write how it ended; True if it did not, and is to be claimed again."""
    kind = KINDS.get(run.operation.kind)
    at_rest = State.INTERRUPTED if foreground else State.PENDING
    try:
        if kind is None:
            raise OperationFailed(f"This version knows no work called {run.operation.kind!r}.")
        result = kind.run(run) or {}
        run.finish(State.COMPLETED, result=result, attempts=0)
    except Cancelled:
        run.finish(State.CANCELLED, error="Cancelled. What was done stays; resume continues from there.")
    except GaveWay:
        # Neither counted as an attempt nor taken for a sign that a worker survives this.
        run.finish(State.PENDING, attempts=Greatest(F("attempts") - 1, 0), enqueued_at=None)
    except Interrupted:
        run.finish(at_rest, attempts=0, enqueued_at=None)
    except (KeyboardInterrupt, SystemExit):
        words = "Interrupted. Nothing is lost: resume continues from there." if foreground else ""
        run.finish(at_rest, error=words, attempts=0, enqueued_at=None)
        raise
    except LeaseLost:
        logger.warning("Operation %s is someone else's by now, or gone; stopped.", run.operation.pk)
    except OperationFailed as failure:
        logger.warning("Operation %s (%s) failed: %s", run.operation.pk, run.operation.kind, failure.code)
        run.finish(State.FAILED, error=str(failure)[:MOST_CHARACTERS], error_code=failure.code, result=failure.result)
    except Exception as error:  # the whole must not crash: what went wrong is kept with the operation
        if is_transient(error):
            return _put_off(run, error, State.PENDING if not is_last_try else at_rest, is_last_try=is_last_try)
        known = reason_for(error)
        if known:
            logger.warning("Operation %s (%s) failed: %s", run.operation.pk, run.operation.kind, known[1])
        else:
            logger.exception("Operation %s (%s) failed", run.operation.pk, run.operation.kind)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        unexpected = (
            f"Something unexpected stopped this: {type(error).__name__}. What was done stays; retry continues from there.",
            "unexpected",
        )
        sentence, code = known or unexpected
        detail = traceback.format_exc()[-8000:]
        run.finish(State.FAILED, error=sentence, error_code=code, error_detail=detail)
    return False


def _put_off(run: Run, error: Exception, state: State, *, is_last_try: bool) -> bool:
    """Leave what met a trouble of the database that passes; True if it is to be claimed again at once."""
    words = str(error).partition("\n")[0]
    logger.warning("Operation %s (%s) continues in a moment: %s", run.operation.pk, run.operation.kind, words)
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    # Claimed again at once where it is left; else the sweep need not know of it for a while.
    enqueued_at = None if is_last_try else timezone.now()
    sentence = f"The database was busy ({words[:200]}). What was done stays; it continues from there."
    mine = Operation.objects.filter(pk=run.operation.pk, token=run.token, stop_requested=True)
    is_stopped = mine.exists()  # the worker is shutting down
    attempts = Greatest(F("attempts") - 1, 0)  # it is no fault of the work's
    return (
        run.finish(state, error=sentence, attempts=attempts, enqueued_at=enqueued_at)
        and not is_last_try
        and not is_stopped
    )
