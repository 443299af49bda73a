"""The tables of a catalog snapshot: their columns, what may stand in them, and the words for what can be wrong."""

import re
from typing import NamedTuple

SCHEMA_VERSION = 1
PAGE_SIZE_BYTES = 4096
_SNAPSHOT_NAME = re.compile(r"\.photolala\.([0-9a-f]{32})\.sqlite")
MAX_TEXT_BYTES = 16 << 20
"""No path and no metadata body is longer; a file that says so is not read."""


class SnapshotUnusable(Exception):
    """This snapshot cannot be used; the message is a sentence that says why. Others may still be good."""


class SnapshotBroken(SnapshotUnusable):
    """The bytes are damaged, or were never a snapshot of this format."""


class SnapshotTooNew(SnapshotUnusable):
    """The snapshot is whole but of a schema that this version does not know: leave it for the one that wrote it."""


class SnapshotHeader(NamedTuple):
    """What a snapshot says of itself. `library_id` is the id that the library keeps on any server that opens it."""

    library_id: str


class EntryRow(NamedTuple):
    """One photo of a snapshot, in the order of the columns. `path` is in the text form of `photolala.lib.paths`.

    `taken_at` is RFC 3339, with an offset if the file knew one. A plain tuple in this order does as well for writing.
    """

    path: str
    filename: str
    size_bytes: int
    mtime_ns: int
    head_md5: str | None
    photo_md5: str | None
    media_type: str | None
    width: int | None
    height: int | None
    orientation: int | None
    taken_at: str | None
    taken_at_source: str | None
    duration_ms: int | None
    rating: int | None
    photo_id: str | None


class StarRow(NamedTuple):
    """One star or un-star that the cloud mirror still has to hear of. `queued_at` is RFC 3339."""

    id: int
    photo_md5: str | None
    fast_photo_key: str
    operation: str
    queued_at: str


TABLES = {
    "version": "CREATE TABLE version(schema_version INTEGER, library_id TEXT, entry_count INTEGER)",
    "entries": (
        "CREATE TABLE entries(path TEXT PRIMARY KEY, filename TEXT, size_bytes INTEGER, mtime_ns INTEGER,"
        " head_md5 TEXT, photo_md5 TEXT, media_type TEXT, width INTEGER, height INTEGER, orientation INTEGER,"
        " taken_at TEXT, taken_at_source TEXT, duration_ms INTEGER, rating INTEGER, photo_id TEXT) WITHOUT ROWID"
    ),
    "metadata": "CREATE TABLE metadata(photo_md5 TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID",
    "star_queue": (
        "CREATE TABLE star_queue(id INTEGER PRIMARY KEY, photo_md5 TEXT, fast_photo_key TEXT, operation TEXT,"
        " queued_at TEXT)"
    ),
    "aliases": "CREATE TABLE aliases(old_md5 TEXT PRIMARY KEY, new_md5 TEXT) WITHOUT ROWID",
}


def _text(column: str) -> str:
    return f"typeof({column})='text'"


def _md5(column: str) -> str:
    return f"(typeof({column})='text' AND length({column})=32)"


def _count(column: str) -> str:
    return f"(typeof({column})='integer' AND {column}>=0)"


def _integer(column: str) -> str:
    return f"typeof({column})='integer'"


def _or_null(check: str, column: str) -> str:
    return f"({column} IS NULL OR {check})"


VALID_ROW = {
    "entries": " AND ".join(
        [
            f"{_text('path')} AND path<>''",
            f"{_text('filename')} AND filename<>''",
            _count("size_bytes"),
            _integer("mtime_ns"),
            *(_or_null(_md5(column), column) for column in ("head_md5", "photo_md5")),
            *(_or_null(_text(column), column) for column in ("media_type", "taken_at", "taken_at_source", "photo_id")),
            *(_or_null(_count(column), column) for column in ("width", "height", "orientation", "duration_ms")),
            _or_null(_integer("rating"), "rating"),
        ]
    ),
    "metadata": f"{_md5('photo_md5')} AND {_text('body')}",
    "star_queue": " AND ".join(
        [_or_null(_md5("photo_md5"), "photo_md5"), *map(_text, ("fast_photo_key", "operation", "queued_at"))]
    ),
    "aliases": f"{_md5('old_md5')} AND {_md5('new_md5')}",
}
"""SQL that is true for a row of the right types: the writer refuses what the reader would. Characters are left to the
reader, which trusts nobody; looking at each of them here would take as long as all the rest."""


def snapshot_name(md5: str) -> str:
    """Return the file name of the snapshot whose bytes have this MD5."""
    return f".photolala.{md5}.sqlite"


def md5_of_name(name: str) -> str | None:
    """Return the MD5 in the file name of a snapshot, None for any other name (temporary files, ones set aside)."""
    match = _SNAPSHOT_NAME.fullmatch(name)
    return match.group(1) if match else None
