"""Work that waits too long although a worker should be free: for readiness, the doctor, and the worker itself."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connections
from django.utils import timezone

from operations.kinds import queue_of
from operations.models import ClockReading, Operation, State
from operations.turns import held_back_kinds

logger = logging.getLogger(__name__)
OVERDUE_AFTER = timedelta(minutes=3)
LOOK_SECONDS = 30.0
# Held by `OverdueWatch` while it asks the database, and over a fork: no child is forked while another thread is inside
# SQLite, whose locks it would inherit closed.
_asking = threading.RLock()
os.register_at_fork(before=_asking.acquire, after_in_parent=_asking.release, after_in_child=_asking.release)


def note_sweep() -> None:
    """Note that a worker gets messages just now."""
    ClockReading.objects.update(heard_at=timezone.now())


def overdue() -> list[Operation]:
    """Return the pending operations, oldest first, that have waited for three minutes although a worker should be free.

    None is free while as many work as this server has worker processes, or while one works for the same queue and others
    were seen lately. What is held back so that a worker stays free, or waits in line, does not count.
    """
    now = timezone.now()
    waiting = Operation.objects.filter(state=State.PENDING, updated_at__lt=now - OVERDUE_AFTER).first_in_line()
    waiting = waiting.order_by("updated_at")
    pending = list(waiting.defer("checkpoint", "metrics", "result"))
    if not pending:
        return []
    running = Operation.objects.filter(state=State.RUNNING).defer("checkpoint", "metrics", "result")
    busy = [operation for operation in running if not operation.lease_is_dead(now)]
    if len(busy) >= settings.WORKER_PROCESSES:
        return []
    heard_at = ClockReading.objects.values_list("heard_at", flat=True).first()
    is_heard_of = heard_at is None or now - OVERDUE_AFTER < heard_at <= now
    busy_queues = {queue_of(operation) for operation in busy} if is_heard_of else set()
    held_back = held_back_kinds()
    return [
        operation for operation in pending if queue_of(operation) not in busy_queues and operation.kind not in held_back
    ]


class OverdueWatch(threading.Thread):
    """Ends a worker that is idle although work in its queues is overdue: whoever started it starts it again."""

    def __init__(self, queues: set[str], end: Callable[[], Any]) -> None:
        super().__init__(name="overdue-watch", daemon=True)
        self.queues = queues
        self.end = end
        self.stop = threading.Event()
        self._missed_before = False

    def run(self) -> None:
        """Look every thirty seconds, beginning when something can be overdue."""
        if self.stop.wait(OVERDUE_AFTER.total_seconds()):
            return
        while not self.stop.wait(LOOK_SECONDS):
            if self.misses_work():
                logger.critical("Work is overdue although this worker is idle; it ends, to be started again.")
                self.end()
                return

    def misses_work(self) -> bool:
        """True if something was overdue twice in a row although this worker was idle."""
        from celery.worker.state import active_requests  # the web server has no use for it

        with _asking:
            try:
                waits = not active_requests and any(queue_of(operation) in self.queues for operation in overdue())
            except Error:  # nothing can be said, and nothing be done
                waits = False
            finally:
                connections.close_all()
        misses_work, self._missed_before = waits and self._missed_before, waits
        return misses_work


def end_this_process() -> None:
    """Let this worker finish what it has and end."""
    os.kill(os.getpid(), signal.SIGTERM)
