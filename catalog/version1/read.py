"""Reads a version-1 library database as what it is: an SQLite file that anyone may have made, and its owner's only copy."""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 8 * 1024**3
MOST_TEXT_BYTES = 64 * 1024
MOST_SECONDS = 600.0
_STEPS_BETWEEN_LOOKS = 100_000
_PRAGMAS = (
    *("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"),
    "ignore_check_constraints=ON",  # they are a stranger's expressions
)
_HEADER = b"SQLite format 3\0"


class NotALibraryDatabase(Exception):
    """The file is none that could be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class OldPhoto:
    """A row of the old table `photos`. `path` is relative to the library's root; `rating` None where there is none."""

    path: str
    size_bytes: int | None
    rating: int | None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that says nothing that could be believed, and why."""

    number: int
    reason: str


@contextmanager
def open_old_library(file: Path) -> Iterator["OldLibrary"]:
    """Open a private copy of the database; the file itself is only ever read. Raises NotALibraryDatabase or OSError."""
    _require_whole(file)
    with tempfile.TemporaryDirectory(prefix="version1-") as folder:
        copy = Path(folder) / "old.sqlite"
        shutil.copyfile(file, copy)
        try:
            connection = sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise NotALibraryDatabase(f"{file} cannot be opened as a database: {error}.") from None
        with closing(connection):
            yield OldLibrary(connection, file)


class OldLibrary:
    """An open version-1 database, verified."""

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._connection = connection
        deadline = time.monotonic() + MOST_SECONDS
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 * 1024 * 1024)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            kind = connection.execute("SELECT type, rootpage > 0 FROM sqlite_master WHERE name = 'photos'").fetchone()
            columns = {row[1] for row in connection.execute("PRAGMA table_info(photos)")}
        except sqlite3.Error as error:
            raise NotALibraryDatabase(f"{file} is no whole database: {error}. Nothing was changed.") from None
        if said != "ok":
            raise NotALibraryDatabase(f"{file} is damaged: {str(said)[:200]}. Nothing was changed.")
        if kind != ("table", 1) or "current_path" not in columns:
            raise NotALibraryDatabase(
                f"{file} is no library database of version 1: it has no table of photos with their paths. Nothing was changed."
            )
        self.has_ratings = "rating" in columns
        self._size = "file_size" if "file_size" in columns else "NULL"

    def photos(self) -> Iterator[OldPhoto | BadRow]:
        """Yield all rows, each believed only as far as it makes sense. Raises NotALibraryDatabase if reading breaks off."""
        rating = "rating" if self.has_ratings else "NULL"
        sql = f"SELECT rowid, current_path, {self._size}, {rating} FROM photos ORDER BY rowid"  # noqa: S608
        try:
            for number, path, size, stars in self._connection.execute(sql):
                yield _row(number, path, size, stars)
        except sqlite3.Error as error:
            raise NotALibraryDatabase(f"Reading broke off: {error}. What was taken over before stays.") from None


def _row(number: int, path: object, size: object, stars: object) -> OldPhoto | BadRow:
    if not isinstance(path, str) or not path or "\0" in path or len(path.encode(errors="replace")) > MOST_TEXT_BYTES:
        return BadRow(number, "Its path is no path.")
    if any(part in ("..", ".") for part in path.split("/")):
        return BadRow(number, "Its path leads out of the library.")
    if stars is not None and not (isinstance(stars, int) and 0 <= stars <= 5):
        return BadRow(number, "Its rating is none from 0 to 5.")
    known_size = size if isinstance(size, int) and size >= 0 else None
    return OldPhoto(path, known_size, stars)


def _require_whole(file: Path) -> None:
    facts = os.stat(file)
    if not file.is_file() or facts.st_size > MOST_BYTES:
        raise NotALibraryDatabase(
            f"{file} is no library database: it is no file, or too large for one. Nothing was changed."
        )
    with file.open("rb") as opened:
        if opened.read(len(_HEADER)) != _HEADER:
            raise NotALibraryDatabase(f"{file} is no SQLite database. Nothing was changed.")
    journal = [Path(f"{file}{ending}") for ending in ("-wal", "-journal")]
    if any(path.exists() and path.stat().st_size for path in journal):
        raise NotALibraryDatabase(
            f"{file} is in use, or its application died: a journal lies beside it. Start and quit that application once, or "
            "work on a copy that it has closed. Nothing was changed."
        )
