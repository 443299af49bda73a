"""Errors of a request that are no fault of the program: a disk that is full, read-only or broken, a database that is away."""

import errno
import shutil
import sqlite3
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError

WAIT_SECONDS = 5
WAIT_FOR_A_PERSON_SECONDS = 60
_LONGEST_CHAIN = 10
_NOTHING_BYTES = 256 * 1024


class Outage(NamedTuple):
    """What an answer says of it."""

    status: int
    code: str
    sentence: str
    wait_seconds: int


BUSY = Outage(
    503,
    "busy",
    "The database is busy with a long piece of work just now. Nothing was changed. Try again in a moment.",
    WAIT_SECONDS,
)
FULL = Outage(
    507,
    "no_space",
    "The server's disk is full, or a quota used up, and what you sent may not be saved. Tell the person who runs this server to "
    "make room, then try again.",
    WAIT_FOR_A_PERSON_SECONDS,
)
READ_ONLY = Outage(
    503,
    "read_only",
    "The server's disk or database takes no changes just now, and what you sent may not be saved. Tell the person who runs this "
    "server, then try again.",
    WAIT_FOR_A_PERSON_SECONDS,
)
BROKEN = Outage(
    503,
    "io_error",
    "The server's disk could not be read or written, and what you sent may not be saved. Tell the person who runs this server, "
    "then try again.",
    WAIT_FOR_A_PERSON_SECONDS,
)
AWAY = Outage(
    503,
    "database_unavailable",
    "The database does not answer just now, and what you sent may not be saved. Try again in a moment; if it stays, tell the "
    "person who runs this server.",
    WAIT_SECONDS,
)
_BY_NUMBER = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: READ_ONLY, errno.EIO: BROKEN}
# What SQLite and PostgreSQL say, in the order of looking.
_BY_WORDS = (
    ("locked", BUSY),
    ("deadlock detected", BUSY),
    ("could not serialize", BUSY),
    ("lock timeout", BUSY),
    ("disk is full", FULL),
    ("disk full", FULL),
    ("no space left on device", FULL),
    ("readonly database", READ_ONLY),
    ("read-only", READ_ONLY),
    ("disk i/o error", BROKEN),
    ("input/output error", BROKEN),
    ("unable to open database", AWAY),
    ("no such table", AWAY),  # the file was removed, and SQLite made a new one
)


def outage_of(error: BaseException) -> Outage | None:
    """Return what `error`, or what led to it, says of disk and database; None for a fault of the program."""
    current: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if current is None:
            return None
        if isinstance(current, OSError) and current.errno in _BY_NUMBER:
            return _BY_NUMBER[current.errno]
        if isinstance(current, OperationalError | InterfaceError | InternalError):
            return _of_database(current)
        current = current.__cause__ or current.__context__
    return None


def _is_full() -> bool:
    """True if nothing fits on the disk of the data folder: SQLite calls that an I/O error where it cannot make its index."""
    try:
        return shutil.disk_usage(settings.DATA_DIR).free < _NOTHING_BYTES
    except OSError:
        return False


def _of_database(error: DatabaseError | InterfaceError) -> Outage | None:
    words = str(error).lower()
    for part, outage in _BY_WORDS:
        if part in words:
            return FULL if outage is BROKEN and _is_full() else outage
    # Of SQLite all else is a fault of the program (no such column), of a server it is one of the server or the way there.
    is_of_sqlite = isinstance(error.__cause__, sqlite3.Error) or error.__cause__ is None
    return AWAY if isinstance(error, OperationalError | InterfaceError) and not is_of_sqlite else None
