"""Who asks: the device behind a token."""

from typing import Any

from accounts.models import Device

from .refusals import NotThisDevice


def device_of(auth: Any) -> Device | None:
    """Return the device whose token the request carries; None for sessions and tokens of scripts. One query."""
    key = getattr(auth, "pk", None)
    return None if key is None else Device.objects.filter(token_id=key).select_related("user").first()


def require_device(auth: Any, device_id: str) -> Device:
    """Return the device of the token, which says that it is `device_id`. Raises NotThisDevice."""
    device = device_of(auth)
    if device is None:
        raise NotThisDevice(
            "Only a device pushes: sign it in with POST /api/v1/auth/devices/ and send its token.", "no_device"
        )
    if str(device.pk) != device_id:
        raise NotThisDevice(
            "`deviceId` is not the id of the device whose token this is. Send the `id` that signing in gave.",
            "other_device",
        )
    return device
