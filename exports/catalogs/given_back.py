"""What a row of a catalog export says of its photo, field by field: compared with the catalog, and given by people's verbs."""

import operator
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from accounts.models import User
from catalog.edits.captions import set_captions
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.keywords import add_keywords
from catalog.edits.places import set_places
from catalog.edits.ratings import set_ratings
from catalog.models import Photo
from photolala.lib.captions import tidy_caption
from photolala.lib.keywords import BadKeyword, tidy_keywords
from photolala.lib.places import Place, are_near, checked_place, is_known
from photolala.lib.wall_clock import wall_clock_text

COLUMNS = (
    *("caption", "rating", "keywords", "latitude", "longitude", "media_type"),
    *("taken_local", "taken_offset_minutes", "taken_source"),
)
"""Of photos, for the comparison."""
_FILES_TIME = "file"  # the source of a date that is the file's own time, which says little: it is a guess of the scan
Row = Mapping[str, Any]
Value = TypeVar("Value")
Failures = dict[UUID, str]


class NotForThisPhoto(ValueError):
    """The photo cannot get this value, which is one; the message says why."""


@dataclass(frozen=True, slots=True)
class Field(Generic[Value]):
    """One thing that an export says of photos and people can give."""

    name: str
    count: str
    """What the result calls the number of photos that get it."""
    read: Callable[[Row], Value | None]
    """What a row says, None for nothing. ValueError for what this program does not write."""
    said: Callable[[Photo], Value | None]
    """What the catalog says, None for nothing."""
    are_same: Callable[[Value, Value], bool]
    give: Callable[[User, dict[UUID, Value]], Failures]
    """Give each photo its value; return which could not get it, and why."""
    shown: Callable[[Value], str]
    adds: Callable[[Value, Value], Value | None] | None = None
    """Of a field that holds several things: what the first adds to the second. Then nothing of the catalog is in the way."""
    check: Callable[[Photo, Value], None] = lambda photo, value: None
    """Raises NotForThisPhoto."""


def _caption(row: Row) -> str | None:
    caption = row.get("caption") or ""
    if not isinstance(caption, str):
        raise ValueError("Its caption is no text.")
    return tidy_caption(caption) or None


def _rating(row: Row) -> int | None:
    rating = row.get("rating") or 0
    if type(rating) is not int or not 0 <= rating <= 5:
        raise ValueError("Its rating is no number from 0 to 5.")
    return rating or None


def _keywords(row: Row) -> list[str] | None:
    words = row.get("keywords") or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("Its keywords are no list of texts.")
    return words or None


def _missing_keywords(words: list[str], there: list[str]) -> list[str] | None:
    """Return those that the photo has not, as they would be kept: files may hold others than people can give."""
    try:
        return [word for word in tidy_keywords(_set_apart(words, there)) if word not in there] or None
    except BadKeyword as error:
        raise NotForThisPhoto(str(error)) from None


def _set_apart(words: list[str], there: list[str]) -> list[str]:
    """Return `words` without those of `there`, in their order."""
    known = set(there)
    return [word for word in words if word not in known]


def _check_keywords(photo: Photo, words: list[str]) -> None:
    try:
        tidy_keywords([*photo.keywords, *words])
    except BadKeyword as error:
        raise NotForThisPhoto(str(error)) from None


def _place(row: Row) -> Place | None:
    degrees = [row.get("latitude"), row.get("longitude")]
    if degrees == [None, None]:
        return None
    latitude, longitude = degrees
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float) or bool in map(type, degrees):
        raise ValueError("Its latitude and longitude are not both numbers.")
    return checked_place(latitude, longitude) if is_known(latitude, longitude) else None


def _date(row: Row) -> Setting | None:
    text, source = row.get("taken_at"), row.get("taken_at_source")
    if not text or source in (None, "", _FILES_TIME):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError("Its taken_at is no time.") from None
    offset = moment.utcoffset()
    minutes = None if offset is None else round(offset.total_seconds() / 60)
    return Setting(moment.replace(tzinfo=None, microsecond=0), minutes)


def _date_said(photo: Photo) -> Setting | None:
    if photo.taken_source in ("", _FILES_TIME):
        return None
    return Setting(photo.taken_local.replace(tzinfo=None, microsecond=0), photo.taken_offset_minutes)


def _are_same_dates(exported: Setting, there: Setting) -> bool:
    """Return whether the clock says the same, and the export knows no other offset."""
    return exported.local == there.local and exported.offset_minutes in (None, there.offset_minutes)


def _check_date(photo: Photo, date: Setting) -> None:
    if problem := plan([photo], date)[0].problem:
        raise NotForThisPhoto(problem)


def _place_said(photo: Photo) -> Place | None:
    return None if photo.latitude is None or photo.longitude is None else (photo.latitude, photo.longitude)


_GONE = "The photo is not there any more."


def _all_but(wanted: Mapping[UUID, Any], done: list[UUID]) -> Failures:
    return dict.fromkeys(wanted.keys() - set(done), _GONE)


def _give_captions(user: User, captions: dict[UUID, str]) -> Failures:
    return _all_but(captions, set_captions(user, captions))


def _give_ratings(user: User, ratings: dict[UUID, int]) -> Failures:
    by_stars: defaultdict[int, list[UUID]] = defaultdict(list)
    for photo, stars in ratings.items():
        by_stars[stars].append(photo)
    return _all_but(ratings, [key for stars in sorted(by_stars) for key in set_ratings(user, by_stars[stars], stars)])


def _give_keywords(user: User, lists: dict[UUID, list[str]]) -> Failures:
    done, refused = add_keywords(user, lists)
    return {**_all_but(lists, done), **refused}


def _give_places(user: User, places: dict[UUID, Place]) -> Failures:
    return _all_but(places, set_places(user, places))


def _give_dates(user: User, dates: dict[UUID, Setting]) -> Failures:
    found = Photo.objects.filter(pk__in=list(dates)).select_related("library")
    planned = [one for photo in found for one in plan([photo], dates[photo.pk])]
    set_dates(user, planned)
    failures = {one.photo.pk: one.problem for one in planned if one.problem}
    return {**_all_but(dates, [one.photo.pk for one in planned]), **failures}


def _date_text(date: Setting) -> str:
    return wall_clock_text(date.local, date.offset_minutes).replace("T", " ")


FIELDS: tuple[Field[Any], ...] = (
    Field(
        name="caption",
        count="captions",
        read=_caption,
        said=lambda photo: photo.caption or None,
        are_same=operator.eq,
        give=_give_captions,
        shown=str,
    ),
    Field(
        name="rating",
        count="ratings",
        read=_rating,
        said=lambda photo: photo.rating or None,
        are_same=operator.eq,
        give=_give_ratings,
        shown=str,
    ),
    Field(
        name="keywords",
        count="keywords",
        read=_keywords,
        said=lambda photo: photo.keywords,
        are_same=operator.eq,
        give=_give_keywords,
        shown=", ".join,
        adds=_missing_keywords,
        check=_check_keywords,
    ),
    Field(
        name="place",
        count="places",
        read=_place,
        said=_place_said,
        are_same=are_near,
        give=_give_places,
        shown=lambda place: f"{place[0]:.5f}, {place[1]:.5f}",
    ),
    Field(
        name="date",
        count="dates",
        read=_date,
        said=_date_said,
        are_same=_are_same_dates,
        give=_give_dates,
        shown=_date_text,
        check=_check_date,
    ),
)
