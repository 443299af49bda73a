"""Which photos are asked for: filters read from query parameters and turned into conditions."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from accounts.models import User
from catalog.models import Favourite, Library, Photo
from catalog.models.photo import UNDATED
from catalog.searching import conditions, grammar
from photolala.lib.paths import unescape_path
from photolala.web.parameters import read_flag, read_uuid
from photolala.web.refusals import BadRequest

MOST_LOOKED_UP = 5_000
_FURTHEST = timedelta(days=2)
"""No clock on a wall is further from UTC: offsets in files are less than a day."""
LONGEST_TEXT = 200
LONGEST_FOLDER = 4_096
LONGEST_TIME = 40
MOST_LIBRARIES = 100
NAMES = {
    "library",
    "folder",
    "recursive",
    "taken_after",
    "taken_before",
    "media_type",
    "rating",
    "min_rating",
    "favourite",
    "min_favourite",
    "camera",
    "has_gps",
    "q",
    "duplicates",
    "state",
    "favorite",
    "album",
}
"""The parameters that narrow; `catalog.api.filter_parameters` describes them."""


@dataclass(frozen=True)
class PhotoFilters:
    """Which photos are meant; None and empty mean any."""

    libraries: tuple[UUID, ...] = ()
    folder: str | None = None
    recursive: bool = False
    taken_after: date | datetime | None = None
    taken_before: date | datetime | None = None
    media_type: str = ""
    rating: int | None = None
    min_rating: int | None = None
    favourite: bool | None = None
    min_favourite: int | None = None
    camera: str = ""
    has_gps: bool | None = None
    query: grammar.Node | None = None
    duplicates: bool = False
    state: str = ""
    album: UUID | None = None

    @property
    def only_libraries(self) -> bool:
        """True if nothing but the library is chosen: then counts can be kept per library."""
        return self == PhotoFilters(libraries=self.libraries)

    @classmethod
    def from_query(cls, params: QueryDict) -> "PhotoFilters":
        """Read the parameters. Raises BadRequest with a sentence for the first that makes no sense."""
        folder = params.get("folder")
        return cls(
            libraries=tuple(read_uuid(text, "library") for text in params.getlist("library")[:MOST_LIBRARIES]),
            folder=None if folder is None else read_folder(folder),
            recursive=_flag(params, "recursive") or False,
            taken_after=_read_moment(params.get("taken_after", ""), "taken_after"),
            taken_before=_read_moment(params.get("taken_before", ""), "taken_before"),
            media_type=_read_text(params, "media_type"),
            rating=_read_stars(params, "rating", 0),
            min_rating=_read_stars(params, "min_rating", 1),
            favourite=_flag(params, "favorite" if "favorite" in params else "favourite"),
            min_favourite=_read_stars(params, "min_favourite", 1),
            camera=_read_text(params, "camera"),
            has_gps=_flag(params, "has_gps"),
            query=_read_query(params.get("q", "")),
            duplicates=_flag(params, "duplicates") or False,
            state=_read_state(params.get("state", "")),
            album=read_uuid(params.get("album", ""), "album") if params.get("album") else None,
        )


def visible_libraries(user: User, filters: PhotoFilters) -> list[tuple[UUID, int]]:
    """Return (id, revision) of the libraries that `user` may see and `filters` names. One query."""
    return list(_visible(user, filters).order_by("pk").values_list("pk", "revision"))


def editable_of_visible(user: User, filters: PhotoFilters) -> dict[UUID, bool]:
    """Return of each library that `user` may see and `filters` names whether `user` may change its photos. One query."""
    editable = Library.objects.editable_by(user).filter(pk=OuterRef("pk"))
    return dict(_visible(user, filters).order_by("pk").values_list("pk", Exists(editable)))


def _visible(user: User, filters: PhotoFilters) -> QuerySet[Library]:
    libraries = Library.objects.visible_to(user)
    return libraries.filter(pk__in=filters.libraries) if filters.libraries else libraries


def among(libraries: Iterable[UUID], user: User, filters: PhotoFilters, search: conditions.Search) -> QuerySet[Photo]:
    """Return the photos of `libraries`, for `narrow` to continue with. One query if favourites are wanted, else none.

    Favourites, or what a search finds, that are few are looked up by their ids; so that SQLite does, it must not see that
    the library's indexes would serve, too: it would read all of the library. PostgreSQL has statistics.
    """
    is_sqlite = connection.vendor == "sqlite"
    is_few = search.is_few
    if not is_few and is_sqlite and filters.favourite:
        is_few = Favourite.objects.filter(user=user)[: MOST_LOOKED_UP + 1].count() <= MOST_LOOKED_UP
    if is_few and is_sqlite:
        return Photo.objects.alias(home=Coalesce("library", "library")).filter(home__in=list(libraries))
    return Photo.objects.filter(library__in=list(libraries))


def narrow(
    photos: QuerySet[Photo],
    user: User,
    libraries: Iterable[UUID],
    filters: PhotoFilters,
    search: conditions.Search,
) -> QuerySet[Photo]:
    """Return those of `photos` that `filters` lets through (but for the library, which the caller chose). No query.

    `search` is what `searches.search_of` returned for the same filters: the conditions of search, album, camera and type.
    """
    if not filters.state and search.by_folder:  # no index of what is shown is of any use
        photos = photos.alias(has_picture=Coalesce("is_shown", "is_shown")).filter(has_picture=True)
    elif not filters.state:
        photos = photos.filter(is_shown=True)
    if filters.state and filters.state != "all":
        photos = photos.filter(state=filters.state)
    if filters.folder is not None:
        photos = photos.filter(in_folder(filters.folder, filters.recursive))
    photos = _narrow_by_time(photos, filters)
    if filters.rating is not None:
        unrated = Q(rating__isnull=True) if filters.rating == 0 else Q()
        photos = photos.filter(Q(rating=filters.rating) | unrated)
    if filters.min_rating is not None:
        photos = photos.filter(rating__gte=filters.min_rating)
    if filters.min_favourite is not None:
        own = Favourite.objects.filter(user=user, rating__gte=filters.min_favourite)
        photos = photos.filter(pk__in=own.values("photo"))
    if filters.favourite is not None:
        liked = Q(pk__in=Favourite.objects.filter(user=user).values("photo"))
        photos = photos.filter(liked if filters.favourite else ~liked)
    if filters.has_gps is not None:
        photos = photos.filter(latitude__isnull=not filters.has_gps)
    photos = photos.filter(search.condition)
    if filters.duplicates:
        photos = photos.filter(conditions.duplicated(list(libraries)))
    return photos


def read_folder(text: str) -> str:
    """Return a folder's path, relative to the root, without slashes at its ends. Raises BadRequest."""
    folder = text.strip("/")
    try:
        unescape_path(folder)
    except ValueError as error:
        raise BadRequest(str(error), "bad_folder") from None
    return folder


