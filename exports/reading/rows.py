"""The rows of a catalog export: read by key, a batch at a time, as columns that the writers take as they are.

A million rows go through here: the database makes the texts, so that neither a model nor a row is built.
"""

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from django.db import connections
from django.db.models import Count, Q, QuerySet, Sum
from django.http import QueryDict

from accounts.models import User
from catalog.albums import smart
from catalog.browsing.filters import NAMES, PhotoFilters, narrow
from catalog.browsing.searches import search_of
from catalog.models import Album, AlbumItem, Attachment, Favourite, Note, Photo
from catalog.models.photo import UNDATED
from exports.formats.columns import NAMES as COLUMN_NAMES
from exports.formats.columns import Batch
from exports.ledger.names import NoFreeName, TakenNames, sanitize_component
from exports.models import Export
from photolala.web.refusals import BadRequest

from .file_names import portable_name
from .selected import SELECTED

Key = tuple[datetime, str]
Found = dict[str, Any]
"""A photo as `SELECTED` of it was found."""
ALBUM = "album"
EXPORT_NAMES = NAMES - {"library"}
"""What the filter of an export knows: the photo list's names. The library is a member of its own."""
_FOLDERS_REMEMBERED = 64  # photos of one moment differ by two days at most in their zones


class PhotoRows:
    """The photos of one export, newest first, then by id, in batches by key.

    Each batch starts after the last row of the one before. That no row is doubled or lost whose date is edited meanwhile
    is the doing of `using`, the alias of a connection that shows one moment (`exports.reading.moment`).
    """

    def __init__(self, export: Export, using: str) -> None:
        assert export.library is not None
        self._photos = photos_of(export).using(using)
        self._constants: dict[str, Any] = {
            "owner_id": str(export.library.owner_id),
            "library_id": str(export.library_id),
            **dict.fromkeys(("favorite_count", "share_count", "note_count", "album_count"), 0),
            "is_edited": False,
        }
        albums = Album.objects.visible_to(export.user)
        counted: dict[str, QuerySet[Any]] = {
            "favorite_count": Favourite.objects.filter(user=export.user_id),
            "note_count": Attachment.objects.filter(note__in=Note.objects.of(export.user).values("pk")),
            "album_count": AlbumItem.objects.live().filter(album__in=albums.values("pk")),
        }
        self._counted = {
            name: rows.using(using)
            for name, rows in counted.items()
            if rows.using(using).filter(photo__library=export.library_id).exists()
        }
        self._later: dict[int, _LaterRows] = {}
        self._media_path: Callable[[Found], str | None] | None = None
        self.last_key: Key | None = None

    def with_media(self, media_path: Callable[[Found], str | None]) -> None:
        """Fill `media_files` with what `media_path` answers for the row (None: there is no such file)."""
        self._media_path = media_path

    def count_and_size(self) -> tuple[int, int]:
        """Return how many photos there are, and how many bytes their originals have. One query."""
        found = self._photos.aggregate(count=Count("pk"), size_bytes=Sum("size_bytes", default=0))
        return found["count"], int(found["size_bytes"])

    def fetch(self, after: Key | None, limit: int) -> Batch:
        """Return the rows after `after`; `last_key` is then the key of the last of them."""
        found = self._found(after, limit)
        if not found:
            return Batch([()] * len(COLUMN_NAMES))
        columns: dict[str, Sequence[Any]] = dict(zip(SELECTED, zip(*found, strict=True), strict=True))
        ids = columns["id"]
        self.last_key = (_instant(columns["instant"][-1]), ids[-1])
        columns["has_media"] = [state != Photo.State.MISSING for state in columns["state"]]
        for name, counted in self._counted.items():
            counts = _counts(counted, ids)
            columns[name] = [counts.get(photo, 0) for photo in ids]
        if self._media_path:
            paths = [self._media_path(dict(zip(SELECTED, row, strict=True))) for row in found]
            columns["media_files"] = [[path] if path else None for path in paths]
        return Batch([columns.get(name) or [self._constants.get(name)] * len(found) for name in COLUMN_NAMES])

    def _found(self, after: Key | None, limit: int) -> list[tuple[Any, ...]]:
        if after is None:
            return list(_selected(self._photos, None, limit))
        if limit not in self._later:
            self._later[limit] = _LaterRows(self._photos, limit)
        return self._later[limit].after(after)


class _LaterRows:
    """All batches but the first: one statement with other keys. To compose it anew takes about as long as to read a batch."""

    def __init__(self, photos: QuerySet[Photo], limit: int) -> None:
        self._connection = connections[photos.db]
        some = (datetime(1800, 1, 2, 3, 4, 5, secrets.randbelow(10**6), UTC), str(uuid4()))
        self._statement, values = _selected(photos, some, limit).query.get_compiler(photos.db).as_sql()
        marks = self._parameters(some)
        self._values = [(value, marks.index(value) if value in marks else None) for value in values]

    def after(self, key: Key) -> list[tuple[Any, ...]]:
        """Return the rows after `key`."""
        given = self._parameters(key)
        values = [value if place is None else given[place] for value, place in self._values]
        with self._connection.cursor() as cursor:
            cursor.execute(self._statement, values)
            return cursor.fetchall()

    def _parameters(self, key: Key) -> tuple[Any, Any]:
        """Return a key as the database takes it."""
        moment, photo_id = Photo._meta.get_field("taken_at"), Photo._meta.pk
        database = self._connection
        return moment.get_db_prep_value(key[0], database), photo_id.get_db_prep_value(key[1], database)


