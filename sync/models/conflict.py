"""Conflict: two people, or two devices, changed one field without knowing of each other."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Device


class ConflictQuerySet(models.QuerySet["Conflict"]):
    """Reads that say who may see."""

    def visible_to(self, user: Any) -> Self:
        """Conflicts in which one of the sides is `user`'s."""
        return self.filter(Q(user=user) | Q(other=user))

    def open(self) -> Self:
        """Those that wait for a person."""
        return self.filter(state=Conflict.State.OPEN)


class Conflict(models.Model):
    """Both sides of it, so that no text is lost; open until somebody decides, or decided by the field's rule."""

    class State(models.TextChoices):
        """Whether it waits."""

        OPEN = "open", "open"
        DECIDED = "decided", "decided"

    class Decision(models.TextChoices):
        """What counts now."""

        MINE = "mine", "the device's"
        THEIRS = "theirs", "the server's"
        BOTH = "both", "both"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sync_conflicts")
    other = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    object_id = models.UUIDField()
    scope = models.CharField(max_length=60)
    field = models.CharField(max_length=60)
    resolver = models.CharField(max_length=40)
    mine = models.JSONField(null=True, help_text="What the device pushed.")
    theirs = models.JSONField(null=True, help_text="What the server had by then.")
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, related_name="+")
    device_name = models.CharField(max_length=100, blank=True, default="")
    other_device_id = models.UUIDField(null=True, help_text="Empty: it was written on this server's own pages.")
    mine_at = models.DateTimeField(null=True, help_text="When the device's side was written, by its clock.")
    theirs_at = models.DateTimeField(null=True, help_text="When the other side was written.")
    made_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    decision = models.CharField(max_length=8, choices=Decision, blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    copy_id = models.UUIDField(null=True, help_text="The copy that holds the device's side.")

    objects = ConflictQuerySet.as_manager()

    class Meta:
        ordering = ["-made_at", "id"]
        indexes = [
            models.Index(fields=["user", "state", "-made_at"], name="conflicts_of_a_person"),
            models.Index(fields=["other", "state", "-made_at"], name="conflicts_of_the_other"),
            models.Index(fields=["kind", "object_id"], name="conflicts_of_a_thing"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.field}"
