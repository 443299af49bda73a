"""Start, claim and run operations: the lease, the fencing number, progress, cancellation and the ways out."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts.models import User
from operations import wake_up
from operations.kinds import KINDS
from operations.models import ACTIVE, Operation, State, lease_length, new_lease
from operations.passing import MOST_TRIES, is_passing, pause
from operations.reasons import reason_for
from operations.stages import Stages
from photolala.lib.process import worker_identity

logger = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
MOST_STARTS = 5
MOST_CHARACTERS = 8000
PROGRESS_EVERY_SECONDS = 1.0
_TEXTS = ("error", "error_detail", "result")


class OperationFailed(Exception):
    """The work cannot go on; the text is a sentence for people, `code` says to programs what is needed."""

    def __init__(self, sentence: str, code: str = "failed", **result: Any) -> None:
        super().__init__(sentence)
        self.code = code
        self.result = result


class Cancelled(Exception):
    """A person asked the operation to stop."""


class Interrupted(Exception):
    """The worker is shutting down; the operation goes on later."""


class GaveWay(Interrupted):
    """Other work has waited for long enough; the operation is pending, and goes on when it is its turn again."""


class LeaseLost(Exception):
    """Somebody else claimed the operation; this worker must write nothing more."""


class AlreadyActive(Exception):
    """Another operation holds the same key; `operation` is that one."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(f"This is being done already (operation {operation.id}).")
        self.operation = operation


class Turn(Protocol):
    """Says when a run is to give way."""

    def is_over(self, run: "Run") -> bool:
        """True if it is to do so here and now."""


Words = Callable[[Any], Any]
"""Returns a text, or a list or dictionary of texts, as somebody may read it."""
_words_for_owners: list[Callable[[Operation], Words | None]] = []


def words_for_owners(choose: Callable[[Operation], Words | None]) -> Callable[[Operation], Words | None]:
    """Register what knows of things that the owner of an operation may not be told; None where there are none.

    The error, its technical part and the result are written in those words.
    """
    _words_for_owners.append(choose)
    return choose


def start(
    kind: str,
    owner: User,
    *,
    subject: str = "",
    active_key: str = "",
    params: dict[str, Any] | None = None,
    unit: str = "photos",
    enqueue: bool = True,
) -> Operation:
    """Create a pending operation and enqueue it for a worker once the transaction is committed.

    Raises AlreadyActive if `active_key` is held. An earlier one of that key that waits for a person is superseded.
    """
    new = {"kind": kind, "owner": owner, "subject": subject[:200], "active_key": active_key, "unit": unit}
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


def claim(operation_id: Any, worker: str | None = None) -> "Run | None":
    """Take the operation for this process; None if it is finished, cancelled, gone or someone else's."""
    operation = Operation.objects.filter(pk=operation_id).first()
    now = timezone.now()
    if operation is None or operation.state not in ACTIVE:
        return None
    if operation.state == State.RUNNING and not operation.lease_is_dead(now):
        return None
    mine = Operation.objects.filter(pk=operation.pk, token=operation.token, state=operation.state)
    if operation.attempts >= MOST_ATTEMPTS:
        mine.update(
            state=State.FAILED,
            finished_at=now,
            error=f"The worker died {MOST_ATTEMPTS} times at this without getting further. Nothing is lost: see the "
            "log for the reason, then retry.",
            error_code="worker_died",
        )
        return None
    claimed = mine.update(
        state=State.RUNNING,
        token=F("token") + 1,
        **new_lease(),
        worker=worker or worker_identity(),
        attempts=F("attempts") + 1,
        stop_requested=False,
        started_at=Coalesce("started_at", now),
        finished_at=None,
        error="",
        error_code="",
        error_detail="",
        updated_at=now,
    )
    if not claimed:
        return None
    operation.refresh_from_db()
    return Run(operation)


