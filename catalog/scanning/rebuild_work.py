"""The file in which a rebuild collects what it reads, so that it can be killed and goes on."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from catalog.snapshots.given import Given
from catalog.snapshots.schema import EntryRow

_ENTRY = ", ".join(EntryRow._fields)
_MARKS = ", ".join("?" * (len(EntryRow._fields) + 1))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entry({_ENTRY}, sidecars, PRIMARY KEY(path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS body(photo_md5 TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folder(path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE seen(path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE known(photo_id TEXT PRIMARY KEY, path TEXT, photo_md5 TEXT, rating INTEGER, taken_at TEXT,
                        caption TEXT, keywords TEXT, place TEXT, rank INTEGER) WITHOUT ROWID;
"""
# Each step gives the identities that are left to entries that have none: the same content at the same place, the same
# content elsewhere (moved), another content at the same place (edited). Those of equal content go in order of path.
_SAME_PLACE = (
    "UPDATE entry SET photo_id = (SELECT k.photo_id FROM known k WHERE k.path = entry.path AND {content} "
    "AND k.photo_id NOT IN (SELECT photo_id FROM entry WHERE photo_id IS NOT NULL) ORDER BY k.rank LIMIT 1) "
    "WHERE photo_id IS NULL"
)
_MOVED = """
CREATE TEMP TABLE moved_entry AS SELECT path, photo_md5, row_number() OVER (PARTITION BY photo_md5 ORDER BY path) AS number
  FROM entry WHERE photo_id IS NULL AND photo_md5 IS NOT NULL;
CREATE TEMP TABLE moved_known AS SELECT photo_id, photo_md5,
  row_number() OVER (PARTITION BY photo_md5 ORDER BY rank, path) AS number FROM known
  WHERE photo_md5 <> '' AND photo_id NOT IN (SELECT photo_id FROM entry WHERE photo_id IS NOT NULL);
CREATE INDEX temp.moved_content ON moved_known(photo_md5, number);
CREATE TEMP TABLE moved AS SELECT e.path, k.photo_id FROM moved_entry e JOIN moved_known k USING (photo_md5, number);
CREATE INDEX temp.moved_path ON moved(path);
UPDATE entry SET photo_id = (SELECT m.photo_id FROM moved m WHERE m.path = entry.path)
  WHERE path IN (SELECT path FROM moved);
"""


class Known(NamedTuple):
    """A photo that rows or snapshot know. `rating`, `taken_at`, `caption`, `keywords` and `place` are those that the file has not
    yet, None where the file itself tells; a rating of 0, an empty caption, "[]", "null", is what a person took away. `rank`
    tells who is asked first: PRESENT, MISSING or REMEMBERED.
    """

    photo_id: str
    path: str
    photo_md5: str
    rating: int | None
    taken_at: str | None
    caption: str | None
    keywords: str | None
    place: str | None
    rank: int


class Body(NamedTuple):
    """The metadata JSON of a content."""

    photo_md5: str
    json: str


class ReadEntry(NamedTuple):
    """A file that was read: its row without an id, the signature of its sidecars, its metadata if it could be read."""

    row: EntryRow
    sidecars: str
    body: Body | None


PRESENT, MISSING, REMEMBERED = 0, 1, 2


def own_work(folder: Path, token: int, *, anew: bool = False) -> Path:
    """Return the work file of this claim in `folder`; it begins with what the claim before it has read, unless `anew`.

    A writer of an earlier claim that wakes late goes on in a file of its own, which nobody reads.
    """
    own = folder / f"work-{token}.sqlite"
    earlier = [claim for claim in _claims_before(folder, token) if claim[1].exists()]
    if earlier and not anew and not own.exists():
        part = own.with_suffix(".part")
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(earlier[-1][1])) as source, closing(sqlite3.connect(part)) as target:
                source.backup(target)
            part.rename(own)
        except sqlite3.DatabaseError:  # damaged: then all is read again
            part.unlink(missing_ok=True)
    remove_work(folder, token - 1)
    return own


def remove_work(folder: Path, token: int) -> None:
    """Remove the work files of the claims up to `token`; what cannot be removed now goes with the next scan."""
    for _, path in _claims_before(folder, token + 1):
        with suppress(OSError):
            _unlink(path)


def remove_own_work(own: Path) -> None:
    """Remove the work file of a claim that is over, and its folder if nothing else lies there."""
    with suppress(OSError):
        _unlink(own)
        own.parent.rmdir()


def _unlink(path: Path) -> None:
    part = path.with_suffix(".part")
    for name in (path, Path(f"{path}-journal"), part, Path(f"{part}-journal")):
        name.unlink(missing_ok=True)


def _claims_before(folder: Path, token: int) -> list[tuple[int, Path]]:
    found = {(int(path.stem.rpartition("-")[2]), path.with_suffix(".sqlite")) for path in folder.glob("work-*.*")}
    return sorted(claim for claim in found if claim[0] < token)


