"""What a snapshot has other than the catalog's rows: worked out in a file of its own, so that memory does not grow."""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import EntryRow, SnapshotBroken

from .models import Library, Photo
from .planning import LONGEST_PATH_BYTES
from .publishing import entry_rows

_COLUMNS = EntryRow._fields
_TABLE = f"({', '.join(_COLUMNS)}, is_missing INTEGER)"
_BATCH = 500
_NEW_CONTENT = (
    "INSERT INTO content SELECT DISTINCT w.photo_md5, NULL, 0 FROM wanted w LEFT JOIN now n ON n.photo_id = w.photo_id "
    "WHERE w.photo_md5 IS NOT NULL AND n.photo_md5 IS NOT w.photo_md5"
)


class Wanted(NamedTuple):
    """An entry as the snapshot has it, and how its photo stands now."""

    entry: EntryRow
    is_known: bool
    """The photo has a row."""
    is_missing: bool
    has_same_content: bool
    """The row's photo MD5 is the snapshot's."""


class Plan:
    """The difference between the rows and a snapshot. Iterators are passes over a file; ids are texts of UUIDs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.ids_were_kept = True
        """False if some entries had to get other ids than the snapshot says: other libraries have those."""

    def displaced(self) -> Iterator[str]:
        """Yield the photos that must leave their path, because they or another one are elsewhere in the snapshot."""
        yield from self._ids(
            "SELECT n.photo_id FROM now n LEFT JOIN wanted w ON w.photo_id = n.photo_id WHERE "
            "w.path <> n.path OR (w.path IS NULL AND EXISTS (SELECT 1 FROM wanted o WHERE o.path = n.path))"
        )

    def gone(self) -> Iterator[str]:
        """Yield the photos that the snapshot does not know and that are not missing yet."""
        yield from self._ids(
            "SELECT photo_id FROM now WHERE NOT is_missing AND photo_id NOT IN (SELECT photo_id FROM wanted)"
        )

    def changed(self) -> Iterator[Wanted]:
        """Yield the entries whose photos have no row, are missing, or differ in anything."""
        same = " AND ".join(f"n.{name} IS w.{name}" for name in _COLUMNS)
        columns = ", ".join(f"w.{name}" for name in _COLUMNS)
        rows = self._connection.execute(
            f"SELECT {columns}, n.photo_id IS NOT NULL, n.is_missing, n.photo_md5 IS w.photo_md5 FROM wanted w "  # noqa: S608
            f"LEFT JOIN now n ON n.photo_id = w.photo_id WHERE NOT (n.photo_id IS NOT NULL AND NOT n.is_missing AND {same})"
        )
        for row in rows:
            known, missing, same_content = map(bool, row[-3:])
            yield Wanted(EntryRow._make(row[:-3]), known, missing, known and same_content)

    def new_content(self) -> Iterator[str]:
        """Yield the photo MD5s of content that the rows do not have, sorted."""
        yield from self._ids("SELECT photo_md5 FROM content ORDER BY photo_md5")

    def note_thumbnails(self, photo_md5s: Iterable[str]) -> None:
        """Remember of new content that it has a thumbnail."""
        marks = "UPDATE content SET has_thumbnail = 1 WHERE photo_md5 = ?"
        self._connection.executemany(marks, ((md5,) for md5 in photo_md5s))

    def content(self, photo_md5: str | None) -> tuple[str, bool]:
        """Return the metadata JSON ("" if there is none) of new content, and whether it has a thumbnail."""
        found = self._connection.execute(
            "SELECT body, has_thumbnail FROM content WHERE photo_md5 = ?", [photo_md5]
        ).fetchone()
        return (found[0] or "", bool(found[1])) if found else ("", False)

    def _ids(self, sql: str) -> Iterator[str]:
        for (key,) in self._connection.execute(sql):
            yield key


@contextmanager
def planned(library: Library, snapshot: Snapshot, folder: Path) -> Iterator[Plan]:
    """Compare the library's rows with `snapshot`, in a file in `folder`. Only reads the catalog.

    Raises SnapshotBroken for a snapshot that contradicts itself or holds what no row can.
    """
    with closing(sqlite3.connect(folder / "plan.sqlite", isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")
        for table in ("now", "wanted"):
            connection.execute(f"CREATE TABLE {table}{_TABLE}")
        connection.execute("CREATE TABLE content(photo_md5 TEXT PRIMARY KEY, body TEXT, has_thumbnail INTEGER)")
        connection.execute("BEGIN")
        _insert(connection, "now", ((*row, 0) for row in entry_rows(library)))
        _insert(connection, "now", _missing_rows(library))
        _insert(connection, "wanted", _wanted_rows(library, snapshot))
        for table in ("now", "wanted"):
            connection.execute(f"CREATE INDEX {table}_id ON {table}(photo_id)")
            connection.execute(f"CREATE INDEX {table}_path ON {table}(path)")
        plan = Plan(connection)
        plan.ids_were_kept = not _give_ids(connection)
        twice = connection.execute("SELECT path FROM wanted GROUP BY photo_id HAVING count(*) > 1 LIMIT 1").fetchone()
        if twice:
            raise SnapshotBroken(f"The snapshot {snapshot.md5} has one photo at two places: {twice[0]!r:.200}.")
        connection.execute(_NEW_CONTENT)
        bodies = ((body, md5) for md5, body in snapshot.metadata())
        connection.executemany("UPDATE content SET body = ? WHERE photo_md5 = ?", bodies)
        connection.execute("COMMIT")
        yield plan


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * (len(_COLUMNS) + 1))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _missing_rows(library: Library) -> Iterator[tuple[Any, ...]]:
    missing = Photo.objects.filter(library=library, state=Photo.State.MISSING)
    for key, directory, filename, md5 in missing.values_list("pk", "directory", "filename", "photo_md5").iterator():
        facts = dict.fromkeys(_COLUMNS)
        path = f"{directory}/{filename}" if directory else filename
        facts.update(path=path, filename=filename, photo_md5=md5 or None, photo_id=str(key))  # type: ignore[call-overload]
        yield (*facts.values(), 1)


def _wanted_rows(library: Library, snapshot: Snapshot) -> Iterator[tuple[Any, ...]]:
    """Yield the snapshot's entries, without the ids that are none or that photos of other libraries have."""
    entries = snapshot.entries()
    while batch := list(islice(entries, _BATCH)):
        ids = [_uuid(entry.photo_id) for entry in batch]
        elsewhere = Photo.objects.filter(pk__in=[key for key in ids if key]).exclude(library=library)
        taken = set(elsewhere.values_list("pk", flat=True))
        for entry, key in zip(batch, ids, strict=True):
            if len(entry.path.encode()) > LONGEST_PATH_BYTES:
                raise SnapshotBroken(
                    f"The snapshot {snapshot.md5} has a path too long for the catalog: {entry.path!r:.200}."
                )
            filename = entry.path.rpartition("/")[2]
            yield (*entry._replace(filename=filename, photo_id=str(key) if key and key not in taken else None), 0)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def _give_ids(connection: sqlite3.Connection) -> int:
    """Give entries without an id that of the photo at their path, else a new one; return how many there were."""
    without = [path for (path,) in connection.execute("SELECT path FROM wanted WHERE photo_id IS NULL")]
    for path in without:
        here = connection.execute(
            "SELECT photo_id FROM now WHERE path = ? AND photo_id NOT IN "
            "(SELECT photo_id FROM wanted WHERE photo_id IS NOT NULL)",
            [path],
        ).fetchone()
        key = here[0] if here else str(uuid.uuid4())
        connection.execute("UPDATE wanted SET photo_id = ? WHERE path = ?", [key, path])
    return len(without)