def in_folder(folder: str, recursive: bool) -> Q:
    """Return the condition that a photo is in a folder; with `recursive` also below it."""
    if not recursive:
        return Q(directory=folder)
    if not folder:
        return Q()
    if connection.vendor == "sqlite":  # LIKE ignores case there; "0" is the character after "/"
        here_or_below = Q(directory=folder) | Q(directory__gte=f"{folder}/")
        return here_or_below & Q(directory__gte=folder, directory__lt=f"{folder}0")  # one range, for the index
    return Q(directory=folder) | Q(directory__startswith=f"{folder}/")


def _narrow_by_time(photos: QuerySet[Photo], filters: PhotoFilters) -> QuerySet[Photo]:
    for bound, word in ((filters.taken_after, "gte"), (filters.taken_before, "lt")):
        if bound is None:
            continue
        if isinstance(bound, datetime) and bound.tzinfo is not None:
            # The redundant bound lets the index be used that has the timeline's order.
            photos = photos.filter(**{f"taken_at__{word}": bound}, taken_at__gt=UNDATED)
            with suppress(OverflowError):  # at the ends of the calendar there is nothing to leave out
                photos = photos.filter(**{f"taken_local__{word}": bound + (_FURTHEST if word == "lt" else -_FURTHEST)})
        else:
            wall = bound if isinstance(bound, datetime) else datetime(bound.year, bound.month, bound.day)  # noqa: DTZ001
            photos = photos.filter(**{f"taken_local__{word}": wall.replace(tzinfo=UTC)}, taken_local__gt=UNDATED)
    return photos


def _flag(params: QueryDict, name: str) -> bool | None:
    text = params.get(name, "")
    return read_flag(text, name) if text else None


def _read_text(params: QueryDict, name: str) -> str:
    text = params.get(name, "").strip()
    if len(text) > LONGEST_TEXT or "\0" in text:
        raise BadRequest(f"{name} must be a text of at most {LONGEST_TEXT} characters.", "bad_text")
    return text


def _read_query(text: str) -> grammar.Node | None:
    try:
        return grammar.parse(text)
    except grammar.QueryError as error:
        raise BadRequest(str(error), "bad_search", position=error.place) from None


def _read_stars(params: QueryDict, name: str, least: int) -> int | None:
    text = params.get(name, "")
    if not text:
        return None
    if text not in [str(stars) for stars in range(least, 6)]:
        raise BadRequest(f"{name} must be a number from {least} to 5.", "bad_rating")
    return int(text)


def _read_state(text: str) -> str:
    if text and text != "all" and text not in Photo.State.values:
        raise BadRequest(f"state must be one of {', '.join(Photo.State.values)}, all.", "bad_state")
    return text


def _read_moment(text: str, name: str) -> date | datetime | None:
    if not text:
        return None
    try:
        # A "+" in an address means a space: accept the offset either way.
        moment = parse_date(text) or parse_datetime(text.replace(" ", "+") if "T" in text else text)
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: before the year 1 or after 9999 in UTC
        moment = None
    if moment is None:
        raise BadRequest(f"{name} must be a date as 2024-05-01 or a time as 2024-05-01T12:00:00Z.", "bad_time")
    return moment
