"""Users and the devices they sign in with."""

import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.utils.crypto import salted_hmac
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

    signed_out_count = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="How often this person signed out everywhere; sessions of before are worthless.",
    )

    def sign_in_proof(self) -> str:
        """Return what changes with the password, and when this person signs out everywhere."""
        secret = f"{self.password}\0{self.signed_out_count}"
        return salted_hmac("accounts.User.sign_in_proof", secret, algorithm="sha256").hexdigest()[:32]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what sessions keep: Django's own until this person signs out everywhere for the first time."""
        if not self.signed_out_count:
            return super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        value = f"{self.password}\0{self.signed_out_count}"
        return salted_hmac("accounts.User.session", value, secret=secret, algorithm="sha256").hexdigest()

    def sign_out_everywhere(self) -> None:
        """End all sessions, make the tokens of all devices worthless, and know no browser again."""
        with transaction.atomic():
            User.objects.filter(pk=self.pk).update(signed_out_count=models.F("signed_out_count") + 1)
            AuthToken.objects.filter(user=self).delete()
        self.refresh_from_db(fields=["signed_out_count"])

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the user and all that is theirs; all or nothing. What others rely on continues without them."""
        with transaction.atomic():
            # First, as whoever reserves room for this person does: each would wait for the other's rows.
            list(User.objects.select_for_update(no_key=True).filter(pk=self.pk).values_list("pk", flat=True))
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


class FailedSignIns(models.Model):
    """How often a password was wrong, by a name, an address or a device that nobody can read here (accounts.attempts)."""

    key = models.CharField(max_length=40, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField()
    before: datetime | None = None
    """When the last failure was before the one that is being counted."""

    class Meta:
        indexes = [models.Index(fields=["failures", "failed_at"], name="failed_sign_ins_light")]

    def __str__(self) -> str:
        return f"{self.failures} failures"
