"""Start, claim and run operations: the lease, the fencing number, progress, cancellation and the ways out."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from photolala.lib.process import worker_identity

from .models import ACTIVE, Operation, State, lease_length

logger = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
PROGRESS_EVERY_SECONDS = 1.0


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


class LeaseLost(Exception):
    """Somebody else claimed the operation; this worker must write nothing more."""


class AlreadyActive(Exception):
    """Another operation holds the same key; `operation` is that one."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(f"This is being done already (operation {operation.id}).")
        self.operation = operation


@dataclass(frozen=True)
class Kind:
    """A kind of work: its `run` does it, on `queue`."""

    name: str
    label: str
    queue: str
    run: Callable[["Run"], dict[str, Any] | None]


KINDS: dict[str, Kind] = {}


def operation_kind(name: str, *, label: str, queue: str) -> Callable[[Callable[["Run"], Any]], Callable[["Run"], Any]]:
    """Register the decorated function as what an operation of kind `name` does; it returns the operation's result."""

    def register(run: Callable[["Run"], Any]) -> Callable[["Run"], Any]:
        KINDS[name] = Kind(name, label, queue, run)
        return run

    return register


def start(
    kind: str,
    owner: Any,
    *,
    subject: str = "",
    active_key: str = "",
    params: dict[str, Any] | None = None,
    unit: str = "photos",
    ring: bool = True,
) -> Operation:
    """Create a pending operation and ring for a worker once the transaction is committed.

    Raises AlreadyActive if `active_key` is held. An earlier one of that key that waits for a person is superseded.
    """
    from .tasks import ring_for

    try:
        with transaction.atomic():
            operation = Operation.objects.create(
                kind=kind, owner=owner, subject=subject[:200], active_key=active_key, params=params or {}, unit=unit
            )
    except IntegrityError:
        existing = Operation.objects.filter(active_key=active_key, state__in=ACTIVE).first()
        if existing is None:
            return start(
                kind, owner, subject=subject, active_key=active_key, params=params, unit=unit, ring=ring
            )  # it ended in between
        raise AlreadyActive(existing) from None
    if active_key:
        earlier = Operation.objects.filter(active_key=active_key).exclude(pk=operation.pk)
        earlier.exclude(state=State.COMPLETED).update(superseded=True)
    if ring:
        transaction.on_commit(lambda: ring_for(operation))
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
        lease_until=now + lease_length(),
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
        self._written = 0.0
        self._rate_from = (time.monotonic(), operation.done)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, name="operation-heartbeat", daemon=True)
        self._beat.start()

    @property
    def params(self) -> dict[str, Any]:
        """The operation's parameters."""
        return self.operation.params

    def phase(self, name: str, total: int | None = None, unit: str | None = None) -> None:
        """Begin a new phase: progress counts from nothing towards `total`."""
        operation = self.operation
        operation.phase, operation.done, operation.total, operation.rate = name, 0, total, None
        if unit:
            operation.unit = unit
        self._rate_from = (time.monotonic(), 0)
        self.checkpoint(force=True)

    def advance(self, count: int = 1) -> None:
        """Count finished units; written with the next checkpoint."""
        self.operation.done += count

    def checkpoint(self, *, force: bool = True, stop: bool = True, **checkpoint: Any) -> None:
        """Write progress under the fencing number; raises LeaseLost, and Cancelled or Interrupted if asked to stop.

        Inside the transaction whose rows it counts call it with `stop=False`, and `raise_if_stopped` after the commit:
        finished work is then never rolled back. With `force=False` it writes at most once a second.
        """
        now = time.monotonic()
        if not force and now - self._written < PROGRESS_EVERY_SECONDS:
            return
        operation = self.operation
        since, done = self._rate_from
        if now - since > 0.5:
            current = max(0.0, (operation.done - done) / (now - since))
            operation.rate = current if operation.rate is None else 0.5 * operation.rate + 0.5 * current
            self._rate_from = (now, operation.done)
        if checkpoint:
            operation.checkpoint = {**operation.checkpoint, **checkpoint}
        wall = timezone.now()
        updated = Operation.objects.filter(pk=operation.pk, token=self.token, state=State.RUNNING).update(
            phase=operation.phase,
            done=operation.done,
            total=operation.total,
            unit=operation.unit,
            rate=operation.rate,
            metrics=self.metrics,
            checkpoint=operation.checkpoint,
            lease_until=wall + lease_length(),
            updated_at=wall,
            attempts=0 if operation.done else F("attempts"),
        )
        if not updated:
            raise LeaseLost
        self._written = now
        if self.on_progress:
            self.on_progress(operation)
        if stop:
            self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise Cancelled or Interrupted if a person or the shutting-down worker asked for it."""
        asked = Operation.objects.filter(pk=self.operation.pk).values_list("cancel_requested", "stop_requested").first()
        if asked is None:
            raise LeaseLost
        if asked[0]:
            raise Cancelled
        if asked[1]:
            raise Interrupted

    def still_mine(self) -> bool:
        """True while the fencing number is ours: ask right before publishing something."""
        return Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING).exists()

    def finish(self, state: State, **fields: Any) -> bool:
        """Leave the running state; False if it was someone else's by then."""
        self._stopping.set()
        now = timezone.now()
        operation = self.operation
        ended = {} if state in (State.PENDING, State.INTERRUPTED) else {"finished_at": now}
        values = {
            "state": state,
            "phase": operation.phase,
            "done": operation.done,
            "total": operation.total,
            "metrics": self.metrics,
            "lease_until": None,
            "updated_at": now,
            "cancel_requested": False,
            "stop_requested": False,
            **ended,
            **fields,
        }
        mine = Operation.objects.filter(pk=operation.pk, token=self.token, state=State.RUNNING)
        if not mine.update(**values):
            return False
        operation.refresh_from_db()
        return True

    def _heartbeat(self) -> None:
        """Extend the lease from a thread of its own, so that one long step does not lose it."""
        while not self._stopping.wait(lease_length().total_seconds() / 3):
            try:
                mine = Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING)
                if not mine.update(lease_until=timezone.now() + lease_length()):
                    return
            except Exception:
                logger.warning("Heartbeat of operation %s failed", self.operation.pk, exc_info=True)
            finally:
                connection.close()


