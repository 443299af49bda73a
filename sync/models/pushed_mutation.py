"""PushedMutation: one mutation that a device pushed, and what became of it."""

from django.db import models
from django.utils import timezone

from accounts.models import Device


class PushedMutation(models.Model):
    """Written in the transaction that applies the mutation, so that the same `mid` is never applied twice."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="pushed_mutations")
    mid = models.BigIntegerField(help_text="The device's own number of the mutation; without gaps.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of its content: the same mid with another is refused.")
    kind = models.CharField(max_length=40)
    target = models.UUIDField(null=True, help_text="What it was applied to: the copy, where it made one.")
    root = models.BigIntegerField(
        default=0, help_text="The version that the first of the edits it builds on was made on; 0: the device made it."
    )
    result = models.JSONField(help_text="Status, version and reason as they were answered; never rows.")
    pushed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "mid"], name="one_mutation_per_mid")]
        indexes = [models.Index(fields=["pushed_at"], name="pushed_by_age")]

    def __str__(self) -> str:
        return f"{self.mid}: {self.result.get('status', '')}"
