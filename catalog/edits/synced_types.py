"""The synced types of the catalog itself: photos, favourites, and the facts of libraries."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from catalog.edits import captions, dates, keywords, places, ratings, stars
from catalog.models import Favourite, Library, Photo, favourite_id
from changes.types import Field, Kind, Refused, register

_PHOTO_COLUMNS = (
    "directory",
    "filename",
    "photo_md5",
    "media_type",
    "width",
    "height",
    "duration_ms",
    "size_bytes",
    "state",
    "placeholder",
    "taken_local",
    "taken_offset_minutes",
    "taken_source",
    "latitude",
    "longitude",
    "rating",
    "caption",
    "keywords",
)
_WRITABLE = ("rating", "caption", "keywords", "place", "takenAt")
_LIBRARY_COLUMNS = ("name", "source", "ratings", "file_times", "time_zone", "trash_days", "owner")


def photo_data(rows: Sequence[Photo], scope: str) -> list[dict[str, Any]]:
    """Return the facts of photos; in an album without what belongs to their library alone: where they lie."""
    is_at_home = scope.startswith("library:")
    return [_photo(row, is_at_home) for row in rows]


def _photo(row: Photo, is_at_home: bool) -> dict[str, Any]:
    place = None if row.latitude is None else {"latitude": row.latitude, "longitude": row.longitude}
    return {
        **({"path": row.path} if is_at_home else {}),
        "md5": row.photo_md5 or None,
        "mediaType": row.media_type,
        "width": row.width,
        "height": row.height,
        "durationMs": row.duration_ms,
        "sizeBytes": row.size_bytes,
        "state": row.state,
        "placeholder": row.placeholder,
        "takenAt": row.taken_text or None,
        "takenSource": row.taken_source,
        "place": place,
        "rating": row.rating,
        "caption": row.caption,
        "keywords": row.keywords,
    }


def _only_photo_columns(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.only("id", "version", "library_id", *_PHOTO_COLUMNS)


class PhotoVerbs:
    """What devices may do with photos: say how many stars they have, what they show in words, where and when they were taken."""

    def create(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Refuse: photos come as files."""
        raise Refused("read_only", "Photos are added by sending their files.")

    def patch(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Change rating, caption, keywords, place or date of a photo that the user may edit."""
        photo = Photo.objects.editable_by(user).filter(pk=id).select_related("library").first()
        if photo is None:
            raise _no_such("photo")
        if unknown := sorted(fields.keys() - set(_WRITABLE)):
            raise Refused("read_only", f"Devices cannot change {', '.join(unknown)} of a photo.")
        if "rating" in fields:
            ratings.set_rating(user, photo, _stars(fields["rating"]))
        if "caption" in fields:
            caption = fields["caption"] or ""
            if not isinstance(caption, str):
                raise Refused("invalid", "A caption is a text.")
            try:
                captions.set_caption(user, photo, caption)
            except ValueError as refused:
                raise Refused("invalid", str(refused)) from None
        if "keywords" in fields:
            try:
                keywords.set_keywords(user, photo, _words(fields["keywords"]))
            except ValueError as refused:
                raise Refused("invalid", str(refused)) from None
        if "place" in fields:
            try:
                places.set_place(user, photo, _place(fields["place"]))
            except ValueError as refused:
                raise Refused("invalid", str(refused)) from None
        if "takenAt" in fields:
            (planned,) = dates.plan([photo], _setting(fields["takenAt"]))
            if planned.problem:
                raise Refused("invalid", planned.problem)
            dates.set_dates(user, [planned])

    def delete(self, user: Any, id: uuid.UUID) -> None:
        """Refuse: deleting a photo moves its file, which is asked for by its own route."""
        raise Refused("read_only", "Photos are moved into the trash by their own route, not by sync.")


def favourite_data(rows: Sequence[Favourite], scope: str) -> list[dict[str, Any]]:
    """Return whose photos they are, and with how many stars."""
    return [{"photoId": str(row.photo_id), "rating": row.rating} for row in rows]


class FavouriteVerbs:
    """What devices may do with their user's own stars. `photoId` names the photo; the id follows from it."""

    def create(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Give a photo that the user sees stars."""
        try:
            photo_id = uuid.UUID(str(fields.get("photoId")))
        except ValueError:
            raise Refused("invalid", "A favourite names its photo by id.") from None
        if favourite_id(user.pk, photo_id) != id:
            raise Refused("invalid", "The id of a favourite is UUIDv5 of the user's id and the photo's.")
        self._star(user, photo_id, _stars(fields.get("rating", 5)))

    def patch(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Change how many stars there are; 0 takes the favourite away."""
        if unknown := sorted(fields.keys() - {"rating", "photoId"}):
            raise Refused("read_only", f"Devices cannot change {', '.join(unknown)} of a favourite.")
        photo_id = self._photo_of(user, id)
        if "photoId" in fields and str(photo_id) != str(fields["photoId"]):
            raise Refused("invalid", "A favourite stays with its photo.")
        if "rating" in fields:
            self._star(user, photo_id, _stars(fields["rating"]))

    def delete(self, user: Any, id: uuid.UUID) -> None:
        """Take the stars away."""
        self._star(user, self._photo_of(user, id), 0)

    def _star(self, user: Any, photo_id: uuid.UUID, count: int) -> None:
        try:
            stars.star(user, photo_id, count)
        except Photo.DoesNotExist:
            raise _no_such("photo") from None

    def _photo_of(self, user: Any, id: uuid.UUID) -> uuid.UUID:
        """Return the photo of a favourite of the user's."""
        photo_id = Favourite.objects.filter(user=user, wire_id=id).values_list("photo", flat=True).first()
        if photo_id is None:
            raise _no_such("favourite")
        return photo_id


def library_data(rows: Sequence[Library], scope: str) -> list[dict[str, Any]]:
    """Return name and settings of libraries; where their files lie is not for devices."""
    return [
        {
            "name": row.name,
            "source": row.source,
            "owner": str(row.owner_id),
            "settings": {
                "ratings": row.ratings,
                "fileTimes": row.file_times,
                "timeZone": row.time_zone,
                "trashDays": row.trash_days,
            },
        }
        for row in rows
    ]


def _no_such(thing: str) -> Refused:
    return Refused("not_found", f"There is no such {thing}, or none that you may change.")


def _stars(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 5:
        raise Refused("invalid", "A rating is a number from 0 to 5.")
    return value


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Refused("invalid", "Keywords are a list of texts.")
    return value


def _place(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    told: dict[str, Any] = value if isinstance(value, dict) else {}
    latitude, longitude = told.get("latitude"), told.get("longitude")
    if not (type(latitude) in (int, float) and type(longitude) in (int, float)):
        raise Refused("invalid", "A place has a latitude and a longitude in degrees; null takes it away.")
    return latitude or 0.0, longitude or 0.0


def _setting(value: Any) -> dates.Setting:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Refused("invalid", "takenAt is a date and time as RFC 3339 has it, with or without an offset.") from None
    offset = moment.utcoffset()
    return dates.Setting(moment.replace(tzinfo=None), None if offset is None else int(offset.total_seconds() // 60))


LIBRARY = register(
    Kind(
        name="library",
        model=Library,
        scope="library",
        scope_column="id",
        fields=tuple(Field(name, writable=False) for name in ("name", "source", "owner", "settings")),
        parents=(),
        data=library_data,
        marks=frozenset(_LIBRARY_COLUMNS),
    )
)
_READ_ONLY = (
    "path",
    "md5",
    "mediaType",
    "width",
    "height",
    "durationMs",
    "sizeBytes",
    "state",
    "placeholder",
    "takenSource",
)
PHOTO = register(
    Kind(
        name="photo",
        model=Photo,
        scope="library",
        scope_column="library_id",
        fields=(*(Field(name) for name in _WRITABLE), *(Field(name, writable=False) for name in _READ_ONLY)),
        parents=("library",),
        data=photo_data,
        marks=frozenset({"library", *_PHOTO_COLUMNS}),
        verbs=PhotoVerbs(),
        live=Q(trash_item__isnull=True) | ~Q(state=Photo.State.MISSING),
        select=_only_photo_columns,
        shown_in=frozenset({"album"}),
    )
)
FAVOURITE = register(
    Kind(
        name="favourite",
        model=Favourite,
        scope="user",
        scope_column="user_id",
        fields=(Field("rating"), Field("photoId")),
        parents=("photo",),
        data=favourite_data,
        marks=frozenset({"user", "photo", "rating"}),
        verbs=FavouriteVerbs(),
        key_columns=("user_id", "photo_id"),
        key=favourite_id,
        lookup="wire_id",
    )
)
