"""Slows down guessing of passwords: failures are counted in the database, and what fails often waits longer and longer.

Counted are the name (whether or not there is such an account) together with the address, the name alone, and the address alone.
A browser or device that signed in before (`accounts.known`) is not held up by the failures of others: only its own count.
"""

import itertools
import logging
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from . import known
from .models import FailedSignIns, User

logger = logging.getLogger(__name__)
TURN_SECONDS = 10.0
BUSY_SECONDS = 5
KEEP = timedelta(days=1)
"""Failures are forgotten when so long none was added."""
MOST_ROWS = 50_000
PRUNE_EVERY = 64
"""The table is pruned at every so many new rows of a process."""
_made = itertools.count()


@dataclass(frozen=True)
class Limit:
    """So many failures are free; then each next try waits twice as long as the one before, up to the longest wait."""

    free: int
    first_seconds: int
    longest_seconds: int

    def wait_after(self, failures: int) -> int:
        """Return how many seconds after the last failure another try is allowed."""
        beyond = failures - self.free
        return min(self.longest_seconds, self.first_seconds * 2 ** min(beyond, 30)) if beyond >= 0 else 0


PER_NAME_AND_ADDRESS = Limit(10, 30, 3600)
PER_NAME = Limit(100, 5, 300)
PER_ADDRESS = Limit(100, 2, 60)
PER_KNOWN_DEVICE = Limit(10, 30, 3600)
PER_OPEN_SESSION = Limit(10, 30, 3600)


