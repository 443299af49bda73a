"""How surely a commit outlives a power cut.

What people gave (stars, dates, imports) is on the disk when it is acknowledged. PostgreSQL does that by itself; SQLite syncs
its log at each commit (`synchronous=FULL`). A kill, as opposed to a power cut, loses nothing either way.
(https://www.sqlite.org/pragma.html#pragma_synchronous)
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection


@contextmanager
def relaxed_durability() -> Iterator[None]:
    """Commit without waiting for the disk meanwhile, on SQLite: for work that is simply done again where it was lost.

    Nothing changes within a transaction. Other connections are as they were, and what they sync includes this one's commits.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    _set("NORMAL")
    try:
        yield
    finally:
        try:
            if not connection.in_atomic_block:
                _set("FULL")
        except DatabaseError:
            connection.close()  # the next one begins with FULL


def _set(level: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous={level}")
