"""The columns that say when a photo was taken, and their text in snapshots."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from catalog.entries.sql import Row
from catalog.models import Library
from catalog.models.photo import UNDATED
from photolala.lib.wall_clock import offset_text

BY_A_PERSON = "person"
"""The source of a capture time that a person gave and the file has not."""


def goes_into_file(library: Library) -> bool:
    """XMP files beside photos hold stars only; there, and in buckets, dates stay in the catalog."""
    return library.source == "local" and library.ratings == Library.Ratings.FILE


_MOST_OFFSET_MINUTES = 18 * 60
_LONGEST_SOURCE = 10


def within(value: Any, least: float, most: float) -> Any:
    """Return `value` if it is between the bounds, else None."""
    return value if value is not None and least <= value <= most else None


def taken_columns(taken_local: str | None, taken_at: str | None, offset_minutes: int | None, source: str) -> Row:
    """Return the columns of a capture time; `taken_local` and `taken_at` are ISO 8601 texts (formats.md §1)."""
    undated: Row = {
        "taken_local": UNDATED,
        "taken_day": 0,
        "taken_at": UNDATED,
        "taken_offset_minutes": None,
        "taken_source": "",
    }
    if not taken_local or not taken_at or len(source) > _LONGEST_SOURCE:
        return undated
    try:
        local = datetime.fromisoformat(taken_local).replace(tzinfo=UTC)
        instant = datetime.fromisoformat(taken_at)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return undated
    return {
        "taken_local": local,
        "taken_day": local.year * 10000 + local.month * 100 + local.day,
        "taken_at": instant,
        "taken_offset_minutes": within(offset_minutes, -_MOST_OFFSET_MINUTES, _MOST_OFFSET_MINUTES),
        "taken_source": source,
    }


def given_columns(local: datetime, offset_minutes: int | None, zone: str, source: str = BY_A_PERSON) -> Row:
    """Return the columns of a wall clock's time; without an offset `zone`, an IANA name, tells the instant."""
    where = ZoneInfo(zone) if offset_minutes is None else timezone(timedelta(minutes=offset_minutes))
    instant = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    return taken_columns(local.isoformat(), instant.isoformat(), offset_minutes, source)


def taken_text(local: Any, offset_minutes: int | None) -> str:
    """Return RFC 3339 from a moment or a database's text of one, with the offset if the file knew it."""
    if isinstance(local, datetime):
        text = local.replace(tzinfo=None).isoformat()
    else:
        text = str(local).replace(" ", "T")
    return text + offset_text(offset_minutes)
