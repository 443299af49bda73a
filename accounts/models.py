"""Users and the devices they sign in with."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from knox.models import AuthToken

from .signals import user_is_leaving


class User(AbstractUser):
    """A person. The key is a UUID, because it appears in URLs, object-store keys and exports."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    quota_bytes = models.PositiveBigIntegerField(
        "quota in bytes",
        null=True,
        blank=True,
        help_text="How much the libraries of this person may hold when something is imported; empty: no limit.",
    )

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the user and all that is theirs; all or nothing. What others rely on goes on without them."""
        with transaction.atomic():
            user_is_leaving.send(sender=User, user=self)
            return super().delete(*args, **kwargs)


class Device(models.Model):
    """A phone, script or other server that signed in as `user`; its token is shown once and only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices")
    name = models.CharField(max_length=100)
    stable_id = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="What the device calls itself; stays when it signs in anew.",
    )
    token = models.OneToOneField(AuthToken, on_delete=models.CASCADE, related_name="device")
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.name
