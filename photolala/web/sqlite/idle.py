"""Connections to the SQLite file that nobody uses just now, kept open for the next request.

To open one costs as much as the queries of a request: SQLite reads the whole schema, and Python prepares each statement
anew. But a connection that stays open for ever would go on with a file that was deleted or replaced, and keep what was
written last in the log beside the file. So a kept one is given out only while its file is the one that the path leads to,
and closed after two seconds: at rest the database is a single file.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

IDLE_SECONDS = 2.0
MOST_IDLE = 8
"""Each may hold 16 MB of the file in memory."""

FileId = tuple[int, int]


def file_id(path: str) -> FileId | None:
    """Return what tells the file at `path` from others; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Idle(NamedTuple):
    """A connection, the file that it was opened on, and since when nobody uses it."""

    connection: sqlite3.Connection
    path: str
    file: FileId
    since: float


class IdleConnections:
    """Keeps them, the one used last on top: few stay in use, and their caches warm. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[Idle] = []
        self._is_on = False
        self._closer: threading.Thread | None = None
        self._ended = threading.Event()

    def begin(self) -> None:
        """Keep connections from now on; without this each is closed at the end of its request."""
        self._is_on = True
        self._ended.clear()

    def end(self) -> None:
        """Close all that are idle, and keep none from now on."""
        self._is_on = False
        self._ended.set()
        self.close_older_than(0.0)

    def take(self, path: str) -> tuple[sqlite3.Connection, FileId] | None:
        """Return a connection to the file that is at `path` now; None if none is kept. Those to other files are closed."""
        if not self._idle:
            return None
        file = file_id(path)
        while True:
            with self._lock:
                if not self._idle:
                    return None
                one = self._idle.pop()
            if (one.path, one.file) == (path, file):
                return one.connection, one.file
            one.connection.close()

    def keep(self, connection: sqlite3.Connection, path: str, file: FileId) -> bool:
        """Keep a connection that nobody uses any more. False if the caller has to close it."""
        if connection.in_transaction:
            return False
        with self._lock:
            if not self._is_on or len(self._idle) >= MOST_IDLE:
                return False
            self._idle.append(Idle(connection, path, file, self._clock()))
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_what_is_old, name="idle connections", daemon=True)
                self._closer.start()
        return True

    def close_older_than(self, seconds: float) -> int:
        """Close what was idle for so long; return how many are left."""
        with self._lock:
            limit = self._clock() - seconds
            old = [one for one in self._idle if one.since <= limit]
            self._idle = [one for one in self._idle if one.since > limit]
            left = len(self._idle)
        for one in old:
            one.connection.close()
        return left

    def _close_what_is_old(self) -> None:
        while not self._ended.wait(IDLE_SECONDS / 2):
            if self.close_older_than(IDLE_SECONDS):
                continue
            with self._lock:
                if not self._idle:
                    self._closer = None
                    return


kept = IdleConnections()
"""Those of this process."""
