"""Users and the devices they sign in with."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from knox.models import AuthToken


class User(AbstractUser):
    """A person. The key is a UUID, because it appears in URLs, object-store keys and exports."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    quota_bytes = models.PositiveBigIntegerField(
        "quota in bytes",
        null=True,
        blank=True,
        help_text="How much the libraries of this person may hold when something is imported; empty: no limit.",
    )


class Device(models.Model):
    """A phone, script or other server that signed in as `user`; its token is shown once and only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices")
    name = models.CharField(max_length=100)
    token = models.OneToOneField(AuthToken, on_delete=models.CASCADE, related_name="device")
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.name
