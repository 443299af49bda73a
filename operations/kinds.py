"""The kinds of operations: each module that does long work registers its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from operations.models import Operation


@dataclass(frozen=True)
class Kind:
    """A kind of work: its `run` does it, on `queue`."""

    name: str
    label: str
    queue: str
    run: Callable[..., dict[str, Any] | None]
    keeps_work: bool = False
    """What it has read so far is kept for a later claim, and can be thrown away instead ("start over")."""
    starts_over: bool = False
    """A later claim begins anew, so that stopping it in between loses what it has done."""


KINDS: dict[str, Kind] = {}


def operation_kind(
    name: str, *, label: str, queue: str, keeps_work: bool = False, starts_over: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as what an operation of kind `name` does; it returns the operation's result."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        KINDS[name] = Kind(name, label, queue, run, keeps_work, starts_over)
        return run

    return register


DEFAULT_QUEUE = "files"


def queue_of(operation: Operation) -> str:
    """Return the queue through which the operation finds its worker."""
    kind = KINDS.get(operation.kind)
    return kind.queue if kind else DEFAULT_QUEUE
