"""Scans that nobody asks for: when a library's own schedule says that it is time."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from catalog.models import Library
from catalog.scanning.requests import start_scan
from operations.models import Operation
from operations.running import AlreadyActive

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def start_due_scans(now: datetime | None = None) -> int:
    """Start a scan, in its owner's name, of every library for which it is time; return how many.

    It is time when the newest scan, however it ended, was asked for longer ago than the library's `scan_every_hours`
    (so a folder that cannot be reached is tried again, but not every minute), when something was put into its folder
    (`scan_wanted_at`) after the newest scan began, or when heads were compared longer ago
    than its `verify_every_days`; then the scan compares them.
    """
    now = now or timezone.now()
    # What was noted before the clock was set back would else ask for a scan every minute until that time comes again.
    Library.objects.filter(scan_wanted_at__gt=now).update(scan_wanted_at=now)
    started = 0
    for library in Library.objects.exclude(source="device").filter(owner__is_active=True).select_related("owner"):
        verifies = _is_verification_due(library, now)
        if not (verifies or _is_scan_due(library, now)):
            continue
        try:
            start_scan(library, library.owner, verify_heads=verifies)
        except AlreadyActive:
            continue  # the next minute asks again
        started += 1
    return started


def _is_scan_due(library: Library, now: datetime) -> bool:
    if library.scan_wanted_at and _last_asked(library, now) < library.scan_wanted_at:
        return True
    if not library.scan_every_hours:
        return False
    newest = max(_last_asked(library, now), _unless_ahead(library.scanned_at, now) or _made(library, now))
    return newest <= now - timedelta(hours=library.scan_every_hours)


def _is_verification_due(library: Library, now: datetime) -> bool:
    """A library that was never compared was read in full when it was made."""
    if not library.verify_every_days:
        return False
    is_time = (_unless_ahead(library.verified_at, now) or _made(library, now)) <= now - timedelta(
        days=library.verify_every_days
    )
    # One that failed or was cancelled is not asked for again every minute.
    return is_time and _last_asked(library, now, params__verify_heads=True) <= now - timedelta(days=1)


def _unless_ahead(moment: datetime | None, now: datetime) -> datetime | None:
    """Return the moment, but for one in the future: it was noted before the clock was set back, and says nothing."""
    return moment if moment is None or moment <= now else None


def _last_asked(library: Library, now: datetime, **which: bool) -> datetime:
    """Return when the newest of these scans was asked for (by now), or when the library was made."""
    scans = Operation.objects.filter(active_key=library.scan_key, kind="scan", created_at__lte=now, **which)
    return scans.order_by("-created_at").values_list("created_at", flat=True).first() or _made(library, now)


def _made(library: Library, now: datetime) -> datetime:
    return _unless_ahead(library.created_at, now) or LONG_AGO
