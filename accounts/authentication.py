"""Token authentication for the API: `Authorization: Token …` of a device."""

import logging
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user
from django.db import OperationalError, close_old_connections
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from . import schema  # noqa: F401 - describes this class in the API's schema; only a server needs either
from .models import Device, User

logger = logging.getLogger(__name__)
SEEN_EVERY = timedelta(minutes=5)


class DeviceTokenAuthentication(TokenAuthentication):
    """Knox's hashed tokens, and a note of when the device was last seen (at most every five minutes)."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return (user, token) or raise 401."""
        if not token.isalnum():  # of ASCII: ours are hexadecimal; others are not even looked up
            raise AuthenticationFailed("This token is not, or no longer, valid.")
        user, auth_token = super().authenticate_credentials(token)
        _note_seen(auth_token)
        return user, auth_token

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Delete this token if it has expired, and say so; the user's others are not all read for each request."""
        if auth_token.expiry is None or auth_token.expiry > timezone.now():
            return False
        auth_token.delete()
        return True


def _note_seen(token: Any) -> None:
    """Write down when the device was seen; looked up first, because even an UPDATE of nothing waits for SQLite's lock."""
    now = timezone.now()
    due = Device.objects.filter(token=token).exclude(last_seen_at__gt=now - SEEN_EVERY)
    try:
        if due.exists():
            due.update(last_seen_at=now)
    except OperationalError:  # a long transaction holds the lock: the note is not worth the answer
        logger.warning("It could not be noted that a device was seen.", exc_info=True)


def person_behind(request: HttpRequest) -> User | None:
    """Return the active user behind the token or the session of a long request, asked for anew: it may have ended meanwhile."""
    close_old_connections()
    if request.headers.get("Authorization"):
        try:
            found = DeviceTokenAuthentication().authenticate(Request(request))
        except APIException:
            return None
        user = found[0] if found else None
    else:
        request.session = type(request.session)(request.session.session_key)  # as it is now
        user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None
