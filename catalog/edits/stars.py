"""A person's star on a photo, whatever it means for that person: the owner's is the photo's rating, others' are favourites."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.edits.favourites import FavouriteAnswer, check_stars, set_favourite, set_favourites, toggle_favourite
from catalog.edits.ratings import set_rating, set_ratings, toggle_rating
from catalog.entries.row_locks import hold_rows_of
from catalog.models import Photo
from operations.database_conflicts import retried_on_conflict


@retried_on_conflict
def star(user: User, photo_id: UUID, stars: int | None) -> FavouriteAnswer:
    """Give `stars` (None toggles between 0 and 5) to a photo that `user` sees. Raises Photo.DoesNotExist, ValueError."""
    owner_id = Photo.objects.visible_to(user).values_list("library__owner", flat=True).get(pk=photo_id)
    if owner_id == user.pk:
        return toggle_rating(user, photo_id) if stars is None else set_rating(user, photo_id, stars)
    return toggle_favourite(user, photo_id) if stars is None else set_favourite(user, photo_id, stars)


@retried_on_conflict
def star_many(user: User, photo_ids: Sequence[UUID], stars: int) -> dict[str, Any]:
    """Give all these photos `stars`; what is not there or not visible is told one by one. One transaction.

    Returns `{"success_count", "error_count", "errors": [{"photo_id", "error"}]}`.
    """
    check_stars(stars)
    wanted = list(dict.fromkeys(photo_ids))
    with transaction.atomic():
        hold_rows_of([Photo.objects.visible_to(user).filter(pk__in=wanted)])
        own = set(Photo.objects.filter(pk__in=wanted, library__owner=user).order_by().values_list("pk", flat=True))
        rated = set_ratings(user, [pk for pk in wanted if pk in own], stars) if own else []
        gone = own.difference(rated)  # since they were looked for: a scan found such a row to be another photo's
        answer = set_favourites(user, [pk for pk in wanted if pk in gone or pk not in own], stars)
    answer["success_count"] += len(rated)
    return answer
