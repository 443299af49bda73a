"""Kinds of operations that work on one library: each finds it, or ends with a sentence, whatever it meets once that is gone."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from catalog.models import Library
from operations.kinds import operation_kind
from operations.running import Cancelled, Interrupted, LeaseLost, OperationFailed, Run

logger = logging.getLogger(__name__)
CODE = "library_gone"
SENTENCE = "The library was forgotten meanwhile; nothing is left to do. No photo file was touched by that."


def library_operation(
    name: str, *, label: str, queue: str, when_gone: str, keeps_work: bool = False, starts_over: bool = False
) -> Callable[[Callable[[Run, Library], Any]], Callable[[Run], Any]]:
    """Register the decorated function as what an operation of kind `name` does to the library that its `params` name.

    The function gets the library with its owner. If that was forgotten, before or while it works, the operation fails with
    `library_gone`; `when_gone` ends the sentence for what was forgotten before ("there is nothing to scan").
    """

    def register(work: Callable[[Run, Library], Any]) -> Callable[[Run], Any]:
        @operation_kind(name, label=label, queue=queue, keeps_work=keeps_work, starts_over=starts_over)
        @wraps(work)
        def run_for_library(run: Run) -> Any:
            library = Library.objects.select_related("owner").filter(pk=run.params["library"]).first()
            if library is None:
                raise OperationFailed(f"The library was forgotten meanwhile; {when_gone}.", CODE)
            return _work_until_gone(run, library, work)

        return run_for_library

    return register


def _work_until_gone(run: Run, library: Library, work: Callable[[Run, Library], Any]) -> Any:
    """Do the work. OperationFailed with `library_gone` for all that fails once the library is forgotten."""
    try:
        return work(run, library)
    except (Interrupted, LeaseLost):
        raise
    except OperationFailed as failure:
        if failure.code == CODE or not _is_gone(run):
            raise
        raise OperationFailed(SENTENCE, CODE) from failure
    except Cancelled:  # who forgets a library also stops its work
        if not _is_gone(run):
            raise
        raise OperationFailed(SENTENCE, CODE) from None
    except Exception as error:
        if not _is_gone(run):
            raise
        logger.info("Operation %s ended with its library: %s", run.operation.pk, type(error).__name__)
        raise OperationFailed(SENTENCE, CODE) from error


def _is_gone(run: Run) -> bool:
    """True if the library that the operation names is no more."""
    return not Library.objects.filter(pk=run.params["library"]).exists()
