"""Slows down guessing of passwords: failures are counted per user name and address, and per address."""

import hashlib
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network

from django.core.cache import cache

WINDOW_SECONDS = 15 * 60
MOST_FAILURES = 10
MOST_FAILURES_PER_ADDRESS = 100
MOST_CHECKS = 2  # at once: each takes a core and 100 MB, on purpose
TURN_SECONDS = 10.0
BUSY_SECONDS = 5
_CHECKS = threading.BoundedSemaphore(MOST_CHECKS)


class SignInThrottle:
    """Failed sign-ins of one user name from one address; ten in 15 minutes, then wait.

    ::

        throttle = SignInThrottle(username, client_address(request))
        with throttle.turn() as wait:
            if wait: ...                                    # 429, Retry-After: wait
            throttle.failed() or throttle.succeeded()
    """

    def __init__(self, username: str, address: str) -> None:
        self._limits = {
            _key("user", _plain_name(username), _neighbourhood(address)): MOST_FAILURES,
            _key("address", _neighbourhood(address)): MOST_FAILURES_PER_ADDRESS,
        }

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait until few others check passwords; give 0 if this one may be checked, else the seconds to wait.

        The failures are read in one's turn: many tries at once are not more tries than allowed.
        """
        if not _CHECKS.acquire(timeout=TURN_SECONDS):
            yield BUSY_SECONDS
            return
        try:
            yield self.seconds_to_wait()
        finally:
            _CHECKS.release()

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


def _plain_name(username: str) -> str:
    """Return the same text for all spellings that the sign-in form takes for one name."""
    return unicodedata.normalize("NFKC", username).strip().casefold()


def _neighbourhood(address: str) -> str:
    """Return what one client cannot change at will: an IPv4 address, or the 64-bit network of an IPv6 address."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    return str(known.ipv4_mapped or ip_network((known, 64), strict=False))


def _key(*parts: str) -> str:
    return "sign-in:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()
