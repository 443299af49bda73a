"""Transient errors of the database: a deadlock, a conflict of two transactions, a file that is locked just now.

The database rolls back the transaction that met one, so it can simply be retried.
"""

import logging
import random
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

logger = logging.getLogger(__name__)
MOST_TRIES = 5
PAUSE_SECONDS = 0.1
"""Before the second try, about; before each further one twice as long as before."""
_CONFLICTS = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_LOCKED = frozenset({"55P03"})  # lock_not_available
_LOCKED_OF_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def is_conflict(error: BaseException) -> bool:
    """True if the database ended the transaction in favour of another one: it can be retried at once."""
    return isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) in _CONFLICTS


def is_transient(error: BaseException) -> bool:
    """True for conflicts, and where a lock was waited for in vain."""
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    is_locked = code is not None and code & 0xFF in _LOCKED_OF_SQLITE
    return is_locked or getattr(error.__cause__, "sqlstate", None) in _CONFLICTS | _LOCKED


def pause(tries: int) -> None:
    """Wait before the next try, after so many; by chance, so that two that met do not meet again."""
    time.sleep(PAUSE_SECONDS * 2 ** (tries - 1) * random.uniform(0.5, 1.5))


def retried_on_conflict(work: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Return `work`, which is one transaction, so that it is retried after a conflict, at most `MOST_TRIES` times in all.

    Called within a transaction it runs once: only the whole of that can be retried. A lock was waited for long enough
    already; people are told to try again in a moment.
    """

    @wraps(work)
    def run(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        tries = 1
        while True:
            try:
                return work(*arguments, **named)
            except OperationalError as error:
                if connection.in_atomic_block or tries >= MOST_TRIES or not is_conflict(error):
                    raise
                logger.info("%s is retried: %s", work.__qualname__, str(error).partition("\n")[0])
            pause(tries)
            tries += 1

    return run
