"""Favourite: what a user likes; a person's own, never another's. Withdrawal: what a user likes no longer."""

import uuid

from django.conf import settings
from django.db import models

from changes.models import Numbered, NumberedQuerySet

from .photo import Photo


def favourite_id(user_id: uuid.UUID, photo_id: uuid.UUID) -> uuid.UUID:
    """Return the id of a user's favourite on the wire: two devices that like the same photo make the same one."""
    return uuid.uuid5(user_id, str(photo_id))


class Favourite(Numbered):
    """`user` gave `photo` this many stars (5 for a plain favourite)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favourites")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="favourites")
    rating = models.PositiveSmallIntegerField(default=5)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(
        auto_now=True, null=True, help_text="When these stars were given; empty in rows of earlier versions."
    )

    objects = NumberedQuerySet.as_manager()

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


class Withdrawal(models.Model):
    """`user` took their favourite of `photo` away: an earlier one that turns up for the same photo does not count."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="+")
    withdrawn_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "photo"], name="one_withdrawal_per_user")]

    def __str__(self) -> str:
        return f"{self.user} likes {self.photo_id} no longer"
