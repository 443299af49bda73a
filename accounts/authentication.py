"""Token authentication for the API: `Authorization: Token …` of a device."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from .models import Device

SEEN_EVERY = timedelta(minutes=5)


class DeviceTokenAuthentication(TokenAuthentication):
    """Knox's hashed tokens, and a note of when the device was last seen (at most every five minutes)."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return (user, token) or raise 401."""
        if not token.isalnum():  # of ASCII: ours are hexadecimal; others are not even looked up
            raise AuthenticationFailed("This token is not, or no longer, valid.")
        user, auth_token = super().authenticate_credentials(token)
        now = timezone.now()
        Device.objects.filter(token=auth_token).exclude(last_seen_at__gt=now - SEEN_EVERY).update(last_seen_at=now)
        return user, auth_token
