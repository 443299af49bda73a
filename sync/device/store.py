"""The store of one person on one device: what the server said, what is on its way to it, and how far both are. One SQLite file.

Every change is one transaction; a killed process leaves the store as it was before or after it. A store belongs to one server and
one user from the first synchronisation on, and to one epoch of that server at a time.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sync.protocol.digest import KindDigest, digest_of
from sync.protocol.messages import FieldInfo, KindInfo, Row
from sync.protocol.values import JsonValue, dump, load

_VERSION = 2
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE kind (name TEXT PRIMARY KEY, scope TEXT NOT NULL, parents TEXT NOT NULL, fields TEXT NOT NULL) WITHOUT ROWID;
-- `cursor`: the rows up to it are in `row`. `complete`: version of the scope up to which everything is there.
-- `whole`: the pull that is under way began at zero and will replace all rows of the scope.
CREATE TABLE scope (
    name TEXT PRIMARY KEY, cursor TEXT NOT NULL DEFAULT '', complete INTEGER NOT NULL DEFAULT -1,
    staged_cursor TEXT NOT NULL DEFAULT '', whole INTEGER NOT NULL DEFAULT 1, held INTEGER NOT NULL DEFAULT 0,
    confirmed INTEGER NOT NULL DEFAULT 0, live INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- `data` of a deleted row stays while edits of it wait: they may bring it back whole.
CREATE TABLE row (
    scope TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL,
    data TEXT, fields TEXT NOT NULL, PRIMARY KEY (scope, type, id)
) WITHOUT ROWID;
CREATE INDEX row_of_thing ON row (type, id);
CREATE TABLE staged (
    scope TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL,
    data TEXT, fields TEXT NOT NULL, PRIMARY KEY (scope, type, id)
) WITHOUT ROWID;
-- `mid` is given when an edit is sent for the first time; from then on it never changes its content.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, id TEXT NOT NULL, op TEXT NOT NULL, fields TEXT NOT NULL,
    base_version INTEGER, base_seq INTEGER, base_mid INTEGER, hlc TEXT NOT NULL, mid INTEGER UNIQUE,
    confirmed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX edits_of_thing ON outbox (type, id, seq);
CREATE TABLE refused (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, id TEXT NOT NULL, op TEXT NOT NULL, fields TEXT NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, at_ms INTEGER NOT NULL
);
"""
_MEDIA = "CREATE TABLE media (md5 TEXT PRIMARY KEY, media_type TEXT NOT NULL, size_bytes INTEGER NOT NULL)"
"""Files that wait to be sent (since version 2)."""


_IS_PENDING = "EXISTS (SELECT 1 FROM outbox WHERE outbox.type = row.type AND outbox.id = row.id)"


class StoreProblem(Exception):
    """The store cannot be used as it is; the sentence says what to do. Nothing in it was changed."""


