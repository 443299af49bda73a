"""The rows of a catalog export: read by key, a batch at a time, as tuples of text that the writers take as they are.

A million rows go through here: the database makes the texts, so that no model, UUID or datetime is built for a row.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db.models import Case, Count, F, Func, Q, QuerySet, Sum, TextField, Value, When
from django.db.models.functions import Cast, Concat
from django.http import QueryDict

from accounts.models import User
from catalog.albums import smart
from catalog.browsing.filters import NAMES, PhotoFilters, narrow
from catalog.browsing.searches import search_of
from catalog.models import Album, AlbumItem, Attachment, Favourite, Note, Photo
from catalog.models.photo import UNDATED
from exports.formats.columns import COLUMNS
from exports.ledger.names import NoFreeName, TakenNames, sanitize_component
from exports.models import Export
from photolala.web.refusals import BadRequest

from .file_names import portable_name

Key = tuple[datetime, str]
ALBUM = "album"
EXPORT_NAMES = NAMES - {"library"}
"""What the filter of an export knows: the photo list's names. The library is a member of its own."""
_FOLDERS_REMEMBERED = 64  # photos of one moment differ by two days at most in their zones
_MEDIA_FILES = len(COLUMNS) - 1


class _Text(Func):
    """A column as text, made by the database; `sqlite` and `postgresql` are its templates."""

    output_field = TextField()
    sqlite = postgresql = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write it for SQLite, which keeps ids as 32 hex digits and instants as naive text."""
        return self.as_sql(compiler, connection, template=self.sqlite, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.postgresql, **context)


class _Id(_Text):
    _x = "%(expressions)s"
    sqlite = f"(substr({_x},1,8)||'-'||substr({_x},9,4)||'-'||substr({_x},13,4)||'-'||substr({_x},17,4)||'-'||substr({_x},21))"
    postgresql = f"{_x}::text"


class _Clock(_Text):
    """A UTC time to the second: 2024-05-17T12:00:00."""

    _x = "%(expressions)s"
    sqlite = f"(substr({_x},1,10)||'T'||substr({_x},12,8))"
    postgresql = f"to_char({_x} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"


class _Instant(_Text):
    """A UTC time with all its digits."""

    _x = "%(expressions)s"
    sqlite = f"({_x}||'')"
    postgresql = f"to_char({_x} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"


_PATH = Case(
    When(directory="", then=F("filename")),
    default=Concat("directory", Value("/", TextField()), "filename", output_field=TextField()),
    output_field=TextField(),
)
_SELECTED = (
    _Instant("taken_at"),
    *(_Id("id"), "photo_md5", _PATH, "filename", "caption"),
    *(_Clock("taken_local"), "taken_source", "taken_offset_minutes", _Clock("added_at")),
    *("size_bytes", "media_type", "width", "height", "duration_ms"),
    *("camera_make", "camera_model", "lens_model", "iso", "aperture", "shutter_speed", "focal_length"),
    *("latitude", "longitude", "rating", "state"),
    *(Cast("keywords", TextField()), "metadata__body", "mtime_ns"),
)


class PhotoRows:
    """The photos of one export, newest first, then by id, in batches by key.

    Each batch starts after the last row of the one before. That no row is doubled or lost whose date is edited meanwhile
    is the doing of `using`, the alias of a connection that shows one moment (`exports.reading.moment`).
    """

    def __init__(self, export: Export, using: str) -> None:
        assert export.library is not None
        self._photos = photos_of(export).using(using)
        self._constants = (str(export.library.owner_id), str(export.library_id))
        self._likes = Favourite.objects.using(using).filter(user=export.user_id)
        self._has_likes = self._likes.filter(photo__library=export.library_id).exists()
        albums = Album.objects.visible_to(export.user)
        self._items = AlbumItem.objects.using(using).live().filter(album__in=albums.values("pk"))
        self._has_items = self._items.filter(photo__library=export.library_id).exists()
        self._attached = Attachment.objects.using(using).filter(note__in=Note.objects.of(export.user).values("pk"))
        self._has_notes = self._attached.filter(photo__library=export.library_id).exists()
        self._media_path: Callable[[tuple[Any, ...]], str | None] | None = None
        self.last_key: Key | None = None

    def with_media(self, media_path: Callable[[tuple[Any, ...]], str | None]) -> None:
        """Fill `media_files` with what `media_path` answers for the database's row (None: there is no such file)."""
        self._media_path = media_path

    def count_and_size(self) -> tuple[int, int]:
        """Return how many photos there are, and how many bytes their originals have. One query."""
        found = self._photos.aggregate(count=Count("pk"), size_bytes=Sum("size_bytes", default=0))
        return found["count"], int(found["size_bytes"])

    def fetch(self, after: Key | None, limit: int) -> list[list[Any]]:
        """Return the rows after `after`, in the order of COLUMNS; `last_key` is then the key of the last of them."""
        found = list(after_key(self._photos, after).values_list(*_SELECTED)[:limit])
        if not found:
            return []
        self.last_key = (_instant(found[-1][0]), found[-1][1])
        ids = [row[1] for row in found]
        likes = _counts(self._likes, ids) if self._has_likes else {}
        notes = _counts(self._attached, ids) if self._has_notes else {}
        albums = _counts(self._items, ids) if self._has_items else {}
        rows = [
            _row(row, self._constants, (likes.get(row[1], 0), 0, notes.get(row[1], 0), albums.get(row[1], 0)))
            for row in found
        ]
        if self._media_path:
            for row, source in zip(rows, found, strict=True):
                path = self._media_path(source)
                row[_MEDIA_FILES] = [path] if path else None
        return rows


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

    def place(self, row: tuple[Any, ...]) -> str:
        """Return where the original of a database row goes."""
        clock, source, filename = row[6], row[7], row[4]
        folder = f"{self._library}/{f'{clock[:4]}/{clock[5:7]}' if source else 'undated'}"
        taken = self._folders.setdefault(folder, TakenNames())
        self._folders.move_to_end(folder)
        if len(self._folders) > _FOLDERS_REMEMBERED:
            self._folders.popitem(last=False)
        name = portable_name(filename)
        try:
            return f"{folder}/{taken.claim(name)}"
        except NoFreeName:  # ten thousand of that name in a month
            return f"{folder}/{row[1]}{os.path.splitext(name)[1]}"


def _counts(rows: QuerySet[Any], ids: list[str]) -> dict[str, int]:
    """Return how many of `rows` each of these photos has, by its id. One query."""
    counted = rows.filter(photo__in=ids).order_by().values("photo").annotate(count=Count("pk"))
    return {str(photo): count for photo, count in counted.values_list("photo", "count")}


def _row(row: tuple[Any, ...], constants: tuple[str, str], counts: tuple[int, int, int, int]) -> list[Any]:
    """Return a row of COLUMNS; `counts` are favourites, shares (there are none yet), notes and albums of the exporting user."""
    wall, source, offset, added = row[6:10]
    keywords, body = row[26], row[27]
    taken = None
    if source:
        taken = wall if offset is None else wall + _offset(offset)
    return [
        *(row[1], row[2], *constants, row[3], row[4], row[5]),
        *(taken, source, added + "Z"),
        *row[10:25],
        *counts,
        *(row[25] != Photo.State.MISSING, False, None),
        json.loads(keywords) if keywords and keywords != "[]" else None,
        *(body, None, None),
    ]


def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
