"""DeviceState and PulledScope: how far a device is."""

from django.db import models

from accounts.models import Device


class DeviceState(models.Model):
    """What the server knows of a device that syncs. Its row is locked by each push, so that pushes of a device take turns."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, primary_key=True, related_name="sync_state")
    epoch = models.PositiveIntegerField(
        default=0, help_text="The epoch of the last push; another one starts a new count."
    )
    acked_through = models.BigIntegerField(default=0, help_text="The last mid that was applied or refused.")
    last_push_at = models.DateTimeField(null=True, blank=True)
    pending = models.JSONField(
        default=dict, blank=True, help_text="Kind -> mutations that wait on the device, as it said with its last push."
    )
    errors = models.JSONField(default=list, blank=True, help_text="The last mutations that were refused, newest first.")

    def __str__(self) -> str:
        return f"through {self.acked_through}"


class PulledScope(models.Model):
    """Up to which version a device has asked for a scope's changes: it has all that came before."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="pulled_scopes")
    scope = models.CharField(max_length=60)
    version = models.BigIntegerField(default=0)
    pulled_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "scope"], name="one_pull_per_scope")]

    def __str__(self) -> str:
        return f"{self.scope}: {self.version}"
