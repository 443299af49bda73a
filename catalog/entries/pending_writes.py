"""Start the operation that writes what waits into files, and what is due."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.models import FileWrite, Library
from catalog.models.conditions import is_given
from operations.models import Operation
from operations.running import AlreadyActive, start

KIND = "write"
BACK_OFF = [timedelta(minutes=m) for m in (1, 5, 30, 120, 720)]
"""How long a write that met a transient error waits before it is tried again; the last for all further tries."""


def write_key(library: Library) -> str:
    """Return the operations' key: one writer for a library at a time."""
    return f"write:{library.pk}"


def start_writing(library: Library, user: User) -> Operation | None:
    """Let a worker write what is due in `library`; None if one is at it already (it also takes what comes meanwhile)."""
    try:
        return start(
            KIND,
            user,
            subject=library.name,
            active_key=write_key(library),
            params={"library": str(library.pk)},
            unit="files",
        )
    except AlreadyActive:
        return None


def is_due() -> Q:
    """Return the condition that a waiting write may be tried now.

    A time that is further ahead than the longest wait of such a write is one of before the clock was set back, and one that
    was never tried waits for nothing.
    """
    now = timezone.now()
    due = Q(try_at__lte=now) | Q(attempts=0)
    for attempts, wait in enumerate(BACK_OFF, start=1):
        due |= Q(attempts=attempts, try_at__gt=now + wait)
    return due | Q(attempts__gt=len(BACK_OFF), try_at__gt=now + BACK_OFF[-1])


def wait_before(attempts: int) -> timedelta:
    """Return how long to wait after that many tries."""
    return BACK_OFF[min(max(attempts, 1), len(BACK_OFF)) - 1]


def ended_with_leftovers(library: Library) -> QuerySet[FileWrite]:
    """Return the writes that have ended, and whose hidden names may still be there."""
    return FileWrite.objects.filter(is_given("claimed_path"), library=library).exclude(state__in=FileWrite.OPEN)