class Lane:
    """Few passwords are checked at once, for each takes a core and 100 MB, on purpose; few more wait, for each holds a thread."""

    def __init__(self, checks: int) -> None:
        self.checks = checks
        self._turns = threading.BoundedSemaphore(checks)
        self._places = threading.BoundedSemaphore(checks + max(1, settings.WEB_THREADS // 4))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn. Raises Held if many others do."""
        if not self._places.acquire(blocking=False):
            raise Held(BUSY_SECONDS, is_busy=True)
        try:
            if not self._turns.acquire(timeout=TURN_SECONDS):
                raise Held(BUSY_SECONDS, is_busy=True)
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


class Held(Exception):
    """The password was not looked at; another try is allowed after `wait_seconds`. The text is a sentence."""

    def __init__(self, wait_seconds: int, *, is_busy: bool = False, where: str = "") -> None:
        sentence = (
            "Many people sign in just now. Try again in a moment."
            if is_busy
            else f"Too many wrong passwords{where}. Wait {wait_words(wait_seconds)}, then try again."
        )
        super().__init__(sentence)
        self.wait_seconds, self.is_busy = wait_seconds, is_busy


STRANGERS = Lane(2)
KNOWN = Lane(1)


@dataclass
class Attempt:
    """A try that was counted as a failure before the password was looked at: a process that dies gives no free try."""

    counted_at: datetime
    before: Mapping[str, datetime | None]
    """When the failure before was, by the counters' keys."""
    own_key: str
    has_succeeded: bool = False

    def succeeded(self) -> None:
        """Take the count back; those of this name from this address are forgotten (others may still guess at either)."""
        self.has_succeeded = True
        FailedSignIns.objects.filter(key=self.own_key).delete()
        for key, failed_at in self.before.items():
            if key == self.own_key:
                continue
            row = FailedSignIns.objects.filter(key=key, failures__gt=0)
            row.update(failures=F("failures") - 1)
            if failed_at is not None:
                row.filter(failed_at=self.counted_at).update(failed_at=failed_at)


@contextmanager
def sign_in_attempt(username: str, address: str, secret: str = "") -> Iterator[Attempt]:
    """Let the block check the password of `username`; it calls `succeeded()` on what it gets, else the failure stays counted.

    `secret` is what the browser or device was given when it signed in before (`known.secret_for`). Raises Held.
    """
    limits = limits_of(username, address, known.device_in(secret, unicodedata.normalize("NFKC", username).strip()))
    with _attempt(limits, STRANGERS if len(limits) > 1 else KNOWN) as attempt:
        yield attempt
    if not attempt.has_succeeded:
        logger.info("A sign-in failed, from %s.", address or "a Unix socket")


@contextmanager
def password_attempt(user: User) -> Iterator[Attempt]:
    """Let the block check the password of somebody who is signed in: who found an open browser must not guess on. Raises Held."""
    with _attempt({_key("signed in", str(user.pk)): PER_OPEN_SESSION}, KNOWN) as attempt:
        yield attempt


def limits_of(username: str, address: str, device: str = "") -> dict[str, Limit]:
    """Return the counters of a try with their limits; the first is of this name from this address, or of the known device."""
    name, near = plain_name(username), neighbourhood(address)
    if device:
        return {_key("device", name, device): PER_KNOWN_DEVICE}
    return {
        _key("name and address", name, near): PER_NAME_AND_ADDRESS,
        _key("name", name): PER_NAME,
        _key("address", near): PER_ADDRESS,
    }


def seconds_to_wait(limits: Mapping[str, Limit], rows: Mapping[str, FailedSignIns] | None = None) -> int:
    """Return 0 if another try is allowed, else after how many seconds."""
    rows = FailedSignIns.objects.in_bulk(list(limits)) if rows is None else rows
    now, longest = timezone.now(), 0.0
    for key, limit in limits.items():
        row = rows.get(key)
        if row is None or now - row.failed_at > KEEP:
            continue
        wait = limit.wait_after(row.failures)
        longest = max(longest, min(wait, wait - (now - row.failed_at).total_seconds()))  # a clock may be set back
    return int(-(-longest // 1))


def wait_words(seconds: int) -> str:
    """Return how long that is, for people."""
    if seconds < 120:
        return f"{seconds} seconds" if seconds != 1 else "a second"
    return f"{-(-seconds // 60)} minutes"


def plain_name(username: str) -> str:
    """Return the same text for all spellings that the sign-in form takes for one name."""
    return unicodedata.normalize("NFKC", username).strip().casefold()


def neighbourhood(address: str) -> str:
    """Return what one client cannot change at will: an IPv4 address, or the 64-bit network of an IPv6 address."""
    try:
        here = ip_address(address)
    except ValueError:
        return address
    if not isinstance(here, IPv6Address):
        return str(here)
    return str(here.ipv4_mapped or ip_network((here, 64), strict=False))


@contextmanager
def _attempt(limits: dict[str, Limit], lane: Lane) -> Iterator[Attempt]:
    if wait := seconds_to_wait(limits):  # costs no turn, and no thread that waits for one
        raise Held(wait, where=_where(limits))
    with lane.turn():
        yield _count(limits)


def _count(limits: dict[str, Limit]) -> Attempt:
    """Count a failure in advance, in one transaction with the look at those before: of many tries at once no more are allowed."""
    own_key, keys, now = next(iter(limits)), sorted(limits), timezone.now()
    with transaction.atomic():
        there = set(FailedSignIns.objects.filter(key__in=keys).values_list("key", flat=True))
        new = [FailedSignIns(key=key, failures=0, failed_at=now) for key in keys if key not in there]
        FailedSignIns.objects.bulk_create(new, ignore_conflicts=True)
        locked = FailedSignIns.objects.select_for_update().filter(key__in=keys).order_by("key")
        rows = {row.key: row for row in locked}
        if wait := seconds_to_wait(limits, rows):
            raise Held(wait, where=_where(limits))
        for row in rows.values():
            row.failures = 1 if now - row.failed_at > KEEP else row.failures + 1
            before, row.failed_at = row.failed_at, now
            row.before = before if row.failures > 1 else None
        FailedSignIns.objects.bulk_update(rows.values(), ["failures", "failed_at"])
    if new and next(_made) % PRUNE_EVERY == 0:
        prune()
    return Attempt(now, {key: row.before for key, row in rows.items()}, own_key)


def prune() -> int:
    """Forget what is old, and of too many rows those with the fewest failures: nobody fills the disk or pushes out a heavy count.

    Returns how many rows went.
    """
    gone = FailedSignIns.objects.filter(failed_at__lt=timezone.now() - KEEP).delete()[0]
    excess = FailedSignIns.objects.count() - MOST_ROWS
    if excess <= 0:
        return gone
    with transaction.atomic():
        light = FailedSignIns.objects.select_for_update(skip_locked=True).order_by("failures", "failed_at")
        keys = list(light.values_list("key", flat=True)[: excess + MOST_ROWS // 20])
        for start in range(0, len(keys), 500):
            gone += FailedSignIns.objects.filter(key__in=keys[start : start + 500]).delete()[0]
    return gone


def _where(limits: Mapping[str, Limit]) -> str:
    return " for this name, or from this address" if len(limits) > 1 else ""


def _key(*parts: str) -> str:
    """Return what the table keeps instead of names and addresses."""
    return salted_hmac("accounts.attempts", "\0".join(parts), algorithm="sha256").hexdigest()[:40]
