"""Places: a path belongs to the photo whose file is there; one that is gone gives it up to a file that is another one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat
from django.utils import timezone

from catalog.models import Library, Photo, TrashItem

_MOST_NAMED = 500
_MANY_FOLDERS = 8
_HAS_GONE = (
    f"SELECT EXISTS (SELECT 1 FROM {TrashItem._meta.db_table} WHERE library_id = %s AND state = 'moving'), "  # noqa: S608
    # Through the index of the few that have problems: hence its condition.
    f"EXISTS (SELECT 1 FROM {Photo._meta.db_table} WHERE library_id = %s AND state IN ('broken', 'damaged', 'missing') "
    "AND state = 'missing')"
)


def leave_places(keys: Iterable[UUID]) -> None:
    """Give photos names that no file can have, so that others can take their places."""
    for key in keys:
        Photo.objects.filter(pk=key).exclude(filename__endswith=f"/{key}").update(
            filename=Concat("filename", Value(f"/{key}"))
        )


def free_places(rows: Sequence[dict[str, Any]]) -> None:
    """Free the places of surveyed files from photos that are gone, missing or in the trash, and of other content.

    So a newcomer under the name of such a photo is a new one; should it turn out to be of equal content or to hold the
    same picture, the scan follows it (`moves`). `rows` are as `insert_surveyed` takes them. Call it in its transaction.
    """
    by_library: dict[UUID, dict[str, dict[str, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        by_library[row["library_id"]][row["directory"]][row["filename"]] = row
    for library_id, folders in by_library.items():
        others = [
            photo.pk
            for photo in _gone(library_id, folders)
            if not _is_likely_same(photo, folders[photo.directory][photo.filename])
        ]
        if others:
            Photo.objects.filter(pk__in=others).mark_missing(timezone.now())
            leave_places(others)


def _gone(library_id: UUID, folders: dict[str, dict[str, Any]]) -> Iterator[Photo]:
    """Yield the photos at some places that are missing, or that somebody moves into the trash just now (or died at it)."""
    columns = ("directory", "filename", "size_bytes", "mtime_ns", "head_md5", "photo_md5")
    is_moving, is_missing = _has_gone(library_id)
    if is_moving:
        moving = TrashItem.objects.filter(library=library_id, state=TrashItem.State.MOVING)
        under_way = list(moving.values_list("photo", flat=True))
        for photo in Photo.objects.filter(pk__in=under_way).exclude(state=Photo.State.MISSING).only(*columns):
            if photo.filename in folders.get(photo.directory, ()):
                yield photo
    if not is_missing:
        return
    missing = Photo.objects.filter(library=library_id).with_problems().filter(state=Photo.State.MISSING)
    if len(folders) > _MANY_FOLDERS:
        for photo in missing.filter(directory__in=list(folders)).only(*columns):
            if photo.filename in folders[photo.directory]:
                yield photo
        return
    for directory, found in folders.items():
        names = list(found)
        for start in range(0, len(names), _MOST_NAMED):
            yield from missing.filter(directory=directory, filename__in=names[start : start + _MOST_NAMED]).only(
                *columns
            )


def _has_gone(library_id: UUID) -> tuple[bool, bool]:
    """Tell whether somebody moves photos of the library into the trash just now, and whether any is missing.

    One statement, and no work for Django to put it together: it is asked for every batch of surveyed files, and mostly there
    is neither.
    """
    key = Library._meta.pk.get_db_prep_value(library_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(_HAS_GONE, [key, key])
        is_moving, is_missing = cursor.fetchone()
    return bool(is_moving), bool(is_missing)


def _is_likely_same(photo: Photo, row: dict[str, Any]) -> bool:
    """Whether size, head and time are those of the photo, or size and head of one of which no more was ever known."""
    if (photo.size_bytes, photo.head_md5) != (row["size_bytes"], row["head_md5"]):
        return False
    return photo.mtime_ns == row["mtime_ns"] or not photo.photo_md5
