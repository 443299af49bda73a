"""Bound the time that reads of the database take together, and leave the connection as it was."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction

Row = TypeVar("Row")
STEPS_BETWEEN_LOOKS = 20_000
"""Instructions of SQLite's machine after which the clock is looked at: a fraction of a millisecond."""
_deadline: ContextVar[float | None] = ContextVar("deadline_of_queries", default=None)


class TooSlow(Exception):
    """The reads took longer than they were given, and were stopped."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let the reads of this block take `seconds` together. Raises TooSlow where they take longer.

    Within another such block that one's time counts. For reads only: what is stopped is rolled back. On PostgreSQL the block is
    one transaction (in another one: a savepoint); on SQLite, where that would wait for writers, it is none.
    """
    if is_limited():
        yield
        return
    deadline = time.monotonic() + seconds
    token = _deadline.set(deadline)
    try:
        with _stopped_at(deadline):
            yield
    except OperationalError as error:
        if not _is_stop(error.__cause__):
            raise
        raise TooSlow from error
    finally:
        _deadline.reset(token)


def is_limited() -> bool:
    """Return whether a block of `at_most` is open here: nothing is written in one."""
    return _deadline.get() is not None


def in_time(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield `rows`, looking at the clock after each: PostgreSQL gives each piece of a long answer the whole time anew.

    Raises TooSlow within a block of `at_most`.
    """
    deadline = _deadline.get()
    for row in rows:
        if deadline is not None and time.monotonic() >= deadline:
            raise TooSlow
        yield row


@contextmanager
def _stopped_at(deadline: float) -> Iterator[None]:
    connection.ensure_connection()
    with ExitStack() as stack:
        if connection.vendor == "sqlite":
            driver: Any = connection.connection
            driver.set_progress_handler(lambda: time.monotonic() >= deadline, STEPS_BETWEEN_LOOKS)
            stack.callback(driver.set_progress_handler, None, 0)
            stack.enter_context(connection.execute_wrapper(_within(deadline)))
            yield
            return
        stack.enter_context(transaction.atomic())
        before = _timeout()
        with connection.execute_wrapper(_within(deadline)):
            yield
        _set_timeout(before)  # for a transaction that goes on; a rollback puts it back by itself


def _within(deadline: float) -> Callable[..., Any]:
    """Return a wrapper of queries that lets each take what is left of the time."""

    def execute(run: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        left = int((deadline - time.monotonic()) * 1000)
        if left <= 0:
            raise TooSlow
        if connection.vendor == "postgresql":
            _set_timeout(str(left))  # it counts from each statement's beginning
        return run(sql, params, many, context)

    return execute


def _is_stop(error: BaseException | None) -> bool:
    """Return whether the driver says that a query was stopped."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT" or getattr(error, "sqlstate", "") == "57014"


def _timeout() -> str:
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
    ):  # the driver's own: no wrapper sees it
        cursor.execute("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
        return str(cursor.fetchone()[0])


def _set_timeout(milliseconds: str) -> None:
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
