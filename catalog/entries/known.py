"""What is known of a folder's files, and marking them missing."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest

from catalog.entries.folder_comparison import Entry
from catalog.entries.row_locks import hold_rows_of
from catalog.entries.sql import PHOTO_TABLE, parameter
from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet


def known_in(library: Library, directories: Sequence[str]) -> dict[str, dict[str, Entry]]:
    """Return the entries known in some folders, by folder and file name, without those that are missing."""
    known: dict[str, dict[str, Entry]] = {directory: {} for directory in directories}
    marks = ", ".join(["%s"] * len(directories))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT directory, filename, size_bytes, mtime_ns, sidecars FROM {PHOTO_TABLE} "  # noqa: S608
            f"WHERE library_id = %s AND directory IN ({marks}) AND state <> 'missing'",
            [parameter("library", library.pk), *directories],
        )
        while rows := cursor.fetchmany(2000):
            for directory, filename, size_bytes, mtime_ns, sidecars in rows:
                known[directory][filename] = (size_bytes, mtime_ns, sidecars)
    return known


def known_heads(library: Library, directory: str) -> dict[str, str]:
    """Return the MD5 of the first 4,096 bytes of each known entry of a folder, by file name."""
    here = Photo.objects.filter(library=library, directory=directory).exclude(state=Photo.State.MISSING)
    return dict(here.values_list("filename", "head_md5"))


def count_known(library: Library) -> int:
    """Return how many entries are known and not missing."""
    return Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).count()


def known_directories(library: Library) -> list[tuple[str, int]]:
    """Return every folder with known entries and their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT directory, count(*) FROM {PHOTO_TABLE} "  # noqa: S608
            "WHERE library_id = %s AND state <> 'missing' GROUP BY directory",
            [parameter("library", library.pk)],
        )
        return list(cursor.fetchall())


def mark_missing(
    library: Library, directory: str, filenames: Sequence[str], now: datetime, seen_at: datetime | None = None
) -> int:
    """Mark entries of one folder as gone from the root; nothing of them is deleted. Returns how many. For a transaction.

    `seen_at` is when the last scan began that saw them all, None if there was none.
    """
    here = Photo.objects.filter(library=library, directory=directory)
    return sum(
        _mark(here.filter(filename__in=filenames[start : start + 500]), now, seen_at)
        for start in range(0, len(filenames), 500)
    )


def mark_directory_missing(library: Library, directory: str, now: datetime, seen_at: datetime | None = None) -> int:
    """Mark everything in a folder that is no longer there as gone. Returns how many; all else as above."""
    return _mark(Photo.objects.filter(library=library, directory=directory), now, seen_at)


def _mark(photos: PhotoQuerySet, now: datetime, seen_at: datetime | None) -> int:
    # What came after that scan was seen when it came.
    seen = Greatest(F("added_at"), Value(seen_at, DateTimeField())) if seen_at else F("added_at")
    photos = photos.exclude(state=Photo.State.MISSING)
    hold_rows_of([photos])
    return photos.mark_missing(now, seen_at=seen)
