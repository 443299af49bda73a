"""Which media types and cameras photos have, and photos of some of them: from indexes that have them in order."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import In

from catalog.models import Photo

MOST_VALUES = 2_000
"""Different ones up to which they are looked at one by one; each costs a step in the index."""
_TYPES = (
    "WITH RECURSIVE last(media_type) AS (SELECT min(media_type) FROM catalog_photo UNION ALL "
    "SELECT (SELECT min(media_type) FROM catalog_photo WHERE media_type > last.media_type) "
    "FROM last WHERE last.media_type IS NOT NULL) "
    "SELECT media_type FROM last WHERE media_type IS NOT NULL LIMIT %s"
)
_CAMERAS = (
    "WITH RECURSIVE last(camera_make) AS (SELECT min(camera_make) FROM catalog_photo UNION ALL "
    "SELECT (SELECT min(camera_make) FROM catalog_photo WHERE camera_make > last.camera_make) "
    "FROM last WHERE last.camera_make IS NOT NULL), "
    "pair(make, model) AS ("
    "SELECT camera_make, (SELECT min(camera_model) FROM catalog_photo WHERE catalog_photo.camera_make = last.camera_make) "
    "FROM last WHERE camera_make IS NOT NULL UNION ALL "
    "SELECT make, (SELECT min(camera_model) FROM catalog_photo WHERE camera_make = pair.make AND camera_model > pair.model) "
    "FROM pair WHERE model IS NOT NULL) SELECT make, model FROM pair WHERE model IS NOT NULL LIMIT %s"
)


@dataclass(frozen=True)
class Of:
    """Photos of some types or cameras. `condition` keeps SQLite in the timeline's order, `counted` leads it to the index.

    `count`: how many there are, if they are few; then both conditions look them up by their ids.
    """

    condition: Q
    counted: Q
    count: int | None = None
    counted_by: tuple[str, ...] = ()
    """The columns of that index; none if they are few."""


def of_types(libraries: Sequence[UUID], is_wanted: Callable[[str], bool], most: int) -> Of | None:
    """Return photos whose media type `is_wanted`, few if at most `most`; None where there are very many types."""
    there = _distinct(_TYPES)
    if there is None:
        return None
    wanted = [name for (name,) in there if is_wanted(name)]
    return _of(libraries, Q(media_type__in=wanted), _unseen(media_type__in=wanted), most, ("media_type",))


def of_cameras(libraries: Sequence[UUID], text: str, most: int) -> Of | None:
    """Return photos with `text` in the make or model of their camera, whatever its case, as `of_types` does."""
    there = _distinct(_CAMERAS)
    if there is None:
        return None
    found = {pair for pair in there if any(text.lower() in word.lower() for word in pair)}
    columns = ("camera_make", "camera_model")
    return _of(libraries, _cameras(found, there, Q), _cameras(found, there, _unseen), most, columns)


_Condition = Callable[..., Any]
"""`Q`, or `_unseen`: from a field and `__in` to a condition."""


def _cameras(found: Collection[tuple[str, ...]], there: Collection[tuple[str, ...]], condition: _Condition) -> Q:
    makes, models = ({pair[number] for pair in found} for number in (0, 1))
    between = {pair for pair in there if pair[0] in makes and pair[1] in models}
    either = condition(camera_make__in=sorted(makes)) & condition(camera_model__in=sorted(models))
    for make, model in sorted(between - set(found)):
        either &= ~(condition(camera_make__in=[make]) & condition(camera_model__in=[model]))
    return Q(either)


def _of(libraries: Sequence[UUID], counted: Q, condition: Q, most: int, columns: tuple[str, ...]) -> Of:
    photos = Photo.objects.filter(counted, library__in=libraries).order_by()
    count = photos.values("taken_day")[: most + 1].count()  # which the index has
    if count <= most:
        by_id = Q(pk__in=photos.values("pk") if count else ())
        return Of(by_id, by_id, count)
    by = (*columns, "library", "taken_day", "taken_source")
    return Of(condition if connection.vendor == "sqlite" else counted, counted, counted_by=by)


def _unseen(**wanted: list[str]) -> Q:
    """Return the condition that a field is one of some values, put so that SQLite does not choose the field's index for it."""
    ((name, values),) = wanted.items()
    field = name.removesuffix("__in")
    return Q(In(Coalesce(field, field), values)) if values else Q(pk__in=())


def _distinct(sql: str) -> list[tuple[str, ...]] | None:
    """Return the different values that photos of anybody have, None if they are more than MOST_VALUES."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [MOST_VALUES + 1])
        found = cursor.fetchall()
    return found if len(found) <= MOST_VALUES else None
