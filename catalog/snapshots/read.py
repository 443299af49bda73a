"""Opens and reads a snapshot as what it is: a file that anyone may have put there."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

from catalog.snapshots import given
from catalog.snapshots.given import Given, Marked
from catalog.snapshots.schema import (
    MAX_TEXT_BYTES,
    PAGE_SIZE_BYTES,
    SCHEMA_VERSION,
    TABLES,
    VALID_ROW,
    EntryRow,
    SnapshotBroken,
    SnapshotHeader,
    SnapshotTooNew,
    StarRow,
)
from catalog.snapshots.write import file_md5, immutable_uri
from photolala.lib.paths import unescape_path

_MD5 = re.compile(r"[0-9a-f]{32}")
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_TEXT_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 64,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 60,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 8,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_PRAGMAS = ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON", "cache_size=-8000")


class Snapshot:
    """An open, verified snapshot. Iterators read in key order, a row at a time, and raise SnapshotBroken at a bad row.

    Close it (or use it in a `with` block) when done; each iterator is its own pass over the table. For one thread.
    """

    def __init__(self, connection: sqlite3.Connection, md5: str, header: SnapshotHeader, entry_count: int) -> None:
        self._connection = connection
        self.md5 = md5
        self.header = header
        self.entry_count = entry_count

    def entries(self) -> Iterator[EntryRow]:
        """Yield the photos by path. Paths are proven to lead to places below a root and nowhere else."""
        for row in self._rows("entries", EntryRow._fields, "path"):
            _check_path(row[0])
            _check_md5s(row[4], row[5])
            yield EntryRow._make(row)

    def metadata(self) -> Iterator[tuple[str, str]]:
        """Yield (photo MD5, body); the body is text that should be JSON but is not parsed here."""
        for photo_md5, body in self._rows("metadata", ("photo_md5", "body"), "photo_md5"):
            _check_md5s(photo_md5)
            if not (photo_md5.startswith(given.PREFIX) and given.read_mark(photo_md5, body)):
                yield photo_md5, body

    def given(self) -> Iterator[Given]:
        """Yield what people gave to photos and no file holds, as far as the snapshot marks it (see `marked`)."""
        yield from (mark for mark in self._marks() if isinstance(mark, Given))

    def marked(self) -> Marked | None:
        """Return what the snapshot says of its marks; None for one of before there were any."""
        return next((mark for mark in self._marks() if isinstance(mark, Marked)), None)

    def _marks(self) -> Iterator[Given | Marked]:
        query = "SELECT photo_md5, body FROM metadata WHERE photo_md5 >= ? AND photo_md5 < ? ORDER BY photo_md5"
        with _damage_reported():
            for key, body in self._connection.execute(query, (given.PREFIX, given.END)):
                if isinstance(key, str) and isinstance(body, str) and (mark := given.read_mark(key, body)):
                    yield mark

    def star_queue(self) -> Iterator[StarRow]:
        """Yield the waiting stars, oldest first."""
        for row in self._rows("star_queue", StarRow._fields, "id"):
            _check_md5s(row[1])
            yield StarRow._make(row)

    def aliases(self) -> Iterator[tuple[str, str]]:
        """Yield (old MD5, new MD5)."""
        for old_md5, new_md5 in self._rows("aliases", ("old_md5", "new_md5"), "old_md5"):
            _check_md5s(old_md5, new_md5)
            yield old_md5, new_md5

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, table: str, columns: tuple[str, ...], key: str) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT ({VALID_ROW[table]}) IS TRUE, {', '.join(columns)} FROM {table} ORDER BY {key}"  # noqa: S608
        with _damage_reported():
            for valid, *values in self._connection.execute(query):
                if not valid:
                    raise SnapshotBroken(f"The snapshot {self.md5} has wrong types in {table}: {values[0]!r:.100}.")
                for value in values:  # a plain loop: this runs for each of a million photos
                    if value.__class__ is str and "\x00" in value:
                        raise SnapshotBroken(f"The snapshot {self.md5} has a NUL character in {table}: {value!r:.100}.")
                yield tuple(values)


def open_snapshot(path: str | PathLike[str], expected_md5: str) -> Snapshot:
    """Verify the local file `path` and open it: its MD5, its structure, and that it has exactly the known tables.

    Nothing in the file is run: it is opened read-only and immutable, with a schema that is not trusted, and refused if
    it holds triggers, views, indexes or other columns. No one must write to the file meanwhile: give a copy of one that
    is where others may write. Raises SnapshotBroken, SnapshotTooNew, or OSError if it cannot be read at all.
    """
    if file_md5(path) != expected_md5:
        raise SnapshotBroken(f"The snapshot {expected_md5} is damaged: its bytes no longer have the MD5 of its name.")
    _check_file_header(path, expected_md5)
    with _damage_reported():
        connection = sqlite3.connect(immutable_uri(path), uri=True, isolation_level=None)
        try:
            for category, limit in _LIMITS.items():
                connection.setlimit(category, limit)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            header, entry_count = _check_content(connection, expected_md5)
        except BaseException:
            connection.close()
            raise
    return Snapshot(connection, expected_md5, header, entry_count)


def _check_file_header(path: str | PathLike[str], md5: str) -> None:
    with open(path, "rb") as file:
        start = file.read(100)
    if start[:16] != b"SQLite format 3\x00" or len(start) < 100:
        raise SnapshotBroken(f"The snapshot {md5} is no SQLite file.")
    if int.from_bytes(start[16:18], "big") != PAGE_SIZE_BYTES or start[18:21] != b"\x01\x01\x00":
        raise SnapshotBroken(f"The snapshot {md5} is a SQLite file, but not of the kind that Photolala writes.")


def _check_content(connection: sqlite3.Connection, md5: str) -> tuple[SnapshotHeader, int]:
    found = connection.execute("SELECT type, name, sql FROM sqlite_schema LIMIT 100").fetchall()
    tables = {name: _normal(sql) for kind, name, sql in found if kind == "table" and isinstance(sql, str)}
    if tables.get("version") != _normal(TABLES["version"]):
        raise SnapshotBroken(f"The snapshot {md5} does not say which version it is.")
    rows = connection.execute("SELECT schema_version, library_id, entry_count FROM version LIMIT 2").fetchall()
    if len(rows) != 1 or not isinstance(rows[0][0], int):
        raise SnapshotBroken(f"The snapshot {md5} does not say which version it is.")
    version, library_id, entry_count = rows[0]
    if version > SCHEMA_VERSION:
        raise SnapshotTooNew(
            f"The snapshot {md5} was written by a newer Photolala (schema {version}); it is left as it is."
        )
    if (
        version != SCHEMA_VERSION
        or len(found) != len(TABLES)
        or any(_normal(TABLES[n]) != tables.get(n) for n in TABLES)
    ):
        raise SnapshotBroken(f"The snapshot {md5} has other tables than the known ones, so nothing of it is read.")
    if not isinstance(library_id, str) or not isinstance(entry_count, int):
        raise SnapshotBroken(f"The snapshot {md5} does not say which library it is of.")
    # Only quick_check: the MD5 has shown that the bytes are as written, and the writer ran the full check on them.
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise SnapshotBroken(f"The snapshot {md5} is damaged inside: {answer!s:.200}.")
    (counted,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    if counted != entry_count:
        raise SnapshotBroken(f"The snapshot {md5} holds {counted} entries but says {entry_count}.")
    return SnapshotHeader(library_id), entry_count


def _normal(sql: str) -> str:
    """Return the statement without the differences in spacing and case that mean nothing."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())).lower()


@contextmanager
def _damage_reported() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise SnapshotBroken(f"The snapshot is damaged inside: {error}.") from error


def _check_path(path: str) -> None:
    around = f"/{path}/"
    if "//" in around or "/./" in around or "/../" in around:
        raise SnapshotBroken(f"The snapshot names a path that leads out of the library: {path!r:.200}.")
    if "\\" in path:
        try:
            unescape_path(path)
        except ValueError as error:
            raise SnapshotBroken(str(error)) from error


def _check_md5s(*values: str | None) -> None:
    for value in values:
        if value is not None and not _MD5.fullmatch(value):
            raise SnapshotBroken(f"The snapshot has {value!r:.100} where an MD5 should be.")