def now_ms() -> int:
    """Return the wall clock's milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one: SQLite gives its other files the same rights."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


class Store:
    """A connection to the file. For one thread; other threads and processes open their own."""

    def __init__(self, path: Path, *, is_durable: bool = True) -> None:
        """Open or make the store. `is_durable` False leaves out fsync: for tests, which kill processes but not machines."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'OFF'}")
        with self.writing():
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise StoreProblem(f"{path} was made by a newer version of this program. Update the program to use it.")
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self.db.execute(statement)
            if version < _VERSION:
                self.db.execute(_MEDIA)
                self.db.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction; other writers wait for it up to 30 s. Nested use joins the outer transaction."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # What the store remembers

    def recall(self, name: str) -> str | None:
        """Return a remembered value."""
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def recall_number(self, name: str, default: int = 0) -> int:
        """Return a remembered number."""
        value = self.recall(name)
        return default if value is None else int(value)

    def remember(self, **values: str | int | None) -> None:
        """Remember values; None forgets one."""
        for name, value in values.items():
            if value is None:
                self.db.execute("DELETE FROM meta WHERE name = ?", (name,))
            else:
                self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, str(value)))

    # Kinds and scopes

    def set_kinds(self, kinds: Iterable[KindInfo]) -> None:
        """Replace the list of kinds by the server's."""
        self.db.execute("DELETE FROM kind")
        for kind in kinds:
            fields: list[JsonValue] = [[field.name, field.resolver, field.writable] for field in kind.fields]
            values = (kind.name, kind.scope, dump(list(kind.parents)), dump({"fields": fields}))
            self.db.execute("INSERT INTO kind VALUES (?, ?, ?, ?)", values)

    def kinds(self) -> dict[str, KindInfo]:
        """Return the kinds that the server named, by name; empty before the first synchronisation."""
        found = {}
        for name, scope, parents, fields in self.db.execute("SELECT name, scope, parents, fields FROM kind"):
            infos = []
            for item in load(fields, name).items("fields", 1000):
                if isinstance(item, list):
                    infos.append(FieldInfo(str(item[0]), str(item[1]), bool(item[2])))
            names = load(f'{{"parents":{parents}}}', name).texts("parents", 100)
            found[name] = KindInfo(name, scope, names, tuple(infos))
        return found

    def scopes(self) -> list[str]:
        """Return the scopes that this store follows."""
        return [name for (name,) in self.db.execute("SELECT name FROM scope ORDER BY name")]

    def add_scope(self, scope: str) -> None:
        """Follow a scope, from zero."""
        self.db.execute("INSERT OR IGNORE INTO scope (name) VALUES (?)", (scope,))

    def end_scope(self, scope: str) -> None:
        """Forget a scope that one may see no more, with all that is only there.

        Edits that wait stay, with what they were made on, as deleted: an album that was deleted, or that a restored server lacks,
        gets it back by them.
        """
        self.db.execute("UPDATE row SET deleted = 1 WHERE scope = ?", (scope,))
        self.db.execute(f"DELETE FROM row WHERE scope = ? AND NOT {_IS_PENDING}", (scope,))  # noqa: S608 (no input)
        self.db.execute("DELETE FROM staged WHERE scope = ?", (scope,))
        self.db.execute("DELETE FROM scope WHERE name = ?", (scope,))

    # Rows

    def put(self, row: Row) -> bool:
        """Take over a row, unless the store has a newer one; say whether it was taken.

        A deletion of something of which edits wait keeps the data, because the edits may bring it back whole.
        """
        known = self.db.execute(
            "SELECT version FROM row WHERE scope = ? AND type = ? AND id = ?", (row.scope, row.type, row.id)
        ).fetchone()
        if known is not None and known[0] >= row.version:
            return False
        self.add_scope(row.scope)
        self.db.execute(
            f"""INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version,
            deleted = excluded.deleted, fields = excluded.fields, data = {KEPT_DATA}""",  # noqa: S608 (no input)
            values_of(row),
        )
        return True

    def rows_of(self, type: str, id: str) -> list[tuple[str, int, bool, dict[str, JsonValue] | None]]:
        """Return (scope, version, is deleted, data) of a thing in all scopes in which it is shown."""
        rows = self.db.execute("SELECT scope, version, deleted, data FROM row WHERE type = ? AND id = ?", (type, id))
        return [(scope, version, bool(deleted), _object(data)) for scope, version, deleted, data in rows]

    def field_versions(self, scope: str, type: str, id: str) -> dict[str, int]:
        """Return the versions at which people last changed the fields of a row, as the server said."""
        rows = self.db.execute("SELECT fields FROM row WHERE scope = ? AND type = ? AND id = ?", (scope, type, id))
        return {name: int(str(version)) for (fields,) in rows for name, version in object_from(fields).items()}

    def drop_data_of_deleted(self, type: str, id: str) -> None:
        """Let go of what was kept of a deleted thing, if no edits of it wait any more."""
        self.db.execute(
            f"UPDATE row SET data = NULL WHERE type = ? AND id = ? AND deleted AND NOT {_IS_PENDING}",  # noqa: S608 (no input)
            (type, id),
        )

    def digest(self, scope: str) -> dict[str, KindDigest]:
        """Return the digest of what the server said of a scope. Reads all its rows, one at a time."""
        rows = self.db.execute("SELECT type, id, version FROM row WHERE scope = ? AND NOT deleted", (scope,))
        return digest_of((str(type), str(id), int(version)) for type, id, version in rows)


KEPT_DATA = """CASE WHEN excluded.deleted AND EXISTS
    (SELECT 1 FROM outbox WHERE outbox.type = excluded.type AND outbox.id = excluded.id) THEN row.data ELSE excluded.data END"""


def values_of(row: Row) -> tuple[str, str, str, int, int, str | None, str]:
    """Return the columns of a row."""
    data = None if row.data is None else dump(row.data)
    fields: Mapping[str, JsonValue] = {name: str(version) for name, version in row.field_versions.items()}
    return (row.scope, row.type, row.id, row.version, int(row.deleted), data, dump(fields))


def _object(text: str | None) -> dict[str, JsonValue] | None:
    return None if text is None else object_from(text)


def object_from(text: str) -> dict[str, JsonValue]:
    """Return the JSON object that the store wrote."""
    return load(f'{{"it":{text}}}', "The store").members("it")
