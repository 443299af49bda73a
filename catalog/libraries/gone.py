"""Work whose library was forgotten ends with a sentence, whatever it meets first."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any
from uuid import UUID

from catalog.models import Library
from operations.kinds import KINDS
from operations.running import Cancelled, Interrupted, LeaseLost, OperationFailed, Run

logger = logging.getLogger(__name__)
CODE = "library_gone"
SENTENCE = "The library was forgotten meanwhile; nothing is left to do. No photo file was touched by that."


def guard_all_kinds() -> None:
    """Let every kind of operation that names a library end so. Called once, when all kinds are registered."""
    for name, kind in list(KINDS.items()):
        KINDS[name] = replace(kind, run=guarded(kind.run))


def guarded(work: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """Return `work` so that it raises OperationFailed with `library_gone` for all that fails once its library is gone."""

    @wraps(work)
    def run_guarded(run: Run) -> Any:
        try:
            return work(run)
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

    return run_guarded


def _is_gone(run: Run) -> bool:
    """True if the operation names a library, and that is no more."""
    try:
        key = UUID(str(run.params.get("library", "")))
    except ValueError:
        return False
    return not Library.objects.filter(pk=key).exists()
