"""Reads: what a user may see, page by page, whatever the size of the library."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import connection
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accounts.models import User
from catalog.browsing.filters import PhotoFilters, among, narrow, visible_libraries
from catalog.browsing.searches import search_of, searched
from catalog.browsing.timeline import timeline_bucket, timeline_buckets
from catalog.models import Favourite, Library, Photo
from catalog.searching.conditions import Search
from photolala.web.keyset import Page, after, cut, decode_cursor, paginate, read_limit

__all__ = [
    "PhotoFilters",
    "directory",
    "entries",
    "photo_page",
    "photos",
    "subfolders",
    "timeline_bucket",
    "timeline_buckets",
    "with_own_stars",
]
NEWEST_FIRST = ("-taken_local", "id")
BY_NAME = ("filename", "id")
KEEP_SECONDS = 24 * 60 * 60
MOST_BRANCHES = 400  # SQLite joins at most 500 selects


def photos(user: User, filters: PhotoFilters | None = None) -> QuerySet[Photo]:
    """Return what `user` may see and `filters` lets through, without an order. One query for the libraries."""
    filters = filters or PhotoFilters()
    ids = [library for library, _ in visible_libraries(user, filters)]
    search = search_of(user, ids, filters)
    return narrow(among(ids, user, filters, search), user, ids, filters, search)


def with_own_stars(photos: QuerySet[Photo], user: User) -> QuerySet[Photo]:
    """Add `stars`: the rating of `user`'s own favourite of each photo, None if there is none."""
    own = Favourite.objects.filter(user=user, photo=OuterRef("pk")).values("rating")[:1]
    return photos.annotate(stars=Subquery(own))


def photo_page(
    user: User, filters: PhotoFilters, params: Mapping[str, str], columns: Sequence[str] = ("id", "taken_local")
) -> Page:
    """Return the page of photos, newest first, that `params` (limit, cursor) asks for: dicts of `columns`, `stars`.

    At most three queries and those of a search, each bounded by the page, not by the library's size: every visible library
    is entered by its own index, before and after the ties of the cursor's moment, and only the ends are merged.
    Raises BadRequest.
    """
    limit = read_limit(params)
    place = decode_cursor(params["cursor"], Photo, NEWEST_FIRST) if params.get("cursor") else None
    ids = [library for library, _ in visible_libraries(user, filters)]
    with searched(user, ids, filters) as search:
        wanted = _wanted(user, ids, filters, search, place, limit + 1)
        names = {*columns, "id", "taken_local"}
        return cut(list(with_own_stars(wanted, user).values(*names, "stars")), NEWEST_FIRST, limit)


def entries(library: Library, folder: str, params: Mapping[str, str], columns: Sequence[str], user: User) -> Page:
    """Return a page of what is directly in `folder`, by file name; also what cannot be shown, not what is missing."""
    here = Photo.objects.filter(library=library, directory=folder).exclude(state=Photo.State.MISSING)
    names = {*columns, "id", "filename"}
    return paginate(with_own_stars(here, user).values(*names, "stars"), BY_NAME, params)


def subfolders(library: Library, folder: str) -> list[dict[str, Any]]:
    """Return the folders directly in `folder`: `name`, `path`, `count` (photos in it and below), by name.

    The counts of all folders are kept until the library's revision changes.
    """
    prefix = f"{folder}/" if folder else ""
    found: dict[str, int] = {}
    for path, count in _folder_counts(library).items():
        if path.startswith(prefix) and path != folder:
            name = path[len(prefix) :].partition("/")[0]
            found[name] = found.get(name, 0) + count
    return [{"name": name, "path": prefix + name, "count": found[name]} for name in sorted(found)]


def directory(
    user: User, library: Library, folder: str, params: Mapping[str, str], columns: Sequence[str]
) -> tuple[list[dict[str, Any]], Page]:
    """Return (subfolders, page of entries) of one folder; the subfolders only with the first page."""
    folders = [] if params.get("cursor") else subfolders(library, folder)
    return folders, entries(library, folder, params, columns, user)


def folder_exists(library: Library, folder: str) -> bool:
    """Return whether the catalog knows anything in `folder` or below it."""
    counts = _folder_counts(library)
    return not folder or folder in counts or any(path.startswith(f"{folder}/") for path in counts)


def _folder_counts(library: Library) -> dict[str, int]:
    key = f"folder-counts:{library.pk}:{library.revision}"
    counts: dict[str, int] | None = cache.get(key)
    if counts is None:
        rows = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).order_by()
        counts = dict(rows.values_list("directory").annotate(count=Count("*")))
        cache.set(key, counts, KEEP_SECONDS)
    return counts


def _wanted(
    user: User,
    ids: Sequence[UUID],
    filters: PhotoFilters,
    search: Search,
    place: Sequence[Any] | None,
    count: int,
) -> QuerySet[Photo]:
    """Return the first `count` photos after `place`. A query for their ids where several libraries are merged, else none."""
    everything = narrow(among(ids, user, filters, search), user, ids, filters, search)
    # A person's favourites, the duplicates, rare words and small folders are few: they are looked up and sorted.
    looked_up = filters.favourite or filters.duplicates or search.is_few or search.by_folder
    if looked_up or 2 * len(ids) > MOST_BRANCHES:
        page = everything if place is None else everything.filter(after(NEWEST_FIRST, place))
        return page.order_by(*NEWEST_FIRST)[:count]
    branches = [narrow(branch, user, ids, filters, search) for branch in _branches(ids, place)]
    if len(branches) == 1:
        return branches[0].order_by(*NEWEST_FIRST)[:count]
    return Photo.objects.filter(pk__in=_first_ids(branches, count)).order_by(*NEWEST_FIRST)


def _branches(libraries: Sequence[UUID], place: Sequence[Any] | None) -> list[QuerySet[Photo]]:
    """Return one queryset per library and, after a cursor, per side of its ties: each is a range of the index."""
    if place is None:
        sides = [Q()]
    else:
        moment, last = place
        sides = [Q(taken_local=moment, id__gt=last), Q(taken_local__lt=moment)]
    return [Photo.objects.filter(side, library=library) for library in libraries for side in sides]


def _first_ids(branches: Sequence[QuerySet[Photo]], count: int) -> list[Any]:
    """Return the ids of the newest `count` photos of all branches. One query, `count` index entries for each branch.

    Written as SQL, because Django does not let SQLite limit the parts of a union; the parts themselves are Django's.
    """
    if not branches:
        return []
    parts: list[str] = []
    params: list[Any] = []
    for branch in branches:
        sql, values = branch.order_by(*NEWEST_FIRST).values_list("taken_local", "id")[:count].query.sql_with_params()
        parts.append(f"SELECT * FROM ({sql}) AS part{len(parts)}")  # noqa: S608  (Django's own SQL; values apart)
        params += values
    with connection.cursor() as cursor:
        cursor.execute(f"{' UNION ALL '.join(parts)} ORDER BY 1 DESC, 2 ASC LIMIT {int(count)}", params)
        return [UUID(str(row[1])) for row in cursor.fetchall()]
