"""Let work that stopped because the cache was away continue by itself when the cache is back."""

import logging
import uuid
from contextlib import suppress
from datetime import timedelta

from django.core.files.base import ContentFile
from django.utils import timezone

from catalog.cache import tree
from operations.control import NotPossible, resume
from operations.models import Operation, State
from operations.running import AlreadyActive

logger = logging.getLogger(__name__)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
TRIES = "resumed_by_itself"
"""The parameter that counts how often an operation was resumed so."""


def resume_what_waits_for_the_cache() -> int:
    """Resume the operations that stopped because the cache was away, if it is back; return how many. Safe at any time.

    One that stops for it again and again waits twice as long each time, at most an hour.
    """
    stopped = Operation.objects.filter(state=State.FAILED, superseded=False, error_code=tree.AWAY)
    due = [operation for operation in stopped.order_by("created_at", "pk") if _is_due(operation)]
    if not due or not _is_back():
        return 0
    resumed = 0
    for operation in due:
        with suppress(NotPossible, AlreadyActive):
            resume(operation, **{TRIES: _tries(operation) + 1})
            resumed += 1
    return resumed


def _is_due(operation: Operation) -> bool:
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(_tries(operation), 10))
    waited = timezone.now() - operation.updated_at
    return waited >= wait or waited < timedelta(0)  # the clock was set back


def _tries(operation: Operation) -> int:
    tries = operation.params.get(TRIES, 0)
    return tries if isinstance(tries, int) else 0


def _is_back() -> bool:
    """Write and delete an object."""
    storage = tree.cache()
    try:
        storage.delete(storage.save(f"health/{uuid.uuid4()}", ContentFile(b"ok")))
    except Exception as error:  # noqa: BLE001 - each storage has its own kinds of errors
        logger.info("The cache is still away: %s", tree.words_for(error))
        return False
    return True