def execute(
    operation_id: Any, *, foreground: bool = False, on_progress: Callable[[Operation], None] | None = None
) -> Operation | None:
    """Claim and run an operation to one of its ends; return it, or None if it was not ours to run.

    In the foreground (a command) Ctrl-C leaves it `interrupted`; a worker that shuts down leaves it `pending`.
    `on_progress` is called after each written checkpoint.
    """
    run = claim(operation_id)
    if run is None:
        return None
    run.on_progress = on_progress
    kind = KINDS.get(run.operation.kind)
    try:
        if kind is None:
            raise OperationFailed(f"This version knows no work called {run.operation.kind!r}.")
        result = kind.run(run) or {}
        run.finish(State.COMPLETED, result=result, attempts=0)
    except Cancelled:
        run.finish(State.CANCELLED, error="Cancelled. What was done stays; resume goes on from there.")
    except Interrupted:
        run.finish(State.INTERRUPTED if foreground else State.PENDING, attempts=0, rung_at=None)
    except KeyboardInterrupt:
        run.finish(State.INTERRUPTED, error="Interrupted. Nothing is lost: resume goes on from there.", attempts=0)
        if foreground:
            raise
    except LeaseLost:
        logger.warning("Operation %s was taken over by another worker; stopped.", operation_id)
    except OperationFailed as failure:
        run.finish(State.FAILED, error=str(failure), error_code=failure.code, result=failure.result)
    except Exception as error:  # the whole must not crash: what went wrong is kept with the operation
        logger.exception("Operation %s (%s) failed", operation_id, run.operation.kind)
        run.finish(
            State.FAILED,
            error=f"Something unexpected stopped this: {type(error).__name__}. What was done stays; retry goes on from "
            "there.",
            error_code="unexpected",
            error_detail=traceback.format_exc()[-8000:],
        )
    finally:
        run._stopping.set()
    run.operation.refresh_from_db()
    return run.operation