def _selected(photos: QuerySet[Photo], after: Key | None, limit: int) -> QuerySet[Photo, tuple[Any, ...]]:
    return after_key(photos, after).values_list(*SELECTED.values())[:limit]


def photos_of(export: Export) -> QuerySet[Photo]:
    """Return the photos that an export's library, days and filter name, whatever their state (unless filtered)."""
    photos = Photo.objects.filter(library=export.library_id)
    if export.start_date or export.end_date:
        photos = photos.filter(taken_local__gt=UNDATED)
    if export.start_date:
        photos = photos.filter(taken_local__gte=_midnight(export.start_date))
    if export.end_date:  # the whole of that day
        photos = photos.filter(taken_local__lt=_midnight(export.end_date + timedelta(days=1)))
    filters = read_filters(export.filter)
    album = require_album(export.user, export.filter)
    is_search = album is not None and smart.saved_search(export.user, album) != ""
    if is_search:
        filters = replace(filters, album=album)
    if export.filter:
        user, libraries = export.user, [cast(UUID, export.library_id)]
        photos = narrow(photos, user, libraries, filters, search_of(user, libraries, filters))
    if album is not None and not is_search:
        photos = photos.filter(pk__in=AlbumItem.objects.live().filter(album=album).values("photo"))
    return photos


def require_album(user: User, values: dict[str, Any]) -> UUID | None:
    """Return the album that a filter names, None if it names none. Raises BadRequest for one that `user` may not see."""
    if ALBUM not in values:
        return None
    try:
        album = UUID(str(values[ALBUM]))
    except ValueError:
        raise BadRequest("The filter's album must be the id of an album.", "bad_filter") from None
    if not Album.objects.visible_to(user).filter(pk=album).exists():
        raise BadRequest("There is no album of that id that you may see.", "bad_filter")
    return album


def read_filters(values: dict[str, Any]) -> PhotoFilters:
    """Return the photos' filters that `values` (by name, as in the photo list's address) mean. Raises BadRequest.

    `album` is among the names, but is none of these filters: see `require_album`.
    """
    unknown = sorted(set(values) - EXPORT_NAMES)
    if unknown:
        raise BadRequest(
            f"The filter has no {', '.join(name[:40] for name in unknown[:5])}. It knows {', '.join(sorted(EXPORT_NAMES))}.",
            "unknown_filter",
        )
    query = QueryDict(mutable=True)
    for name, value in values.items():
        if not isinstance(value, str | int | float | bool):
            raise BadRequest(f"The filter's {name} must be one value.", "bad_filter")
        if name != ALBUM:
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
    if not query.get("state"):
        query["state"] = "all"  # an export is of the whole catalog, also of what has no picture
    return PhotoFilters.from_query(query)


def after_key(photos: QuerySet[Photo], after: Key | None) -> QuerySet[Photo]:
    """Return `photos` newest first, then by id, from the one after the key on; the outer bound lets the index be used."""
    if after is not None:
        moment, photo_id = after
        photos = photos.filter(Q(taken_at__lte=moment) & (Q(taken_at__lt=moment) | Q(id__gt=photo_id)))
    return photos.order_by("-taken_at", "id")


class MediaNames:
    """Gives originals their places in an export: `Library/2015/01/` and their own names, numbered only where two are one.

    Rows come by time, so names are remembered for the folders used last alone.
    """

    def __init__(self, library_name: str) -> None:
        self._library = sanitize_component(library_name)
        self._folders: OrderedDict[str, TakenNames] = OrderedDict()

    def place(self, row: Found) -> str:
        """Return where the original of a row goes."""
        taken_at, filename = row["taken_at"], row["filename"]
        folder = f"{self._library}/{f'{taken_at[:4]}/{taken_at[5:7]}' if taken_at else 'undated'}"
        taken = self._folders.setdefault(folder, TakenNames())
        self._folders.move_to_end(folder)
        if len(self._folders) > _FOLDERS_REMEMBERED:
            self._folders.popitem(last=False)
        name = portable_name(filename)
        try:
            return f"{folder}/{taken.claim(name)}"
        except NoFreeName:  # ten thousand of that name in a month
            return f"{folder}/{row['id']}{os.path.splitext(name)[1]}"


def _counts(rows: QuerySet[Any], ids: Sequence[str]) -> dict[str, int]:
    """Return how many of `rows` each of these photos has, by its id. One query."""
    counted = rows.filter(photo__in=ids).order_by().values("photo").annotate(count=Count("pk"))
    return {str(photo): count for photo, count in counted.values_list("photo", "count")}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
