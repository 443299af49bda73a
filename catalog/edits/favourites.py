"""Set and take away favourites: a person's own stars, which never touch another's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.models import Favourite, Photo, Withdrawal, favourite_id
from changes.fields import touched_in
from changes.types import scope_name
from operations.database_conflicts import retried_on_conflict

FULL = 5
MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class FavouriteAnswer:
    """How a photo stands after the change."""

    photo_id: UUID
    rating: int

    @property
    def favorited(self) -> bool:
        """True with any stars."""
        return self.rating > 0

    def as_json(self) -> dict[str, Any]:
        """Return the API's body."""
        return {"photo_id": str(self.photo_id), "rating": self.rating, "favorited": self.favorited}


@retried_on_conflict
def set_favourite(user: User, photo: Photo | UUID, rating: int) -> FavouriteAnswer:
    """Give `photo`, which the caller found visible, `rating` stars of `user`; 0 takes the favourite away.

    Raises ValueError for a rating that is not 0 to 5, Photo.DoesNotExist if it is gone by now.
    """
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    check_stars(rating)
    with transaction.atomic():
        _hold(photo_id)
        if rating == 0:
            Favourite.objects.filter(user=user, photo_id=photo_id).delete()
            _withdraw(user, [photo_id])
        else:
            _give(user, [photo_id], rating)
        note_favourites(user.pk, [photo_id], user)
    return FavouriteAnswer(photo_id, rating)


@retried_on_conflict
def toggle_favourite(user: User, photo: Photo | UUID) -> FavouriteAnswer:
    """Turn any stars into none, and none into five; two at once end as two in a row would. Raises Photo.DoesNotExist."""
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    with transaction.atomic():
        _hold(photo_id)
        note_favourites(user.pk, [photo_id], user)
        removed, _ = Favourite.objects.filter(user=user, photo_id=photo_id).delete()
        if removed:
            _withdraw(user, [photo_id])
            return FavouriteAnswer(photo_id, 0)
        _, created = Favourite.objects.get_or_create(user=user, photo_id=photo_id, defaults={"rating": FULL})
        if not created:  # the other toggle was first: this one takes back what it gave
            Favourite.objects.filter(user=user, photo_id=photo_id).delete()
            _withdraw(user, [photo_id])
            return FavouriteAnswer(photo_id, 0)
    return FavouriteAnswer(photo_id, FULL)


@retried_on_conflict
def set_favourites(user: User, photo_ids: Sequence[UUID], rating: int) -> dict[str, Any]:
    """Give all these photos `rating` stars of `user`; what is not there or not visible is told one by one.

    Returns `{"success_count", "error_count", "errors": [{"photo_id", "error"}]}`. One transaction.
    """
    check_stars(rating)
    wanted = list(dict.fromkeys(photo_ids))
    with transaction.atomic():
        held = Photo.objects.visible_to(user).filter(pk__in=wanted).select_for_update(of=("self",)).order_by("pk")
        visible = set(held.values_list("pk", flat=True))
        if rating == 0:
            Favourite.objects.filter(user=user, photo__in=visible).delete()
            _withdraw(user, visible)
        else:
            _give(user, [pk for pk in wanted if pk in visible], rating)
        note_favourites(user.pk, visible, user)
    errors = [
        {"photo_id": str(pk), "error": "There is no such photo, or none that you may see."}
        for pk in wanted
        if pk not in visible
    ]
    return {"success_count": len(visible), "error_count": len(errors), "errors": errors}


def take_favourites(user: User, kept: Photo, gone: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Let `kept` be a favourite of whoever likes one of `gone`, its equals, and may see it, with the most stars of each.

    Not of the owner of its library, whose stars are its rating, and not of those who like it already. Returns who got it from
    which photo. Call it in a transaction in which the photos are locked; `user` is who keeps that photo.
    """
    seen_by = User.objects.filter(memberships__library=kept.library_id).exclude(pk=kept.library.owner_id)
    has_it = Favourite.objects.filter(photo=kept).values("user")
    given = Favourite.objects.filter(photo__in=gone, user__in=seen_by).exclude(user__in=has_it)
    first: dict[Any, Favourite] = {}
    for one in given.order_by("-rating", "photo").select_related("user"):
        first.setdefault(one.user_id, one)
    taken: dict[UUID, list[str]] = {}
    for one in first.values():
        _give(one.user, [kept.pk], one.rating)
        note_favourites(one.user_id, [kept.pk], user)
        taken.setdefault(one.photo_id, []).append(str(one.user_id))
    return taken


def give_favourites_back(user: User, kept: UUID, to: UUID, owners: Sequence[str]) -> None:
    """Undo `take_favourites` for these people, whose stars are at the photo `to` that they came from. Call it in a transaction.

    Whoever gave `kept` other stars since keeps them.
    """
    for key in map(UUID, owners):
        stars = Favourite.objects.filter(photo=to, user=key).values("rating")
        Favourite.objects.filter(photo=kept, user=key, rating__in=stars).delete()
        note_favourites(key, [kept], user)


def note_favourites(owner_id: UUID, photo_ids: Iterable[UUID], user: User) -> None:
    """Note that `user` gave or took the stars that these photos have for `owner_id`. Call it in the transaction."""
    keys = [favourite_id(owner_id, key) for key in photo_ids]
    touched_in("favourite", scope_name("user", owner_id), keys, ["rating"], user=user.pk)


def _hold(photo_id: UUID) -> None:
    """Keep a scan from leading the photo elsewhere, and its row away, before the wish is in. Raises Photo.DoesNotExist."""
    Photo.objects.select_for_update().only("pk").get(pk=photo_id)


def _give(user: User, photo_ids: Iterable[UUID], rating: int) -> None:
    """Write the stars, by one statement whether there were any before or not. The photos are locked by the caller."""
    Favourite.objects.bulk_create(
        [Favourite(user=user, photo_id=pk, rating=rating) for pk in photo_ids],
        update_conflicts=True,
        unique_fields=["user", "photo"],
        update_fields=["rating", "changed_at"],
    )


def _withdraw(user: User, photo_ids: Iterable[UUID]) -> None:
    """Note when the favourites were taken away: what the same photos had at a former place is older than that."""
    now = timezone.now()
    Withdrawal.objects.bulk_create(
        [Withdrawal(user=user, photo_id=pk, withdrawn_at=now) for pk in photo_ids],
        update_conflicts=True,
        unique_fields=["user", "photo"],
        update_fields=["withdrawn_at"],
    )


def check_stars(rating: int) -> None:
    """Raise ValueError for a number of stars that nobody can give."""
    if not 0 <= rating <= FULL:
        raise ValueError("A rating is a number from 0 to 5.")
