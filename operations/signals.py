"""What happens as a worker starts, forks and stops: its kinds of work are there, and its operations pause within their batch."""

from typing import Any

from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down
from django.db import connections

from operations.kinds import KINDS
from photolala.lib.process import identity


@worker_init.connect
def load_kinds(**_: Any) -> None:
    """Import the work of all kinds before the worker forks, so that its children share the memory and start at once."""
    KINDS.load()


@worker_shutting_down.connect
def pause_operations(**_: Any) -> None:
    """Ask the operations of this worker's children (and of itself) to stop; they stay pending."""

    from .models import Operation, State

    machine, _, own = identity().partition("|")
    if not own:
        return
    running = Operation.objects.filter(state=State.RUNNING, worker__startswith=f"{machine}|")
    (running.filter(worker__endswith=f"|{own}") | running.filter(worker__contains=f"|{own}|")).update(
        stop_requested=True
    )


@worker_ready.connect
def watch_for_overdue_work(sender: Any = None, **_: Any) -> None:
    """End this worker when it stays idle although work is overdue."""
    from operations.overdue import OverdueWatch, end_this_process

    OverdueWatch({str(name) for name in sender.app.amqp.queues.consume_from}, end_this_process).start()


@worker_process_init.connect
def forget_inherited_connections(**_: Any) -> None:
    """A forked child must not use its parent's database connections."""
    for connection in connections.all(initialized_only=True):
        connection.inc_thread_sharing()
        connection.connection = None
