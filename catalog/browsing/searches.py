"""What a search means for one user, brought up to date before it is asked, and bounded in time where people wait for it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q

from accounts.models import User
from catalog.models import Photo
from catalog.searching import conditions
from catalog.words import indexing
from photolala.web import query_limits
from photolala.web.refusals import Unprocessable

from .filters import MOST_LOOKED_UP, PhotoFilters, in_folder

TOO_SLOW = (
    "This search takes longer than {} seconds and was stopped. Nothing is lost: search for fewer words, for rarer ones, or in "
    "one field, as in camera:canon."
)


@contextmanager
def searched(user: User, libraries: Iterable[UUID], filters: PhotoFilters) -> Iterator[conditions.Search]:
    """Give what `search_of` returns to a block that reads what is found, for people who wait: preparing and reading end after
    PHOTOLALA_SEARCH_SECONDS. Raises Unprocessable, also from the block. Without a search there is no limit.
    """
    if filters.query is None:
        yield search_of(user, libraries, filters)
        return
    indexing.catch_up_before_a_search()
    try:
        with query_limits.at_most(settings.SEARCH_SECONDS):
            yield _prepared(user, libraries, filters)
    except query_limits.TooSlow:
        raise Unprocessable(TOO_SLOW.format(settings.SEARCH_SECONDS), "search_too_slow") from None


def search_of(user: User, libraries: Iterable[UUID], filters: PhotoFilters) -> conditions.Search:
    """Return what the search in `filters` means for these libraries: all photos if there is none. Brings the index up to date.

    It says also where a folder of a few photos is asked for, on SQLite, which has to be told how to read it.
    """
    if filters.query is not None:
        indexing.catch_up_before_a_search()
    return _prepared(user, libraries, filters)


def _prepared(user: User, libraries: Iterable[UUID], filters: PhotoFilters) -> conditions.Search:
    if filters.query is None:
        return conditions.Search(Q(), by_folder=_is_small_folder(libraries, filters))
    return conditions.prepare(user, libraries, filters.query)


def _is_small_folder(libraries: Iterable[UUID], filters: PhotoFilters) -> bool:
    if connection.vendor != "sqlite" or filters.folder is None or (filters.recursive and not filters.folder):
        return False
    there = Photo.objects.filter(in_folder(filters.folder, filters.recursive), library__in=list(libraries))
    return there[: MOST_LOOKED_UP + 1].count() <= MOST_LOOKED_UP
