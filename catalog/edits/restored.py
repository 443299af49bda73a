"""What a backup says of photos beyond what people can: when somebody said it. For `exports.restore`, after the verbs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from catalog.entries.sql import update_rows
from catalog.history.given_since import REBUILD, RESTORE
from catalog.models import Favourite, Photo
from operations.models import ACTIVE, Operation, State


class Moments(NamedTuple):
    """When a person last gave stars, caption, date, keywords and place; None leaves what is there."""

    rated: datetime | None = None
    captioned: datetime | None = None
    dated: datetime | None = None
    keyworded: datetime | None = None
    placed: datetime | None = None


def keep_moments(moments: Mapping[UUID, Moments]) -> None:
    """Let what was said of these photos be said when a backup says, never in the future.

    Not while a rebuild or restore of their library is to end: what was given before it would give way to it.
    """
    now = timezone.now()
    libraries = set(Photo.objects.filter(pk__in=moments).order_by().values_list("library", flat=True))
    keys = [f"scan:{key}" for key in libraries]
    to_come = Q(state__in=[*ACTIVE, State.INTERRUPTED], kind__in=[RESTORE, REBUILD])
    if Operation.objects.filter(to_come, active_key__in=keys).exists():
        return
    for number, column in enumerate(("rated_at", "captioned_at", "dated_at", "keyworded_at", "placed_at")):
        said = ((key, of_it[number]) for key, of_it in moments.items())
        update_rows(
            Photo, [column], ({"id": key, column: min(moment, now)} for key, moment in said if moment is not None)
        )


def keep_favoured(user: Any, moments: Mapping[UUID, datetime]) -> None:
    """Let the user's favourites of these photos be of the times that a backup says, never in the future."""
    now = timezone.now()
    mine = Favourite.objects.filter(user=user, photo__in=list(moments)).order_by("pk").values_list("pk", "photo")
    given = ((key, min(moments[photo], now)) for key, photo in mine)
    update_rows(
        Favourite,
        ["created_at", "changed_at"],
        ({"id": key, "created_at": moment, "changed_at": moment} for key, moment in given),
    )
