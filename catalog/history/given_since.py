"""What people gave to photos since a restore or rebuild was asked for: it came later, and stands, by kind."""

import sqlite3
from datetime import datetime

from django.db.models import Max, Q
from django.utils import timezone

from catalog.models import FileWrite, Library, Photo
from catalog.snapshots.schema import EntryRow
from operations.models import Operation, State

RESTORE = "restore"
REBUILD = "rebuild"
"""The kinds of operation that put another catalog into the place of the rows."""
_KINDS = tuple(map(FileWrite.Kind, ("rating", "date", "caption", "keywords", "place")))
"""In the order of the columns of `since`."""
_TO_COME = [State.PENDING, State.RUNNING, State.INTERRUPTED]
_OF_RATING = ("rating", "rating_held")
_OF_DATE = ("taken_at", "taken_at_source", "taken_held")
_OF_CAPTION = ("caption", "caption_held")
_OF_KEYWORDS = ("keywords", "keywords_held")
_OF_PLACE = ("place", "place_held")
_OTHERS = [name for name in (*EntryRow._fields, "is_missing") if name not in (*_OF_RATING, *_OF_DATE)]


def _are_same(names: tuple[str, ...] | list[str]) -> str:
    return " AND ".join(f"n.{name} IS o.{name}" for name in names)


TOUCHED = (
    "INSERT OR IGNORE INTO touched SELECT o.photo_id FROM later o LEFT JOIN now n ON n.photo_id = o.photo_id "  # noqa: S608
    f"LEFT JOIN since s ON s.photo_id = o.photo_id WHERE NOT (n.photo_id IS NOT NULL AND {_are_same(_OTHERS)} "
    f"AND (coalesce(s.has_rating, 0) OR ({_are_same(_OF_RATING)})) "
    f"AND (coalesce(s.has_date, 0) OR ({_are_same(_OF_DATE)})) "
    f"AND (coalesce(s.has_caption, 0) OR ({_are_same(_OF_CAPTION)})) "
    f"AND (coalesce(s.has_keywords, 0) OR ({_are_same(_OF_KEYWORDS)})) "
    f"AND (coalesce(s.has_place, 0) OR ({_are_same(_OF_PLACE)})))"
)
"""Which photos in `later` are other than in `now` in more than what is in `since`."""


def moment_of_a_wish(library: Library) -> datetime:
    """Return the time to note for what a person gives now: never before that of a restore or rebuild still to end.

    So it is later than that also where the clock was set back since. Call it in the wish's transaction.
    """
    asked = Operation.objects.filter(active_key=library.scan_key, kind__in=[RESTORE, REBUILD], state__in=_TO_COME)
    asked_at: datetime | None = asked.aggregate(at=Max("created_at"))["at"]
    now = timezone.now()
    return max(now, asked_at) if asked_at else now


def read_given_since(connection: sqlite3.Connection, library: Library, asked_at: datetime) -> None:
    """Fill the table `since` with the photos to which people gave something at `asked_at` or after.

    What was only written since counts, too: it waited when this was asked for, and the file may have been read before that.
    The same time counts as later (`moment_of_a_wish`). What an earlier run of the same restore put back carries `asked_at`
    itself, too, and is what the snapshot says anyway.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS since(photo_id TEXT PRIMARY KEY, has_rating, has_date, has_caption, has_keywords, has_place) "
        "WITHOUT ROWID"
    )
    connection.execute("DELETE FROM since")
    later = Q(rated_at__gte=asked_at) | Q(dated_at__gte=asked_at) | Q(captioned_at__gte=asked_at)
    later |= Q(keyworded_at__gte=asked_at) | Q(placed_at__gte=asked_at)
    given = Photo.objects.filter(later, library=library).order_by()
    columns = ("pk", "rated_at", "dated_at", "captioned_at", "keyworded_at", "placed_at")
    rows = given.values_list(*columns).iterator(chunk_size=2000)
    insert = "INSERT INTO since VALUES (?, ?, ?, ?, ?, ?)"
    connection.executemany(
        insert, ((str(key), *(bool(moment and moment >= asked_at) for moment in moments)) for key, *moments in rows)
    )
    written = FileWrite.objects.filter(
        library=library, state=FileWrite.State.DONE, finished_at__gte=asked_at
    ).order_by()
    connection.executemany(
        f"{insert} ON CONFLICT (photo_id) DO UPDATE SET has_rating = has_rating OR excluded.has_rating, "
        "has_date = has_date OR excluded.has_date, has_caption = has_caption OR excluded.has_caption, "
        "has_keywords = has_keywords OR excluded.has_keywords, has_place = has_place OR excluded.has_place",
        (
            (str(key), *(kind == one for one in _KINDS))
            for key, kind in written.values_list("photo_id", "kind").iterator(chunk_size=2000)
        ),
    )


def keep_given_since(connection: sqlite3.Connection, table: str) -> int:
    """Let `wanted` say of what is in `since` what the rows in `table` say; return of how many photos it said something else."""
    kept = 0
    for has, names in (
        ("has_rating", _OF_RATING),
        ("has_date", _OF_DATE),
        ("has_caption", _OF_CAPTION),
        ("has_keywords", _OF_KEYWORDS),
        ("has_place", _OF_PLACE),
    ):
        taken = ", ".join(f"{name} = n.{name}" for name in names)
        differs = " OR ".join(f"wanted.{name} IS NOT n.{name}" for name in names)
        kept += connection.execute(
            f"UPDATE wanted SET {taken} FROM {table} n, since s WHERE n.photo_id = wanted.photo_id "  # noqa: S608
            f"AND s.photo_id = wanted.photo_id AND s.{has} AND ({differs})"
        ).rowcount
    return kept
