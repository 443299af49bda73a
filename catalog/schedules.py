"""Scans that nobody asks for: when a library's own schedule says that it is time."""

from datetime import datetime, timedelta

from django.utils import timezone

from operations.models import Operation
from operations.running import AlreadyActive

from .libraries import start_scan
from .models import Library


def start_due_scans(now: datetime | None = None) -> int:
    """Start a scan, in its owner's name, of every library for which it is time; return how many.

    It is time when the newest scan, however it ended, was asked for longer ago than the library's `scan_every_hours`
    (so a folder that cannot be reached is tried again, but not every minute), when something was put into its folder
    (`scan_wanted_at`) after the newest scan began, or when heads were compared longer ago
    than its `verify_every_days`; then the scan compares them.
    """
    now = now or timezone.now()
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
    if library.scan_wanted_at and _last_asked(library) < library.scan_wanted_at:
        return True
    if not library.scan_every_hours:
        return False
    newest = max(_last_asked(library), library.scanned_at or library.created_at)
    return newest <= now - timedelta(hours=library.scan_every_hours)


def _is_verification_due(library: Library, now: datetime) -> bool:
    """A library that was never compared was read in full when it was made."""
    if not library.verify_every_days:
        return False
    is_time = (library.verified_at or library.created_at) <= now - timedelta(days=library.verify_every_days)
    # One that failed or was cancelled is not asked for again every minute.
    return is_time and _last_asked(library, params__verify_heads=True) <= now - timedelta(days=1)


def _last_asked(library: Library, **which: bool) -> datetime:
    """Return when the newest of these scans was asked for, or when the library was made."""
    scans = Operation.objects.filter(active_key=library.scan_key, kind="scan", **which)
    return scans.order_by("-created_at").values_list("created_at", flat=True).first() or library.created_at
