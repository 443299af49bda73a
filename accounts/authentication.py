"""Token authentication for the API: `Authorization: Token …` of a device."""

import logging
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user
from django.db import OperationalError, close_old_connections
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from . import schema  # noqa: F401 - describes this class in the API's schema; only a server needs either
from .models import Device, User

logger = logging.getLogger(__name__)
SEEN_EVERY = timedelta(minutes=5)
NOT_VALID = "This token is not, or no longer, valid."


class DeviceTokenAuthentication(TokenAuthentication):
    """Knox's hashed tokens, and a note of when the device was last seen (at most every five minutes)."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return (user, token) or raise 401. One query: the digest is the key, and user and device come along."""
        if not token.isalnum():  # of ASCII: ours are hexadecimal; others are not even looked up
            raise AuthenticationFailed(NOT_VALID)
        digest = hash_token(token.decode("ascii"))
        found = list(AuthToken.objects.filter(digest=digest).select_related("user", "device"))
        if not found or _has_expired(found[0]):
            raise AuthenticationFailed(NOT_VALID)
        user, auth_token = self.validate_user(found[0])
        _note_seen(auth_token)
        return user, auth_token


def _has_expired(token: AuthToken) -> bool:
    """Delete this token if it has expired, and say so; the user's others are not all read for each request."""
    if token.expiry is None or token.expiry > timezone.now():
        return False
    token.delete()
    return True


def _note_seen(token: AuthToken) -> None:
    """Write down when the device was seen, if that is due: even an UPDATE of nothing waits for SQLite's lock."""
    device = getattr(token, "device", None)
    now = timezone.now()
    if device is None or (device.last_seen_at is not None and device.last_seen_at > now - SEEN_EVERY):
        return
    try:
        Device.objects.filter(pk=device.pk).update(last_seen_at=now)
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
