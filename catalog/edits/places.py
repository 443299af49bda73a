"""Say where photos were taken, or that nobody is to know it: the one way in which people change places.

The catalog says so at once; the file, or an XMP file beside it, follows as the library's setting for stars wants it.
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.edits import giving
from catalog.entries.sql import Row
from catalog.models import FileWrite, Photo
from operations.database_conflicts import retried_on_conflict
from photolala.lib.places import Place, are_near, checked_place

MOST_AT_ONCE = 10_000
_Told = list[float] | None


def _columns(told: _Told) -> Row:
    latitude, longitude = told or (None, None)
    return {"latitude": latitude, "longitude": longitude}


def _said(photo: Photo) -> _Told:
    return None if photo.latitude is None or photo.longitude is None else [photo.latitude, photo.longitude]


_PLACE: giving.Kind[_Told] = giving.Kind(
    kind=FileWrite.Kind.PLACE,
    name="place",
    held="place_held",
    moment="placed_at",
    columns=_columns,
    said=_said,
    are_same=are_near,
)


def set_place(user: User, photo: Photo | UUID, place: Place | None) -> Place | None:
    """Give the photo, which the caller found changeable for `user`, this place; None takes it away. Returns it as it is kept.

    Raises BadPlace, and Photo.DoesNotExist if the photo is gone.
    """
    kept = None if place is None else checked_place(*place)
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    if not set_places(user, {photo_id: kept}):
        raise Photo.DoesNotExist
    return kept


@retried_on_conflict
def set_places(user: User, places: Mapping[UUID, Place | None]) -> list[UUID]:
    """Give each of these photos, which the caller found changeable for `user`, its place; return which there are.

    One transaction: all or none of them. Raises BadPlace before anything is changed.
    """
    wanted = {key: None if place is None else [*checked_place(*place)] for key, place in places.items()}
    with transaction.atomic():
        held = giving.hold_by_library(list(wanted))
        for library, photos in held:
            giving.give(_PLACE, library, photos, wanted, user)
    return sorted(photo.pk for _, photos in held for photo in photos)


@retried_on_conflict
def undo_place(photo: Photo, user: User) -> Place | None:
    """Take back the last place that was written; return where the photo was taken then. Raises NothingToUndo.

    A file in which nothing else was written since gets back the very bytes that it had.
    """
    refusal = (
        "There is no place of this photo that could be taken back: none was written, or the file was changed since."
    )
    told = giving.undo(_PLACE, photo, user, None, refusal)
    return None if told is None else (told[0], told[1])
