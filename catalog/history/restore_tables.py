"""The tables in the file of a restore's plan: the catalog's rows as they are (`now`, `later`), and the snapshot's (`wanted`)."""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from catalog.entries.folder_comparison import LONGEST_PATH_BYTES
from catalog.entries.taken import taken_text
from catalog.history.rows import entry_rows, given_in
from catalog.models import Library, Photo
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import EntryRow, SnapshotBroken
from photolala.lib.paths import join_path

COLUMNS = EntryRow._fields
HELD = ("rating_held", "taken_held", "caption_held", "caption", "keywords_held", "keywords", "place_held", "place")
"""Entries have no captions, keywords or places: what a file says is read in it. Only what a person gave, and no file has,
is here."""
TABLE = (
    f"({', '.join(COLUMNS)}, is_missing, rating_held DEFAULT 0, taken_held DEFAULT 0, told_id, "
    "caption_held DEFAULT 0, caption, keywords_held DEFAULT 0, keywords, place_held DEFAULT 0, place)"
)
_FILLED = ", ".join((*COLUMNS, "is_missing", "rating_held", "taken_held", "told_id"))
_BATCH = 500


def read_rows(connection: sqlite3.Connection, table: str, library: Library) -> None:
    """Fill `table` with the catalog's rows as they are."""
    insert(connection, table, ((*row, 0, 0, 0, None) for row in entry_rows(library)))
    insert(connection, table, _missing_rows(library))
    index(connection, table)
    held = (
        (
            one.has_rating,
            one.has_date,
            one.has_caption,
            one.caption,
            one.keywords is not None,
            one.keywords,
            one.place is not None,
            one.place,
            one.photo_id,
        )
        for one in given_in(library, with_missing=True)
    )
    connection.executemany(
        f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in HELD)} WHERE photo_id = ?",  # noqa: S608
        held,
    )


def index(connection: sqlite3.Connection, table: str) -> None:
    """Let entries of `table` be found by photo and by path."""
    connection.execute(f"CREATE INDEX {table}_id ON {table}(photo_id)")
    connection.execute(f"CREATE INDEX {table}_path ON {table}(path)")


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Append `rows` to `table`, in the order of `_FILLED`."""
    marks = ", ".join("?" * (len(COLUMNS) + 4))
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
        facts: dict[str, Any] = dict.fromkeys(COLUMNS)
        path = join_path(directory, filename)
        facts.update(path=path, filename=filename, photo_md5=md5 or None, photo_id=str(key), rating=rating)
        facts.update(taken_at=taken_text(local, offset) if source else None, taken_at_source=source or None)
        yield (*facts.values(), 1, 0, 0, None)


def wanted_rows(library: Library, snapshot: Snapshot) -> Iterator[tuple[Any, ...]]:
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


def give_ids(connection: sqlite3.Connection) -> int:
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