class RebuildWork:
    """Entries read so far, by path. Each batch is one transaction: after a crash all whole batches are there."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin a new one; one that cannot be used is thrown away, for it holds nothing that is lost."""
        try:
            self._connection = self._opened(path)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._connection = self._opened(path)

    def _opened(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA cache_size=-16000")
        connection.executescript(_SCHEMA)
        return connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def known_in(self, paths: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """Return size, time and sidecars' signature of those of `paths` that were read; what could not be, is tried again."""
        marks = ", ".join("?" * len(paths))
        rows = self._connection.execute(
            f"SELECT path, size_bytes, mtime_ns, sidecars FROM entry WHERE photo_md5 IS NOT NULL AND path IN ({marks})",  # noqa: S608
            list(paths),
        )
        return {path: (size, mtime, sidecars) for path, size, mtime, sidecars in rows}

    def see(self, paths: Iterable[str]) -> None:
        """Note which files the walk found, to know in the end which of those read before are gone."""
        self._connection.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((path,) for path in paths))

    def add(self, batch: Sequence[ReadEntry]) -> None:
        """Keep a batch of entries, in one transaction."""
        self._connection.execute("BEGIN")
        entries = ((*read.row, read.sidecars) for read in batch)
        self._connection.executemany(f"INSERT OR REPLACE INTO entry VALUES ({_MARKS})", entries)  # noqa: S608
        bodies = (read.body for read in batch if read.body)
        self._connection.executemany("INSERT OR REPLACE INTO body VALUES (?, ?)", bodies)
        self._connection.execute("COMMIT")

    def forget_unseen(self) -> int:
        """Remove entries of files that are gone since an earlier run read them."""
        return self._connection.execute("DELETE FROM entry WHERE path NOT IN (SELECT path FROM seen)").rowcount

    def identify(self, known: Iterable[Known], remembered: Iterable[Given] = ()) -> dict[int, int]:
        """Give each entry the id, and the rating, date and caption that its file has not, of the photo that it is.

        What is new gets none. `remembered` is what people gave to those that the rows do not know. Returns how many were
        recognised, by rank.
        """
        connection = self._connection
        connection.execute("BEGIN")
        connection.execute("UPDATE entry SET photo_id = NULL")
        connection.executemany("INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", known)
        told = (
            (
                one.rating or 0 if one.has_rating else None,
                one.caption,
                one.keywords,
                one.place,
                one.photo_id,
                REMEMBERED,
            )
            for one in remembered
        )
        connection.executemany(
            "UPDATE known SET rating = coalesce(?, rating), caption = ?, keywords = ?, place = ? "
            "WHERE photo_id = ? AND rank = ?",
            told,
        )
        connection.execute("CREATE INDEX temp.known_path ON known(path)")
        connection.execute(_SAME_PLACE.format(content="k.photo_md5 = entry.photo_md5"))
        for step in filter(str.strip, _MOVED.split(";")):
            connection.execute(step)
        # What lies under the name of a missing or deleted photo, with other content, is another photo.
        connection.execute(_SAME_PLACE.format(content=f"k.rank <> {MISSING}"))
        connection.execute(
            "UPDATE entry SET rating = nullif(k.rating, 0) FROM known k "
            "WHERE k.photo_id = entry.photo_id AND k.rating IS NOT NULL"
        )
        connection.execute(
            "UPDATE entry SET taken_at = k.taken_at, taken_at_source = 'person' "
            "FROM known k WHERE k.photo_id = entry.photo_id AND k.taken_at IS NOT NULL"
        )
        counts = connection.execute(
            "SELECT k.rank, count(*) FROM entry e JOIN known k USING (photo_id) GROUP BY k.rank"
        ).fetchall()
        connection.execute("COMMIT")
        return dict(counts)

    def count_broken(self) -> int:
        """Return how many entries whose files could not be read are photos that were read once. After `identify`."""
        sql = (
            "SELECT count(*) FROM entry e JOIN known k USING (photo_id) "
            "WHERE e.photo_md5 IS NULL AND k.photo_md5 <> '' AND k.rank = ?"
        )
        return int(self._connection.execute(sql, [PRESENT]).fetchone()[0])

    def name_new(self, make_id: Callable[[str, str, int], str]) -> None:
        """Give entries without an id what `make_id(path, head_md5, size_bytes)` returns."""
        without = (
            "SELECT path, head_md5, size_bytes FROM entry WHERE photo_id IS NULL AND path > ? ORDER BY path LIMIT 2000"
        )
        last = ""
        while rows := self._connection.execute(without, [last]).fetchall():
            last = rows[-1][0]
            ids = [(make_id(path, head_md5 or "", size), path) for path, head_md5, size in rows]
            self._connection.execute("BEGIN")
            self._connection.executemany("UPDATE entry SET photo_id = ? WHERE path = ?", ids)
            self._connection.execute("COMMIT")

    def given(self) -> Iterator[Given]:
        """Yield what people gave to the photos of the entries and their files have not."""
        rows = self._connection.execute(
            "SELECT photo_id, k.rating IS NOT NULL, e.rating, k.taken_at IS NOT NULL, k.caption, k.keywords, k.place "
            "FROM entry e JOIN known k USING (photo_id) "
            "WHERE coalesce(k.rating, k.taken_at, k.caption, k.keywords, k.place) IS NOT NULL"
        )
        for photo_id, has_rating, rating, has_date, caption, *rest in rows:
            given_rating = rating if has_rating else None
            given = (bool(has_rating), given_rating, bool(has_date), caption is not None, caption, *rest)
            yield Given(photo_id, *given)

    def count(self) -> int:
        """Return how many entries there are."""
        return int(self._connection.execute("SELECT count(*) FROM entry").fetchone()[0])

    def entries(self) -> Iterator[tuple[Any, ...]]:
        """Yield the snapshot's rows in order of path."""
        yield from self._connection.execute(f"SELECT {_ENTRY} FROM entry ORDER BY path")  # noqa: S608

    def bodies(self) -> Iterator[tuple[str, str]]:
        """Yield (photo MD5, metadata JSON) of all entries."""
        yield from self._connection.execute(
            "SELECT photo_md5, body FROM body WHERE photo_md5 IN (SELECT photo_md5 FROM entry) ORDER BY photo_md5"
        )
