"""Django's backend for SQLite, with connections that are kept open between requests where a process asks for it (`idle`)."""

import sqlite3
from typing import Any
from weakref import WeakSet

from django.db.backends.sqlite3 import base

from .idle import FileId, file_id, kept


class Cursor(base.SQLiteCursorWrapper):
    """As Django's, and it knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        """Close it."""
        super().close()
        self.is_closed = True


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's; what is closed after an error, within a transaction or while a cursor is open is closed indeed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: FileId | None = None
        self._cursors: WeakSet[Cursor] = WeakSet()

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Return one that is kept, or a new one."""
        path = str(conn_params["database"])
        if found := kept.take(path):
            connection, self._file = found
            return connection
        before = file_id(path)
        made: sqlite3.Connection = super().get_new_connection(conn_params)
        after = file_id(path)
        self._file = after if before in (None, after) else None  # replaced meanwhile: nobody knows which one it has
        return made

    def create_cursor(self, name: Any = None) -> Cursor:
        """Return a cursor, and remember it: until it is closed, it may be in the middle of what it reads."""
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        self._cursors.add(cursor)
        return cursor

    def _close(self) -> None:
        made, file, has_cursors = self.connection, self._file, any(not one.is_closed for one in self._cursors)
        self._file = None
        self._cursors = WeakSet()
        if made is None:
            return
        is_as_new = not (has_cursors or self.errors_occurred or self.in_atomic_block)
        if file is not None and is_as_new and kept.keep(made, str(self.settings_dict["NAME"]), file):
            return
        super()._close()  # type: ignore[misc]