class Run:
    """A claimed operation in the hands of the process that works on it."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.token = operation.token
        self.metrics: dict[str, Any] = dict(operation.metrics)
        self.on_progress: Callable[[Operation], None] | None = None
        self.turn: Turn | None = None
        self.progress_at: float | None = None
        """When this claim first came further than the ones before (`monotonic`)."""
        self._done_before = operation.done  # what the row still says of the claim before
        self._written = 0.0
        self._stages = Stages(self.metrics)
        self._rate_from = (time.monotonic(), operation.done)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, name="operation-heartbeat", daemon=True)
        self._beat.start()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters with which the operation was started."""
        return self.operation.params

    @property
    def owner(self) -> Any:
        """Whose it is now: what a person who left had begun goes on in another's name. Raises LeaseLost if it is gone."""
        operation = Operation.objects.select_related("owner").filter(pk=self.operation.pk).first()
        if operation is None:
            raise LeaseLost
        return operation.owner

    def phase(self, name: str, total: int | None = None, unit: str | None = None) -> None:
        """Begin a new phase: progress counts from nothing towards `total`."""
        operation = self.operation
        self._stages.note(operation)
        operation.phase, operation.done, operation.total, operation.rate = name, 0, total, None
        self._done_before = 0
        if unit:
            operation.unit = unit
        self._stages.begin(operation)
        self._rate_from = (time.monotonic(), 0)
        self.checkpoint(force=True)

    def advance(self, count: int = 1) -> None:
        """Count finished units; written with the next checkpoint."""
        self.operation.done += count

    def forget_param(self, name: str) -> None:
        """Remove a parameter, under the fencing number; raises LeaseLost. A later claim does not see it any more."""
        self.operation.params = {key: value for key, value in self.operation.params.items() if key != name}
        mine = Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING)
        if not mine.update(params=self.operation.params):
            raise LeaseLost

    def checkpoint(self, *, force: bool = True, stop: bool = True, is_lasting: bool = True, **checkpoint: Any) -> None:
        """Write progress under the fencing number; raises LeaseLost, and Cancelled or Interrupted if asked to stop.

        Inside the transaction whose rows it counts call it with `stop=False`, and `raise_if_stopped` after the commit:
        finished work is then never rolled back. With `force=False` it writes at most once a second. Say
        `is_lasting=False` of progress that the next claim has to make again: it is no sign that a worker survives this.
        """
        if is_lasting and self.operation.done > self._done_before and self.progress_at is None:
            self.progress_at = monotonic()
        now = time.monotonic()
        if not force and now - self._written < PROGRESS_EVERY_SECONDS:
            return
        operation = self.operation
        since, done = self._rate_from
        if now - since > 0.5:
            current = max(0.0, (operation.done - done) / (now - since))
            operation.rate = current if operation.rate is None else 0.5 * operation.rate + 0.5 * current
            self._rate_from = (now, operation.done)
        self._stages.note(operation)
        if checkpoint:
            operation.checkpoint = {**operation.checkpoint, **checkpoint}
        updated = Operation.objects.filter(pk=operation.pk, token=self.token, state=State.RUNNING).update(
            phase=operation.phase,
            done=operation.done,
            total=operation.total,
            unit=operation.unit,
            rate=operation.rate,
            metrics=self.metrics,
            checkpoint=operation.checkpoint,
            **new_lease(),
            updated_at=timezone.now(),
            attempts=0 if operation.done and is_lasting else F("attempts"),
        )
        if not updated:
            raise LeaseLost
        self._written = now
        if self.on_progress:
            self.on_progress(operation)
        if stop:
            self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise Cancelled or Interrupted if a person or the shutting-down worker asked for it, GaveWay if other work waits for
        this worker; LeaseLost if it is not ours."""
        mine = Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING)
        asked = mine.values_list("cancel_requested", "stop_requested").first()
        if asked is None:
            raise LeaseLost
        if asked[0]:
            raise Cancelled
        if asked[1]:
            raise Interrupted
        if self.turn is not None and self.turn.is_over(self):
            raise GaveWay

    def still_mine(self) -> bool:
        """True while the fencing number is ours: ask right before publishing something."""
        return Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING).exists()

    def finish(self, state: State, **fields: Any) -> bool:
        """Leave the running state; False if it was someone else's by then."""
        self._stopping.set()
        now = timezone.now()
        operation = self.operation
        self._stages.note(operation)
        # At rest it keeps a person's wish to cancel that came a moment before: the next claim hears it.
        ended = {} if state in (State.PENDING, State.INTERRUPTED) else {"finished_at": now, "cancel_requested": False}
        values = {
            "state": state,
            "phase": operation.phase,
            "done": operation.done,
            "total": operation.total,
            "metrics": self.metrics,
            "lease_until": None,
            "updated_at": now,
            "stop_requested": False,
            **ended,
            **self._for_its_owner(fields),
        }
        mine = Operation.objects.filter(pk=operation.pk, token=self.token, state=State.RUNNING)
        if not mine.update(**values):
            return False
        operation.refresh_from_db()
        return True

    def _for_its_owner(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields as the owner of the operation may read them: whose it is may have changed meanwhile."""
        if not any(fields.get(name) for name in _TEXTS):
            return fields
        operation = Operation.objects.filter(pk=self.operation.pk).first()
        if operation is None:
            return fields
        for choose in _words_for_owners:
            words = choose(operation)
            if words is not None:
                fields = {name: words(value) if name in _TEXTS else value for name, value in fields.items()}
        return fields

    def _heartbeat(self) -> None:
        """Extend the lease from a thread of its own, so that one long step does not lose it."""
        while not self._stopping.wait(lease_length().total_seconds() / 3):
            try:
                mine = Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING)
                if not mine.update(**new_lease()):
                    return
            except Exception:
                logger.warning("Heartbeat of operation %s failed", self.operation.pk, exc_info=True)
            finally:
                connection.close()


def execute(
    operation_id: Any,
    *,
    foreground: bool = False,
    on_progress: Callable[[Operation], None] | None = None,
    turn: Turn | None = None,
) -> Operation | None:
    """Claim and run an operation to one of its ends; return it, or None if it was not ours to run.

    In the foreground (a command) Ctrl-C leaves it `interrupted`; a worker that shuts down leaves it `pending`. What meets a
    trouble of the database that passes is gone on with here; if it stays, it is left as at a shutdown.
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
            run._stopping.set()
        if not goes_on:
            break
        pause(tries)
        again = claim(operation_id)
        if again is None:
            break
        run = again
    return Operation.objects.filter(pk=run.operation.pk).first()


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
        run.finish(State.CANCELLED, error="Cancelled. What was done stays; resume goes on from there.")
    except GaveWay:
        # Neither counted as an attempt nor taken for a sign that a worker survives this.
        run.finish(State.PENDING, attempts=Greatest(F("attempts") - 1, 0), enqueued_at=None)
    except Interrupted:
        run.finish(at_rest, attempts=0, enqueued_at=None)
    except (KeyboardInterrupt, SystemExit):
        words = "Interrupted. Nothing is lost: resume goes on from there." if foreground else ""
        run.finish(at_rest, error=words, attempts=0, enqueued_at=None)
        raise
    except LeaseLost:
        logger.warning("Operation %s is someone else's by now, or gone; stopped.", run.operation.pk)
    except OperationFailed as failure:
        logger.warning("Operation %s (%s) failed: %s", run.operation.pk, run.operation.kind, failure.code)
        run.finish(State.FAILED, error=str(failure)[:MOST_CHARACTERS], error_code=failure.code, result=failure.result)
    except Exception as error:  # the whole must not crash: what went wrong is kept with the operation
        if is_passing(error):
            return _put_off(run, error, State.PENDING if not is_last_try else at_rest, is_last_try=is_last_try)
        known = reason_for(error)
        if known:
            logger.warning("Operation %s (%s) failed: %s", run.operation.pk, run.operation.kind, known[1])
        else:
            logger.exception("Operation %s (%s) failed", run.operation.pk, run.operation.kind)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        unexpected = (
            f"Something unexpected stopped this: {type(error).__name__}. What was done stays; retry goes on from there.",
            "unexpected",
        )
        sentence, code = known or unexpected
        detail = traceback.format_exc()[-8000:]
        run.finish(State.FAILED, error=sentence, error_code=code, error_detail=detail)
    return False


def _put_off(run: Run, error: Exception, state: State, *, is_last_try: bool) -> bool:
    """Leave what met a trouble of the database that passes; True if it is to be claimed again at once."""
    words = str(error).partition("\n")[0]
    logger.warning("Operation %s (%s) goes on in a moment: %s", run.operation.pk, run.operation.kind, words)
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    # Rung at once where it is left; else the sweep need not know of it for a while.
    enqueued_at = None if is_last_try else timezone.now()
    sentence = f"The database was busy ({words[:200]}). What was done stays; it goes on from there."
    mine = Operation.objects.filter(pk=run.operation.pk, token=run.token, stop_requested=True)
    is_stopped = mine.exists()  # the worker is shutting down
    attempts = Greatest(F("attempts") - 1, 0)  # it is no fault of the work's
    return (
        run.finish(state, error=sentence, attempts=attempts, enqueued_at=enqueued_at)
        and not is_last_try
        and not is_stopped
    )
