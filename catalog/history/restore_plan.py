"""What a snapshot has other than the catalog's rows: worked out in a file of its own, so that memory does not grow."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from catalog.history.given_since import TOUCHED, keep_given_since, read_given_since
from catalog.history.restore_given import keep_given, take_marks
from catalog.history.restore_tables import COLUMNS, HELD, TABLE, give_ids, index, insert, read_rows, wanted_rows
from catalog.models import Library
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import EntryRow, SnapshotBroken

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
    keywords: str | None
    """Likewise the keywords, as the text of a list."""
    place: str | None
    """Likewise the place; "null" if it was taken away."""


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
        same = " AND ".join(f"n.{name} IS w.{name}" for name in (*COLUMNS, *HELD))
        columns = ", ".join(f"w.{name}" for name in COLUMNS)
        rows = self._connection.execute(
            f"SELECT {columns}, CASE WHEN w.caption_held THEN w.caption END, "  # noqa: S608
            "CASE WHEN w.keywords_held THEN w.keywords END, CASE WHEN w.place_held THEN w.place END, "
            "n.photo_id IS NOT NULL, n.is_missing, n.photo_md5 IS w.photo_md5, w.rating_held, w.taken_held "
            f"FROM wanted w LEFT JOIN now n ON n.photo_id = w.photo_id WHERE NOT (n.photo_id IS NOT NULL AND NOT n.is_missing "
            f"AND {same}) AND w.photo_id NOT IN (SELECT photo_id FROM touched)"
        )
        count = len(COLUMNS)
        for row in rows:
            known, missing, same_content, rating_held, taken_held = map(bool, row[count + 3 :])
            entry, given = EntryRow._make(row[:count]), row[count : count + 3]
            yield Wanted(entry, known, missing, known and same_content, rating_held, taken_held, *given)

    def known_to_change(self) -> Iterator[str]:
        """Yield the photos with rows that will be written, in order of their ids: the order in which all lock them."""
        same = " AND ".join(f"n.{name} IS w.{name}" for name in (*COLUMNS, *HELD))
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
        connection.execute(f"CREATE TABLE later{TABLE}")
        read_rows(connection, "later", library)
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
            connection.execute(f"CREATE TABLE {table}{TABLE}")
        connection.execute(
            "CREATE TABLE content(photo_md5 TEXT PRIMARY KEY, body TEXT, has_thumbnail DEFAULT 0, image_digest DEFAULT '', "
            "is_read DEFAULT 0)"
        )
        connection.execute("CREATE TABLE touched(photo_id TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.execute("BEGIN")
        read_given_since(connection, library, asked_at)  # what is given from here on, `merge` finds
        read_rows(connection, "now", library)
        insert(connection, "wanted", wanted_rows(library, snapshot))
        connection.execute("CREATE INDEX wanted_told ON wanted(told_id)")
        index(connection, "wanted")
        plan = Plan(connection, asked_at)
        plan.is_exact = not give_ids(connection)
        twice = connection.execute("SELECT path FROM wanted GROUP BY photo_id HAVING count(*) > 1 LIMIT 1").fetchone()
        if twice:
            raise SnapshotBroken(f"The snapshot {snapshot.md5} has one photo at two places: {twice[0]!r:.200}.")
        take_marks(connection, snapshot, library)
        if keep_given(connection, library, keeps_given=keeps_given):
            plan.is_exact = False
        if keep_given_since(connection, "now"):
            plan.is_exact = False
        connection.execute(_NEW_CONTENT)
        bodies = ((body, md5) for md5, body in snapshot.metadata())
        connection.executemany("UPDATE content SET body = ? WHERE photo_md5 = ?", bodies)
        connection.execute("COMMIT")
        yield plan
