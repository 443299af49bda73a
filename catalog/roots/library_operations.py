"""Kinds of operations that work on one library: each finds it, or ends with a sentence."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from catalog.models import Library
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run


def library_operation(
    name: str, *, label: str, queue: str, when_gone: str, keeps_work: bool = False, starts_over: bool = False
) -> Callable[[Callable[[Run, Library], Any]], Callable[[Run], Any]]:
    """Register the decorated function as what an operation of kind `name` does to the library that its `params` name.

    The function gets the library with its owner. If that was forgotten, the operation fails with `library_gone`;
    `when_gone` ends the sentence ("there is nothing to scan").
    """

    def register(work: Callable[[Run, Library], Any]) -> Callable[[Run], Any]:
        @operation_kind(name, label=label, queue=queue, keeps_work=keeps_work, starts_over=starts_over)
        @wraps(work)
        def run_for_library(run: Run) -> Any:
            library = Library.objects.select_related("owner").filter(pk=run.params["library"]).first()
            if library is None:
                raise OperationFailed(f"The library was forgotten meanwhile; {when_gone}.", "library_gone")
            return work(run, library)

        return run_for_library

    return register
