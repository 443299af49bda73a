"""One SQLite connection per process to the broker file, safe over threads and forks; a torn file is set aside."""

import contextlib
import fcntl
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from photolala.lib.journals import journal_mode

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

BUSY_TIMEOUT_SECONDS = 30.0
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_ERROR)  # the connection itself is sound

# One lock per process around all use of SQLite here. It is also held over a fork, so that no child is born while
# another thread is inside SQLite: the child would inherit a mutex that nobody ever opens again.
_process_lock = threading.RLock()
os.register_at_fork(
    before=_process_lock.acquire, after_in_parent=_process_lock.release, after_in_child=_process_lock.release
)
# Connections this process must not close: inherited over a fork, or to a file that was set aside under the same name.
_abandoned: list[sqlite3.Connection] = []


class BrokerFile:
    """The SQLite file at `path` with tables made by `schema`; made when missing, replaced when torn."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._schema = schema
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inode: tuple[int, int] | None = None
        self._file_id = ""

    def read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return `query(connection)`. It may run twice, when the file turns out to be torn."""
        with _process_lock:
            try:
                return query(self._open())
            except sqlite3.DatabaseError as error:
                if not _is_torn(error):
                    self._close_after(error)
                    raise
                self._replace_torn(error)
                return query(self._open())

    def write(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return `change(connection)`, run in one transaction that is alone in writing. It may run twice."""

        def change_in_transaction(connection: sqlite3.Connection) -> Result:
            with _transaction(connection):
                return change(connection)

        return self.read(change_in_transaction)

    def file_id(self) -> str:
        """Return the random id that the present file got when it was made; it changes when the file is replaced."""
        return self.read(lambda connection: self._file_id)

    def close(self) -> None:
        """Close this process's connection; the next use opens it again."""
        with _process_lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._pid == os.getpid() and _inode(self.path) == self._inode:
                return self._connection
            _abandoned.append(self._connection)
            self._connection = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            try:
                # SQLite takes an emptied file for a new one, and then waits for those who still have it open.
                if self.path.exists() and self.path.stat().st_size == 0:
                    raise _Torn("it is empty")
                self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_torn(error):
                    raise
                self._set_aside(error)
                self._connect()
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute(f"PRAGMA journal_mode = {journal_mode(self.path.parent)}")
            connection.execute(
                "PRAGMA synchronous = NORMAL"
            )  # survives kill -9; a power cut may lose the last messages
            connection.execute("PRAGMA journal_size_limit = 16777216")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise _Torn(verdict)
            with _transaction(connection):
                for statement in self._schema.split(";\n"):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO meta (file_id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM meta)", (secrets.token_hex(8),)
                )
            (self._file_id,) = connection.execute("SELECT file_id FROM meta").fetchone()
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid, self._inode = connection, os.getpid(), _inode(self.path)

    def _close_after(self, error: sqlite3.DatabaseError) -> None:
        """Close the connection after an error of the disk: what it holds of the file may be stale; the next use opens it."""
        if isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASSING:
            with contextlib.suppress(sqlite3.Error):
                self.close()

    def _replace_torn(self, error: sqlite3.DatabaseError) -> None:
        """Set the file aside, which `error` says is torn."""
        with self._alone():
            if _inode(self.path) == self._inode:  # else another process has replaced it already
                self._set_aside(error)
        if self._connection is not None:
            _abandoned.append(self._connection)
            self._connection = None

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = f"{self.path}.broken-{stamp}"
        for suffix in ("-wal", "-shm", ""):  # the file itself last: a crash in between leaves it to be found torn again
            if os.path.exists(f"{self.path}{suffix}"):
                os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
        logger.error(
            "The message file %s was damaged (%s). It was kept as %s and a new one was started; unfinished operations"
            " are announced again by the periodic sweep. Look at the disk if this happens again.",
            self.path,
            error,
            aside,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock that lets only one process at a time make or replace the file."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class _Torn(sqlite3.DatabaseError):
    """SQLite's own check found the file damaged."""


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # also when a signal ends the worker here
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_torn(error: sqlite3.DatabaseError) -> bool:
    if isinstance(error, _Torn):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return True
    return "no such table" in str(error)  # emptied in place by someone else
