"""A claimed operation in the hands of its process: the fencing number, progress, the heartbeat, and the ways to end."""

import logging
import threading
import time
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from operations.models import Operation, State, lease_length, new_lease
from operations.stages import Stages

logger = logging.getLogger(__name__)
PROGRESS_EVERY_SECONDS = 1.0
_TEXTS = ("error", "error_detail", "result")


class OperationFailed(Exception):
    """The work cannot continue; the text is a sentence for people, `code` says to programs what is needed."""

    def __init__(self, sentence: str, code: str = "failed", **result: Any) -> None:
        super().__init__(sentence)
        self.code = code
        self.result = result


class Cancelled(Exception):
    """A person asked the operation to stop."""


class Interrupted(Exception):
    """The worker is shutting down; the operation continues later."""


class GaveWay(Interrupted):
    """Other work has waited for long enough; the operation is pending, and continues when it is its turn again."""


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
        """Whose it is now: what a person who left had begun continues in another's name. Raises LeaseLost if it is gone."""
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
        mine = self._mine()
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
        updated = self._mine().update(
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
        mine = self._mine()
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
        return self._mine().exists()

    def finish(self, state: State, **fields: Any) -> bool:
        """Leave the running state; False if it was someone else's by then."""
        self.end_heartbeat()
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
        mine = self._mine()
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

    def _mine(self) -> QuerySet[Operation]:
        """Return the query for the operation while this claim holds it: every write goes through it."""
        return Operation.objects.filter(pk=self.operation.pk, token=self.token, state=State.RUNNING)

    def end_heartbeat(self) -> None:
        """Let the lease run out: whatever happens now, this process works on it no more."""
        self._stopping.set()

    def _heartbeat(self) -> None:
        """Extend the lease from a thread of its own, so that one long step does not lose it."""
        while not self._stopping.wait(lease_length().total_seconds() / 3):
            try:
                mine = self._mine()
                if not mine.update(**new_lease()):
                    return
            except Exception:
                logger.warning("Heartbeat of operation %s failed", self.operation.pk, exc_info=True)
            finally:
                connection.close()
