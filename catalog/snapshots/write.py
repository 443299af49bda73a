"""Writes a snapshot into a temporary file such that the same content always gives the same bytes."""

import os
import secrets
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from catalog.snapshots.schema import (
    MAX_TEXT_BYTES,
    PAGE_SIZE_BYTES,
    SCHEMA_VERSION,
    TABLES,
    VALID_ROW,
    EntryRow,
    SnapshotBroken,
    SnapshotHeader,
    StarRow,
    snapshot_name,
)
from photolala.lib.digests import md5_of_file
from photolala.lib.files import fsync_file, remove_if_there

# Bytes 24-27 and 92-99 of the file: how often it was changed, and by which SQLite. Neither is content.
_CHANGE_COUNTER = struct.pack(">I", 1)
_WRITTEN_BY = struct.pack(">II", 1, 3_040_000)

_RUN_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows for SQLite to copy by itself out of another database file, in half the time that it takes row by row.

    `sql` selects the columns in the snapshot's order, and names its tables `source.…`. Nothing is written there.
    """

    database: str
    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenSnapshot:
    """A finished, verified snapshot in the temporary file `path`; `publish` copies it to where it belongs."""

    path: str
    md5: str
    entry_count: int
    size_bytes: int

    @property
    def name(self) -> str:
        """The file name under which it is published."""
        return snapshot_name(self.md5)

    def discard(self) -> None:
        """Delete the temporary file. May be called twice."""
        remove_if_there(self.path)

    def __enter__(self) -> "WrittenSnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def write_snapshot(
    directory_for_temp: str | os.PathLike[str],
    header: SnapshotHeader,
    entries: Iterable[EntryRow | tuple[Any, ...]] | Selection,
    metadata: Iterable[tuple[str, str]] | Selection = (),
    star_queue: Iterable[StarRow | tuple[Any, ...]] = (),
    aliases: Iterable[tuple[str, str]] = (),
    *,
    marks: Iterable[tuple[str, str]] = (),
) -> WrittenSnapshot:
    """Write, verify and sync a snapshot into `directory_for_temp`; use the result in a `with` block, which deletes it.

    The order of the rows does not matter (sorted by key is fastest). `metadata` may name an MD5 more than once; `marks`, of
    `given`, go into the same table. Memory stays at some 20 MB however many rows; the disk needs twice the size for a moment,
    the folder for SQLite's temporary files as much as the metadata takes. Selections are of one database, as it is at one
    moment. Raises ValueError for rows that contradict each other or are of wrong types, SnapshotBroken if the written file
    does not verify, OSError.
    """
    token = secrets.token_hex(8)
    work = os.path.abspath(os.path.join(os.fspath(directory_for_temp), f".photolala.{token}.work"))  # noqa: PTH118
    finished = work.removesuffix(".work") + ".tmp"
    try:
        entry_count = _fill(work, header, entries, metadata, star_queue, aliases, marks, finished)
        _normalise_file_header(finished)
        md5 = _verify(finished, entry_count)
        return WrittenSnapshot(finished, md5, entry_count, os.stat(finished).st_size)
    except BaseException:
        remove_if_there(finished)
        raise
    finally:
        remove_if_there(work)


def _fill(
    work: str,
    header: SnapshotHeader,
    entries: Iterable[tuple[Any, ...]] | Selection,
    metadata: Iterable[tuple[str, str]] | Selection,
    star_queue: Iterable[tuple[Any, ...]],
    aliases: Iterable[tuple[str, str]],
    marks: Iterable[tuple[str, str]],
    finished: str,
) -> int:
    """Collect all rows in the file `work`, then copy them, packed and in key order, to `finished`."""
    uri = "file:" + quote(os.fsencode(work))
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=16)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT_BYTES)
        for pragma in (
            f"page_size={PAGE_SIZE_BYTES}",
            "encoding='UTF-8'",
            "auto_vacuum=NONE",
            "secure_delete=ON",  # zeroes in unused parts of pages, where else old memory would stand
            "journal_mode=OFF",  # nothing to roll back to: on any error the file is thrown away
            "synchronous=OFF",
            "locking_mode=EXCLUSIVE",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA main.{pragma}")  # what is attached keeps its own ways, and above all its locks
        for sql in TABLES.values():
            connection.execute(sql)
        for selection in (entries, metadata):
            if isinstance(selection, Selection):
                connection.execute(
                    "ATTACH ? AS source", ["file:" + quote(os.fsencode(selection.database)) + "?mode=ro"]
                )
                break
        connection.execute("BEGIN")
        entry_count = _insert(connection, "entries", EntryRow._fields, entries)
        # Of different bodies for one MD5 the smallest wins, so that their order does not matter.
        smallest = " ON CONFLICT(photo_md5) DO UPDATE SET body=excluded.body WHERE excluded.body<body"
        _insert(connection, "metadata", ("photo_md5", "body"), _in_sorted_runs(metadata), smallest)
        _insert(connection, "metadata", ("photo_md5", "body"), marks, smallest)
        _insert(connection, "star_queue", StarRow._fields, star_queue)
        _insert(connection, "aliases", ("old_md5", "new_md5"), aliases)
        connection.execute("INSERT INTO version VALUES (?, ?, ?)", (SCHEMA_VERSION, header.library_id, entry_count))
        connection.execute("COMMIT")
        connection.execute("VACUUM main INTO ?", (finished,))
    return entry_count


def _in_sorted_runs(rows: Iterable[tuple[str, str]] | Selection) -> Iterable[tuple[str, str]] | Selection:
    """Return all rows, some megabytes of them at a time in key order: neighbours go into the same pages."""
    return rows if isinstance(rows, Selection) else _sorted_runs(rows)


def _sorted_runs(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    remaining = iter(rows)
    while run := sorted(islice(remaining, _RUN_ROWS), key=itemgetter(0)):
        yield from run


def _insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]] | Selection,
    then: str = "",
) -> int:
    """Insert the rows and return how many there are. Names and clauses come from this module, never from data."""
    places = ", ".join("?" * len(columns))
    try:
        if isinstance(rows, Selection):
            connection.execute(f"INSERT INTO main.{table} {rows.sql}{then}", rows.parameters)
        else:
            connection.executemany(f"INSERT INTO {table} VALUES ({places}){then}", rows)  # noqa: S608
    except sqlite3.IntegrityError as error:
        raise ValueError(
            f"Two rows of {table} have the same {columns[0]}, so no snapshot was written ({error})."
        ) from error
    except (sqlite3.DataError, sqlite3.ProgrammingError, UnicodeEncodeError) as error:
        raise ValueError(f"A row of {table} cannot be stored, so no snapshot was written: {error}.") from error
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def _normalise_file_header(path: str) -> None:
    """Overwrite what depends on the version and history of SQLite, so that every server writes the same bytes."""
    with open(path, "r+b") as file:
        file.seek(24)
        file.write(_CHANGE_COUNTER)
        file.seek(92)
        file.write(_WRITTEN_BY)


def _verify(path: str, entry_count: int) -> str:
    """Sync the file, check it as SQLite reads it, and return its MD5: four waits that can be waited for together."""
    with ThreadPoolExecutor(3) as pool:
        checked = pool.submit(_check_types, path)
        synced = pool.submit(fsync_file, path)
        md5 = pool.submit(file_md5, path)
        _check_integrity(path, entry_count)
        checked.result()
        synced.result()
        return md5.result()


def _check_types(path: str) -> None:
    """Raise ValueError for a row that no reader would take."""
    with closing(sqlite3.connect(immutable_uri(path), uri=True)) as connection:
        for table, is_valid in VALID_ROW.items():
            sql = f"SELECT * FROM {table} WHERE ({is_valid}) IS NOT TRUE LIMIT 1"  # noqa: S608
            if row := connection.execute(sql).fetchone():
                raise ValueError(
                    f"The row {row[0]!r} of {table} has a value of a wrong type, so no snapshot was written."
                )


def _check_integrity(path: str, entry_count: int) -> None:
    # A working file of ours: its folder is the server's own, so the path needs no more than quoting by `as_uri`.
    with closing(sqlite3.connect(immutable_uri(path), uri=True)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        (counted,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    if answer != "ok":
        raise SnapshotBroken(f"The new snapshot did not verify ({answer}); it was dropped and the old one stays.")
    if counted != entry_count:
        raise SnapshotBroken(
            f"The new snapshot holds {counted} of {entry_count} entries; it was dropped and the old one stays."
        )


def immutable_uri(path: str | os.PathLike[str]) -> str:
    """Return the SQLite URI that opens `path` for reading only, without locks, journals or a WAL."""
    return "file:" + quote(os.path.abspath(os.fsencode(path))) + "?mode=ro&immutable=1"


def file_md5(path: str | os.PathLike[str]) -> str:
    """Return the MD5 of the file as 32 hex digits."""
    with open(path, "rb", buffering=0) as file:
        return md5_of_file(file)
