"""One moment of the database, to be read for as long as it takes, while everybody else writes.

The connection is one of its own: what the reader itself writes meanwhile (its operation's progress and lease) uses the
default connection, is committed at once, and never waits for the moment to end.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

ALIAS = "moment"
_COPY_NAME = "moment.sqlite3"


@contextmanager
def one_moment(scratch: Path) -> Iterator[str]:
    """Yield the alias (for `QuerySet.using`) of a connection that sees the database as it is now until the block ends.

    On PostgreSQL a read-only transaction with REPEATABLE READ: no writer waits; what is deleted meanwhile is vacuumed later.
    On SQLite a read transaction: no writer waits; the WAL grows by what is written meanwhile and is truncated afterwards.
    Without a WAL (`photolala.lib.journals`) such a reader would hold up all writers, itself included: there a copy of the
    database is read, made in the folder `scratch`, and writers wait only while it is made.
    Within a transaction its own connection is yielded, since no other sees its rows. Raises DatabaseError.
    """
    if connection.in_atomic_block:
        yield connection.alias
        return
    moment = connection.copy(alias=ALIAS)
    copy = None
    try:
        if connection.vendor == "sqlite":
            moment.settings_dict["OPTIONS"] |= {"transaction_mode": "DEFERRED"}  # IMMEDIATE locks others out
            if not _has_wal():
                copy = _copy_to(scratch / _COPY_NAME)
                moment.settings_dict["NAME"] = str(copy)
        connections[ALIAS] = moment
        with transaction.atomic(using=ALIAS):
            _begin(moment)
            yield ALIAS
    finally:
        with suppress(AttributeError):
            del connections[ALIAS]
        moment.close()
        if copy is not None:
            copy.unlink(missing_ok=True)


def _begin(moment: BaseDatabaseWrapper) -> None:
    """Let the moment be now: both databases would take that of the first read."""
    with moment.cursor() as cursor:
        if moment.vendor == "postgresql":
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # a batch may be slow to write
            cursor.execute("SELECT 1")
        else:
            cursor.execute("SELECT count(*) FROM sqlite_schema")
        cursor.fetchone()


def _has_wal() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return bool(cursor.fetchone()[0] == "wal")


def _copy_to(path: Path) -> Path:
    """Copy SQLite's database to a new file, all in one step. Raises DatabaseError, and leaves nothing then."""
    connection.ensure_connection()
    try:
        with connection.wrap_database_errors, closing(sqlite3.connect(path)) as target:
            connection.connection.backup(target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path
