"""What a snapshot has other than the catalog's rows: worked out in a file of its own, so that memory does not grow."""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from catalog.entries.last_read import rating_in
from catalog.entries.listing import LONGEST_PATH_BYTES
from catalog.entries.taken import goes_into_file, taken_text
from catalog.history.given_since import TOUCHED, keep_given_since, read_given_since
from catalog.history.rows import entry_rows, given_in
from catalog.models import FileWrite, Library, Photo
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import EntryRow, SnapshotBroken
from photolala.lib.paths import join_path

_COLUMNS = EntryRow._fields
_HELD = ("rating_held", "taken_held", "caption_held", "caption")
"""Entries have no captions: what a file says is read in it. Only one that a person gave, and no file has, stands here."""
_TABLE = (
    f"({', '.join(_COLUMNS)}, is_missing, rating_held DEFAULT 0, taken_held DEFAULT 0, told_id, "
    "caption_held DEFAULT 0, caption)"
)
_FILLED = ", ".join((*_COLUMNS, "is_missing", "rating_held", "taken_held", "told_id"))
_BATCH = 500
_NEW_CONTENT = (
    "INSERT INTO content(photo_md5) SELECT DISTINCT w.photo_md5 FROM wanted w LEFT JOIN now n ON n.photo_id = w.photo_id "
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
    rating_held: bool
    """The rating is one that a person gave and no file has."""
    taken_held: bool
    """So is the capture time."""
    caption: str | None
    """The caption that a person gave and no file has; None if that is not so."""


class Content(NamedTuple):
    """What is known of content that the rows do not have at its place: metadata JSON, and what other rows tell of it."""

    body: str = ""
    has_thumbnail: bool = False
    image_digest: str = ""
    is_read: bool = False
    """This library read such bytes."""


class Plan:
    """The difference between the rows and a snapshot. Iterators are passes over a file; ids are texts of UUIDs."""

    def __init__(self, connection: sqlite3.Connection, asked_at: datetime) -> None:
        self._connection = connection
        self._asked_at = asked_at
        self.is_exact = True
        """False if the rows will not be what the snapshot says: other libraries have some of its ids, or what people gave
        meanwhile stays. Then the next scan writes another snapshot."""

    def displaced(self) -> Iterator[str]:
        """Yield the photos that must leave their path, because they or another one are elsewhere in the snapshot."""
        yield from self._ids(
            "SELECT n.photo_id FROM now n LEFT JOIN wanted w ON w.photo_id = n.photo_id WHERE "
            "(w.path <> n.path OR (w.path IS NULL AND EXISTS (SELECT 1 FROM wanted o WHERE o.path = n.path))) "
            "AND n.photo_id NOT IN (SELECT photo_id FROM touched)"
        )

    def gone(self) -> Iterator[str]:
        """Yield the photos that the snapshot does not know and that are not missing yet."""
        yield from self._ids(
            "SELECT photo_id FROM now WHERE NOT is_missing AND photo_id NOT IN (SELECT photo_id FROM wanted) "
            "AND photo_id NOT IN (SELECT photo_id FROM touched)"
        )

    def changed(self) -> Iterator[Wanted]:
        """Yield the entries whose photos have no row, are missing, or differ in anything."""
        same = " AND ".join(f"n.{name} IS w.{name}" for name in (*_COLUMNS, *_HELD))
        columns = ", ".join(f"w.{name}" for name in _COLUMNS)
        rows = self._connection.execute(
            f"SELECT {columns}, CASE WHEN w.caption_held THEN w.caption END, "  # noqa: S608
            "n.photo_id IS NOT NULL, n.is_missing, n.photo_md5 IS w.photo_md5, w.rating_held, w.taken_held "
            f"FROM wanted w LEFT JOIN now n ON n.photo_id = w.photo_id WHERE NOT (n.photo_id IS NOT NULL AND NOT n.is_missing "
            f"AND {same}) AND w.photo_id NOT IN (SELECT photo_id FROM touched)"
        )
        count = len(_COLUMNS)
        for row in rows:
            known, missing, same_content, rating_held, taken_held = map(bool, row[count + 1 :])
            entry, caption = EntryRow._make(row[:count]), row[count]
            yield Wanted(entry, known, missing, known and same_content, rating_held, taken_held, caption)

    def known_to_change(self) -> Iterator[str]:
        """Yield the photos with rows that will be written, in order of their ids: the order in which all lock them."""
        same = " AND ".join(f"n.{name} IS w.{name}" for name in (*_COLUMNS, *_HELD))
        yield from self._ids(
            f"SELECT n.photo_id FROM now n LEFT JOIN wanted w ON w.photo_id = n.photo_id "  # noqa: S608
            f"WHERE NOT (w.photo_id IS NOT NULL AND NOT n.is_missing AND {same}) AND NOT (w.photo_id IS NULL AND n.is_missing "
            "AND NOT EXISTS (SELECT 1 FROM wanted o WHERE o.path = n.path)) ORDER BY n.photo_id"
        )

    def merge(self, library: Library) -> int:
        """Leave those photos alone that were changed since the rows were read; return how many. Call it under the lock.

        What was done to them came later than the plan. Entries that want their places are left out, too. Of photos that only
        got stars, a date or a caption since the restore was asked for, just these are left alone.
        """
        connection = self._connection
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE later{_TABLE}")
        _read_rows(connection, "later", library)
        read_given_since(connection, library, self._asked_at)
        kept = keep_given_since(connection, "later")
        connection.execute(TOUCHED)
        connection.execute(
            "INSERT OR IGNORE INTO touched SELECT photo_id FROM now WHERE photo_id NOT IN (SELECT photo_id FROM later)"
        )
        in_the_way = (
            "INSERT OR IGNORE INTO touched SELECT w.photo_id FROM wanted w JOIN later o ON o.path = w.path "
            "JOIN touched t ON t.photo_id = o.photo_id WHERE w.photo_id NOT IN (SELECT photo_id FROM touched)"
        )
        while connection.execute(in_the_way).rowcount > 0:
            pass
        connection.execute("DROP TABLE now")
        connection.execute("ALTER TABLE later RENAME TO now")
        count = int(connection.execute("SELECT count(*) FROM touched").fetchone()[0])
        connection.execute("COMMIT")
        self.is_exact = self.is_exact and not count and not kept
        return count

    def new_content(self) -> Iterator[str]:
        """Yield the photo MD5s of content that the rows do not have, sorted."""
        yield from self._ids("SELECT photo_md5 FROM content ORDER BY photo_md5")

    def note_read(self, photo_md5s: Iterable[str]) -> None:
        """Remember of new content that this library read it."""
        marks = "UPDATE content SET is_read = 1 WHERE photo_md5 = ?"
        self._connection.executemany(marks, ((md5,) for md5 in photo_md5s))

    def note_thumbnails(self, photo_md5s: Iterable[str]) -> None:
        """Remember of new content that it has a thumbnail."""
        marks = "UPDATE content SET has_thumbnail = 1 WHERE photo_md5 = ?"
        self._connection.executemany(marks, ((md5,) for md5 in photo_md5s))

    def note_pictures(self, digests: Iterable[tuple[str, str]]) -> None:
        """Remember image digests of new content, as (digest, photo MD5): other rows with the same bytes tell them."""
        self._connection.executemany("UPDATE content SET image_digest = ? WHERE photo_md5 = ?", digests)

    def content(self, photo_md5: str | None) -> Content:
        """Return what is known of new content."""
        found = self._connection.execute(
            "SELECT body, has_thumbnail, image_digest, is_read FROM content WHERE photo_md5 = ?", [photo_md5]
        ).fetchone()
        return Content(found[0] or "", bool(found[1]), found[2], bool(found[3])) if found else Content()

    def _ids(self, sql: str) -> Iterator[str]:
        for (key,) in self._connection.execute(sql):
            yield key


@contextmanager
def planned(
    library: Library, snapshot: Snapshot, folder: Path, asked_at: datetime, *, keeps_given: bool = False
) -> Iterator[Plan]:
    """Compare the library's rows with `snapshot`, in a file in `folder`. Only reads the catalog.

    What people gave to photos that have rows comes from the snapshot where the catalog is its only place, and stays as the
    rows have it where it belongs into files (those tell), where a write still waits, or everywhere with `keeps_given`.
    What they gave at `asked_at` or later, when this had been asked for, stays everywhere, too.
    Raises SnapshotBroken for a snapshot that contradicts itself or holds what no row can.
    """
    with closing(sqlite3.connect(folder / "plan.sqlite", isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")
        for table in ("now", "wanted"):
            connection.execute(f"CREATE TABLE {table}{_TABLE}")
        connection.execute(
            "CREATE TABLE content(photo_md5 TEXT PRIMARY KEY, body TEXT, has_thumbnail DEFAULT 0, image_digest DEFAULT '', "
            "is_read DEFAULT 0)"
        )
        connection.execute("CREATE TABLE touched(photo_id TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.execute("BEGIN")
        read_given_since(connection, library, asked_at)  # what is given from here on, `merge` finds
        _read_rows(connection, "now", library)
        _insert(connection, "wanted", _wanted_rows(library, snapshot))
        connection.execute("CREATE INDEX wanted_told ON wanted(told_id)")
        _index(connection, "wanted")
        plan = Plan(connection, asked_at)
        plan.is_exact = not _give_ids(connection)
        twice = connection.execute("SELECT path FROM wanted GROUP BY photo_id HAVING count(*) > 1 LIMIT 1").fetchone()
        if twice:
            raise SnapshotBroken(f"The snapshot {snapshot.md5} has one photo at two places: {twice[0]!r:.200}.")
        _take_marks(connection, snapshot, library)
        if _keep_given(connection, library, keeps_given=keeps_given):
            plan.is_exact = False
        if keep_given_since(connection, "now"):
            plan.is_exact = False
        connection.execute(_NEW_CONTENT)
        bodies = ((body, md5) for md5, body in snapshot.metadata())
        connection.executemany("UPDATE content SET body = ? WHERE photo_md5 = ?", bodies)
        connection.execute("COMMIT")
        yield plan


def _read_rows(connection: sqlite3.Connection, table: str, library: Library) -> None:
    """Fill `table` with the catalog's rows as they are."""
    _insert(connection, table, ((*row, 0, 0, 0, None) for row in entry_rows(library)))
    _insert(connection, table, _missing_rows(library))
    _index(connection, table)
    held = (
        (one.has_rating, one.has_date, one.has_caption, one.caption, one.photo_id)
        for one in given_in(library, with_missing=True)
    )
    connection.executemany(
        f"UPDATE {table} SET rating_held = ?, taken_held = ?, caption_held = ?, caption = ? WHERE photo_id = ?",  # noqa: S608
        held,
    )


def _index(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"CREATE INDEX {table}_id ON {table}(photo_id)")
    connection.execute(f"CREATE INDEX {table}_path ON {table}(path)")


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * (len(_COLUMNS) + 4))
    connection.executemany(f"INSERT INTO {table} ({_FILLED}) VALUES ({marks})", rows)  # noqa: S608


def _missing_rows(library: Library) -> Iterator[tuple[Any, ...]]:
    missing = Photo.objects.filter(library=library, state=Photo.State.MISSING)
    names = (
        "pk",
        "directory",
        "filename",
        "photo_md5",
        "rating",
        "taken_local",
        "taken_offset_minutes",
        "taken_source",
    )
    for key, directory, filename, md5, rating, local, offset, source in missing.values_list(*names).iterator():
        facts: dict[str, Any] = dict.fromkeys(_COLUMNS)
        path = join_path(directory, filename)
        facts.update(path=path, filename=filename, photo_md5=md5 or None, photo_id=str(key), rating=rating)
        facts.update(taken_at=taken_text(local, offset) if source else None, taken_at_source=source or None)
        yield (*facts.values(), 1, 0, 0, None)


def _take_marks(connection: sqlite3.Connection, snapshot: Snapshot, library: Library) -> None:
    """Mark what people gave as the snapshot says; of one without marks, what cannot be a file's is taken for given."""
    connection.execute(
        "CREATE TEMP TABLE mark(photo_id TEXT PRIMARY KEY, has_rating, rating, has_date, has_caption, caption)"
    )
    connection.executemany("INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?, ?, ?)", snapshot.given())
    connection.execute(
        "UPDATE wanted SET rating = m.rating, rating_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_rating"
    )
    connection.execute("UPDATE wanted SET taken_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_date")
    connection.execute(
        "UPDATE wanted SET caption = m.caption, caption_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_caption"
    )
    connection.execute("UPDATE wanted SET taken_held = 1 WHERE taken_at_source = 'person'")
    if snapshot.marked() is not None or library.writes_ratings:
        return
    connection.execute("CREATE TEMP TABLE told(photo_md5 TEXT PRIMARY KEY, rating)")
    told = ((md5, rating) for md5, body in snapshot.metadata() if (rating := rating_in(body)) is not None)
    connection.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", told)
    connection.execute(
        "UPDATE wanted SET rating_held = 1 "
        "WHERE rating IS NOT (SELECT t.rating FROM told t WHERE t.photo_md5 = wanted.photo_md5)"
    )


def _keep_given(connection: sqlite3.Connection, library: Library, *, keeps_given: bool) -> bool:
    """Let known photos keep what people gave them where the snapshot has no say in that; return whether any does."""
    kept = 0
    for kind, flag, columns, in_files in (
        (FileWrite.Kind.RATING, "rating_held", ("rating",), library.writes_ratings),
        (FileWrite.Kind.DATE, "taken_held", ("taken_at", "taken_at_source"), goes_into_file(library)),
        (FileWrite.Kind.CAPTION, "caption_held", ("caption",), library.writes_ratings),
    ):
        taken = ", ".join(f"{name} = n.{name}" for name in columns)
        stays = "TRUE"
        if keeps_given or in_files:  # what was given then and is not by now stands in the file, or was taken back
            kept += connection.execute(
                f"UPDATE wanted SET {taken}, {flag} = 0 FROM now n "  # noqa: S608
                f"WHERE n.photo_id = wanted.photo_id AND wanted.{flag} AND NOT n.{flag}"
            ).rowcount
        else:
            waiting = FileWrite.objects.filter(library=library, kind=kind, state__in=[s.value for s in FileWrite.OPEN])
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS waiting(photo_id TEXT PRIMARY KEY)")
            connection.execute("DELETE FROM waiting")
            keys = waiting.order_by().values_list("photo_id", flat=True)
            connection.executemany("INSERT OR IGNORE INTO waiting VALUES (?)", ((str(key),) for key in keys.iterator()))
            stays = "n.photo_id IN (SELECT photo_id FROM waiting)"
        kept += connection.execute(
            f"UPDATE wanted SET {taken}, {flag} = 1 FROM now n WHERE n.photo_id = wanted.photo_id AND n.{flag} AND {stays}"  # noqa: S608
        ).rowcount
    return bool(kept)


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
            own = str(key) if key and key not in taken else None
            yield (*entry._replace(filename=filename, photo_id=own), 0, 0, 0, str(key) if key else None)


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
