"""Sentences for the errors that people can do something about, wherever they come from."""

import errno

from django.db import InterfaceError, OperationalError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_WORDS = ("disk is full", "no space left on device", "disk full")  # SQLite, PostgreSQL
_LONGEST_CHAIN = 10

DISK_FULL = (
    "A disk is full, or a quota used up. Free some space where the database, the cache and the library are, then retry. "
    "What was done stays."
)
DISK_BROKEN = (
    "A disk could not be read or written (input/output error): the one with the database, the cache or the library. Look at "
    "it, then retry. What was done stays."
)
DATABASE_AWAY = "The database could not be used ({}). What was done stays; retry continues from there."


def reason_for(error: BaseException) -> tuple[str, str] | None:
    """Return (sentence, code) for an error whose cause is known, or None."""
    database: BaseException | None = None
    current: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if current is None:
            break
        if isinstance(current, OSError) and current.errno in _FULL:
            return DISK_FULL, "no_space"
        is_database = isinstance(current, OperationalError | InterfaceError)
        if is_database and any(words in str(current).lower() for words in _FULL_WORDS):
            return DISK_FULL, "no_space"
        if is_database:
            database = current
        if type(current).__module__ == "sqlite3" and "disk is full" in str(current):
            return DISK_FULL, "no_space"
        if (isinstance(current, OSError) and current.errno == errno.EIO) or "disk i/o error" in str(current).lower():
            return DISK_BROKEN, "io_error"
        current = current.__cause__ or current.__context__
    if database is not None and isinstance(error, OperationalError | InterfaceError):
        return DATABASE_AWAY.format(" ".join(str(database).split())[:200]), "database_unavailable"
    return None
