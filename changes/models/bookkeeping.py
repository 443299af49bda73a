"""Counters of scopes, tombstones, what is shown in further scopes, and who changed which field last."""

from django.conf import settings
from django.db import models

SCOPE_LENGTH = 50
KIND_LENGTH = 40


class Epoch(models.Model):
    """How often this database was set back to an earlier state; there is one row. Cursors of other epochs start over."""

    number = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"epoch {self.number}"


class Scope(models.Model):
    """The counter of a scope. There is a row as soon as somebody has read the scope."""

    name = models.CharField(max_length=SCOPE_LENGTH, primary_key=True)
    version = models.BigIntegerField(default=0, help_text="The highest number given: epoch << 40 | n.")
    floor = models.BigIntegerField(
        default=0, help_text="Tombstones up to this number are gone: who knows less starts over."
    )

    def __str__(self) -> str:
        return self.name


class Tombstone(models.Model):
    """Something was deleted for good. Rows are only added, so that nobody waits for another's; the newest of an id counts."""

    scope = models.CharField(max_length=SCOPE_LENGTH)
    kind = models.CharField(max_length=KIND_LENGTH)
    object_id = models.UUIDField()
    version = models.BigIntegerField(null=True, blank=True)
    buried_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["scope", "version"], name="tombstone_by_version"),
            models.Index(fields=["buried_at"], name="tombstone_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} is gone"


class Shown(models.Model):
    """Something is shown in a further scope besides its home, e.g. a photo in an album."""

    scope = models.CharField(max_length=SCOPE_LENGTH)
    kind = models.CharField(max_length=KIND_LENGTH)
    object_id = models.UUIDField()
    version = models.BigIntegerField(null=True, blank=True, help_text="In this scope; empty until it is numbered.")
    source_version = models.BigIntegerField(
        null=True, blank=True, help_text="What it had at home when it was numbered."
    )

    class Meta:
        verbose_name_plural = "shown"
        constraints = [models.UniqueConstraint(fields=["scope", "kind", "object_id"], name="shown_once_in_a_scope")]
        indexes = [
            models.Index(fields=["scope", "version"], name="shown_by_version"),
            models.Index(fields=["object_id", "kind"], name="shown_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} in {self.scope}"


class FieldState(models.Model):
    """Who changed a field last, when and at which version; only of what people change."""

    scope = models.CharField(max_length=SCOPE_LENGTH, help_text="Its home.")
    kind = models.CharField(max_length=KIND_LENGTH)
    object_id = models.UUIDField()
    field = models.CharField(max_length=40, help_text="The key of the type's JSON.")
    version = models.BigIntegerField(null=True, blank=True)
    hlc = models.CharField(max_length=100)
    actor = models.UUIDField(null=True, blank=True, help_text="The user.")
    device = models.UUIDField(null=True, blank=True, help_text="Empty: it was changed on this server.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id", "field"], name="one_state_per_field")]
        indexes = [
            models.Index(fields=["scope"], condition=models.Q(version__isnull=True), name="field_states_unnumbered")
        ]

    def __str__(self) -> str:
        return f"{self.field} of {self.kind} {self.object_id}"


class EndedScope(models.Model):
    """`user` sees this scope no longer, or it is gone: their devices are told so once they ask."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=SCOPE_LENGTH)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "scope"], name="ended_once_for_a_user")]

    def __str__(self) -> str:
        return f"{self.scope} ended for {self.user_id}"
