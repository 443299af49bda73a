"""Slows down guessing of passwords: failures are counted per user name and address, and per address."""

import hashlib

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

WINDOW_SECONDS = 15 * 60
MOST_FAILURES = 10
MOST_FAILURES_PER_ADDRESS = 100


def client_address(request: HttpRequest) -> str:
    """Return the address of the client: behind our TLS proxy the last one it wrote down, else the connection's."""
    if settings.BEHIND_TLS:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if forwarded:
            return forwarded[:64]
    return request.META.get("REMOTE_ADDR", "")


class SignInThrottle:
    """Failed sign-ins of one user name from one address; ten in 15 minutes, then wait.

    ::

        throttle = SignInThrottle(username, client_address(request))
        if wait := throttle.seconds_to_wait(): ...      # 429, Retry-After: wait
        throttle.failed() or throttle.succeeded()
    """

    def __init__(self, username: str, address: str) -> None:
        self._limits = {
            _key("user", username.casefold(), address): MOST_FAILURES,
            _key("address", address): MOST_FAILURES_PER_ADDRESS,
        }

    def seconds_to_wait(self) -> int:
        """Return 0 if a try is allowed, else after how many seconds the oldest failures are forgotten (at most)."""
        counts = cache.get_many(self._limits)
        blocked = any(counts.get(key, 0) >= most for key, most in self._limits.items())
        return WINDOW_SECONDS if blocked else 0

    def failed(self) -> None:
        """Count a failure; the window begins with the first."""
        for key in self._limits:
            cache.add(key, 0, WINDOW_SECONDS)
            try:
                cache.incr(key)
            except ValueError:  # it ran out in between
                cache.set(key, 1, WINDOW_SECONDS)

    def succeeded(self) -> None:
        """Forget this user's failures from this address (not the address's own: others may still be guessed)."""
        cache.delete(next(iter(self._limits)))


def _key(*parts: str) -> str:
    return "sign-in:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()
