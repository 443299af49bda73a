"""The kinds of operations: each module that does long work registers its own, and each app says which modules these are."""

from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
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


class Kinds(UserDict[str, Kind]):
    """All kinds by name. The module of a kind is imported when that kind is first asked for, or all are listed.

    A command or a page needs one kind or none, and the work of all of them is a third of the program.
    """

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, str] = {}

    def declare(self, modules: Mapping[str, str]) -> None:
        """Say which module registers which kind. Called while apps get ready."""
        self._modules.update(modules)

    def load(self) -> None:
        """Import the modules of all kinds that were declared."""
        for module in self._modules.values():
            import_module(module)

    def __missing__(self, name: str) -> Kind:
        if name not in self._modules:
            raise KeyError(name)
        import_module(self._modules[name])
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in self.data or name in self._modules

    def __iter__(self) -> Iterator[str]:
        self.load()
        return super().__iter__()

    def __len__(self) -> int:
        self.load()
        return super().__len__()


KINDS = Kinds()


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
