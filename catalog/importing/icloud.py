"""iCloud's export: CSV files tell dates and favourites of the photos beside them, and what is in which album or memory."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

MOST_BYTES = 16 * 1024 * 1024
"""A longer table is not read: a line has about a hundred bytes."""
MOST_ALBUM_BYTES = 1024 * 1024
_PART = re.compile(
    r"(?:^|/)iCloud Photos(?: Part \d+ of \d+)?/(?P<english>.+)$"
    r"|(?:^|/)iCloud[^/]*/(?P<other>(?:Photos|Albums|Memories|Recently Deleted|Hidden)(?:/.*)?)$"
    r"|^(?P<bare>(?:Photos|Albums|Memories)(?:/.*)?)$"
    r"|(?:^|/)iCloud (?P<shared>Shared Albums)(?:-\d+)?(?P<below>/.+)?$",
    re.IGNORECASE,
)
"""The folder of a part is named in the person's language and may be missing, those in it are English."""
_DATE = re.compile(r"(?:\w+ )?(\w+) (\d{1,2}),\s?(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?\s?([AP])M GMT", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DETAILS = re.compile(r"photo details(?:-\d+)?\.csv", re.IGNORECASE)
_NAME_COLUMNS = ("imgName", "imageName", "Images")
NO_ALBUMS = frozenset({"hidden", "favorites"})


class Told(NamedTuple):
    """What a table says of one photo."""

    at: datetime | None = None
    is_favourite: bool = False
    is_deleted: bool = False


def folder_in_icloud(directory: str) -> str:
    """Return a folder's path within a part of iCloud's export; "" for what is in none."""
    found = _PART.search(directory)
    if found is None:
        return ""
    shared = f"{found['shared']}{found['below'] or ''}" if found["shared"] else ""
    return found["english"] or found["other"] or found["bare"] or shared


def is_details(directory: str, filename: str) -> bool:
    """True for a table that tells of the photos beside it."""
    return bool(folder_in_icloud(directory)) and _DETAILS.fullmatch(filename) is not None


def album_title(directory: str, filename: str) -> str:
    """Return the title of the album, shared album or memory that a table lists; "" if it is none."""
    kind = _kind_of_album(directory)
    if not kind or not filename.lower().endswith(".csv") or _DETAILS.fullmatch(filename):
        return ""
    title = filename[:-4].strip()
    return "" if title.lower() in NO_ALBUMS else title


def album_key(directory: str, filename: str) -> str:
    """Return what tells the album that a table lists from all others of the export; "" if it is none."""
    title, kind = album_title(directory, filename), _kind_of_album(directory)
    return f"icloud:{title}" if title and kind == "albums" else f"icloud:{kind}/{title}" if title else ""


def is_memory(directory: str) -> bool:
    """True for the folder of the tables of what iCloud put together by itself."""
    return _kind_of_album(directory) == "memories"


def _kind_of_album(directory: str) -> str:
    kind = folder_in_icloud(directory).partition("/")[0].lower()
    return kind if kind in ("albums", "shared albums", "memories") else ""


def was_deleted(directory: str) -> bool:
    """True for a folder of photos that somebody deleted in iCloud."""
    return folder_in_icloud(directory).partition("/")[0].lower() == "recently deleted"


def details_in(data: bytes) -> dict[str, Told]:
    """Return what a table says, by the name of the photo; lines that say nothing sensible are left out."""
    found: dict[str, Told] = {}
    for row in _rows(data):
        name = _name_in(row)
        if name:
            told = Told(_date_in(row), _is_yes(row.get("favorite")), _is_yes(row.get("deleted")))
            found.setdefault(name, told)
    return found


def names_in(data: bytes) -> list[str]:
    """Return the photos that a table of an album lists, in its order, each once."""
    return list(dict.fromkeys(name for row in _rows(data) if (name := _name_in(row))))


def _rows(data: bytes) -> Iterator[dict[str, str]]:
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
        for row in table:
            yield {key: value for key, value in row.items() if isinstance(key, str) and isinstance(value, str)}
    except csv.Error:
        return


def _name_in(row: dict[str, str]) -> str:
    return next((row[column].strip() for column in _NAME_COLUMNS if row.get(column, "").strip()), "")


def _is_yes(text: str | None) -> bool:
    return (text or "").strip().lower() == "yes"


def _date_in(row: dict[str, str]) -> datetime | None:
    """Return the moment when a photo was taken: `Saturday June 4,2022 12:11 PM GMT`."""
    found = _DATE.fullmatch(row.get("originalCreationDate", "").replace("\u202f", " ").strip())
    if found is None or found[1][:3].lower() not in _MONTHS:
        return None
    hour = int(found[4]) % 12 + (12 if found[7].lower() == "p" else 0)
    month = _MONTHS.index(found[1][:3].lower()) + 1
    try:
        return datetime(int(found[3]), month, int(found[2]), hour, int(found[5]), int(found[6] or 0), tzinfo=UTC)
    except ValueError:
        return None
