"""What a search means for one user, brought up to date before it is asked, and bounded in time where people wait for it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q

from accounts.models import User
from catalog.albums import access, smart
from catalog.models import Photo
from catalog.searching import conditions, grammar
from catalog.searching.values_there import Of, of_cameras, of_types
from catalog.words import indexing
from photolala.web import query_limits
from photolala.web.refusals import BadRequest, Unprocessable

from .filters import MOST_LOOKED_UP, PhotoFilters, in_folder

_GROUPS = ("image", "video")
TOO_SLOW = (
    "This search takes longer than {} seconds and was stopped. Nothing is lost: search for fewer words, for rarer ones, or in "
    "one field, as in camera:canon."
)


@contextmanager
def searched(
    user: User, libraries: Iterable[UUID], filters: PhotoFilters, *, for_days: bool = False
) -> Iterator[conditions.Search]:
    """Give what `search_of` returns to a block that reads what is found, for people who wait: preparing and reading end after
    PHOTOLALA_SEARCH_SECONDS. Raises Unprocessable, also from the block. Without a search there is no limit. `for_days`: see
    `conditions.prepare`.
    """
    saved = _saved(user, filters)
    if filters.query is None and saved is None:
        yield _prepared(user, libraries, filters, saved)
        return
    _catch_up()
    try:
        with query_limits.at_most(settings.SEARCH_SECONDS):
            yield _prepared(user, libraries, filters, saved, for_days=for_days)
    except query_limits.TooSlow:
        raise Unprocessable(TOO_SLOW.format(settings.SEARCH_SECONDS), "search_too_slow") from None


def search_of(user: User, libraries: Iterable[UUID], filters: PhotoFilters) -> conditions.Search:
    """Return what search and album in `filters` mean for these libraries: all photos if there is none.

    An album that is a saved search is that search, one of items holds those. Brings the index up to date.
    It says also where a folder of a few photos is asked for, on SQLite, which has to be told how to read it.
    """
    saved = _saved(user, filters)
    if filters.query is not None or saved is not None:
        _catch_up()
    return _prepared(user, libraries, filters, saved)


def _catch_up() -> None:
    """Bring the index up to date; not within another's limit, who did so before: what is limited in time writes nothing."""
    if not query_limits.is_limited():
        indexing.catch_up_before_a_search()


def _saved(user: User, filters: PhotoFilters) -> grammar.Node | None:
    """Return the search that the album in `filters` is, None for one of items. One query if there is an album."""
    text = smart.saved_search(user, filters.album) if filters.album else ""
    try:
        return grammar.parse(text)
    except grammar.QueryError as error:  # kept by a version that understood it
        raise BadRequest(str(error), "bad_search", position=error.place) from None


def _prepared(
    user: User, libraries: Iterable[UUID], filters: PhotoFilters, saved: grammar.Node | None, *, for_days: bool = False
) -> conditions.Search:
    ids = list(libraries)
    nodes = tuple(node for node in (saved, filters.query) if node is not None)
    if nodes:
        node = nodes[0] if len(nodes) == 1 else grammar.Every(nodes)
        is_all = filters.album is None or saved is not None
        search = conditions.prepare(user, ids, node, for_days=for_days and is_all)
    else:
        search = conditions.Search(Q(), by_folder=_is_small_folder(ids, filters))
    if filters.album is not None and saved is None:
        items = access.items_of(user, filters.album).filter(photo__isnull=False)
        search = _with(search, Q(pk__in=items.values("photo")))
    if filters.media_type:
        types = of_types(ids, partial(_is_of_type, filters.media_type), MOST_LOOKED_UP)
        search = _with_of(search, types, _media_type(filters.media_type))
    if filters.camera:
        wanted = Q(camera_model__icontains=filters.camera) | Q(camera_make__icontains=filters.camera)
        search = _with_of(search, of_cameras(ids, filters.camera, MOST_LOOKED_UP), wanted)
    return search


def _with_of(search: conditions.Search, of: Of | None, otherwise: Q) -> conditions.Search:
    """Return `search` narrowed to photos of some types or cameras."""
    if of is None:
        return _with(search, otherwise)
    narrowed = _with(search, of.condition, of.counted, is_few=of.count is not None)
    return narrowed if search.condition else replace(narrowed, counted_by=of.counted_by)


def _with(search: conditions.Search, more: Q, counted: Q | None = None, *, is_few: bool = False) -> conditions.Search:
    return replace(
        search,
        condition=search.condition & more,
        counted=search.to_count().condition & (more if counted is None else counted),
        is_few=search.is_few or is_few,
        match=None,
        counted_by=(),
    )


def _media_type(wanted: str) -> Q:
    return Q(media_type__startswith=f"{wanted}/") if wanted in _GROUPS else Q(media_type=wanted)


def _is_of_type(wanted: str, media_type: str) -> bool:
    return media_type.startswith(f"{wanted}/") if wanted in _GROUPS else media_type == wanted


def _is_small_folder(libraries: Iterable[UUID], filters: PhotoFilters) -> bool:
    if connection.vendor != "sqlite" or filters.folder is None or (filters.recursive and not filters.folder):
        return False
    there = Photo.objects.filter(in_folder(filters.folder, filters.recursive), library__in=list(libraries))
    return there[: MOST_LOOKED_UP + 1].count() <= MOST_LOOKED_UP
