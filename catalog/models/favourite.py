"""Favourite: what a user likes; a person's own, never another's. Withdrawal: what a user likes no longer."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models, transaction

from changes.models import Numbered, NumberedQuerySet

from .photo import Photo

_OF = frozenset({"user", "user_id", "photo", "photo_id"})


def favourite_id(user_id: uuid.UUID, photo_id: uuid.UUID) -> uuid.UUID:
    """Return the id of a user's favourite on the wire: two devices that like the same photo make the same one."""
    return uuid.uuid5(user_id, str(photo_id))


class FavouriteQuerySet(NumberedQuerySet["Favourite"]):
    """Writes the ids on the wire along with whose favourites of which photos they are."""

    def update(self, **values: Any) -> int:
        """As `NumberedQuerySet.update`; one that becomes another photo's or user's is another favourite for devices."""
        if _OF.isdisjoint(values):
            return super().update(**values)
        with transaction.atomic(using=self.db):
            keys = list(self.order_by("pk").values_list("pk", flat=True))
            count = super().update(**values)
            for key, user_id, photo_id in self.model.objects.filter(pk__in=keys).values_list("pk", "user", "photo"):
                self.model.objects.filter(pk=key).update(wire_id=favourite_id(user_id, photo_id))
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable["Favourite"], *args: Any, **kwargs: Any) -> list["Favourite"]:
        """As `NumberedQuerySet.bulk_create`."""
        objs = list(objs)
        for row in objs:
            row.wire_id = favourite_id(row.user_id, row.photo_id)
        if kwargs.get("update_conflicts"):
            kwargs["update_fields"] = [*kwargs["update_fields"], "wire_id"]
        return super().bulk_create(objs, *args, **kwargs)


class Favourite(Numbered):
    """`user` gave `photo` this many stars (5 for a plain favourite)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favourites")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="favourites")
    rating = models.PositiveSmallIntegerField(default=5)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(
        auto_now=True, null=True, help_text="When these stars were given; empty in rows of earlier versions."
    )

    wire_id = models.UUIDField(
        null=True, editable=False, db_index=True, help_text="`favourite_id` of user and photo: devices name it so."
    )

    objects = FavouriteQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "photo"], name="one_favourite_per_user"),
            models.CheckConstraint(condition=models.Q(rating__range=(1, 5)), name="favourite_rating_1_to_5"),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="favourite_newest"),
            models.Index(fields=["user", "version"], name="favourite_by_version"),
        ]

    def __str__(self) -> str:
        return f"{self.user} likes {self.photo_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As `Numbered.save`."""
        self.wire_id = favourite_id(self.user_id, self.photo_id)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = [*kwargs["update_fields"], "wire_id"]
        super().save(*args, **kwargs)


class Withdrawal(models.Model):
    """`user` took their favourite of `photo` away: an earlier one that turns up for the same photo does not count."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="+")
    withdrawn_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "photo"], name="one_withdrawal_per_user")]

    def __str__(self) -> str:
        return f"{self.user} likes {self.photo_id} no longer"
