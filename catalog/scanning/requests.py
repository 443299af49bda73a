"""Ask for a scan, now or after the one under way; what became of the last ones."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from catalog.models import Library
from operations.models import ACTIVE, Operation, State
from operations.running import AlreadyActive, start

SOURCE_TROUBLES = ("confirm_gone", "root_unavailable")


def last_scans(libraries: Sequence[Library]) -> dict[str, Operation]:
    """Return by `scan_key` what waits, runs or stopped at each library's root and was not superseded. One query."""
    keys = [library.scan_key for library in libraries]
    stopped = Q(state=State.FAILED, superseded=False, kind="scan", error_code__in=SOURCE_TROUBLES)
    wanted = Operation.objects.filter(Q(state__in=ACTIVE) | stopped, active_key__in=keys)
    return {row.active_key: row for row in wanted.defer("checkpoint", "error_detail")} if keys else {}


def stopped_json(library: Library, operation: Operation | None, role: str) -> dict[str, Any] | None:
    """Return why the last scan of the library stopped at its root, or None if it did not.

    Where that is, only the owner is told.
    """
    if operation is None or operation.state != State.FAILED:
        return None
    gone, known = operation.result.get("gone"), operation.result.get("known")
    if role == "owner":
        sentence = operation.error
    elif operation.error_code == "root_unavailable":
        sentence = "The library's folder could not be reached. Nothing was changed."
    elif gone:
        verb = "is" if gone == 1 else "are"
        sentence = f"{gone:,} of {known or 0:,} photos {verb} gone from the library's folder. Nothing was changed."
    else:
        sentence = "The library's folder does not look like the one that was scanned. Nothing was changed."
    return {
        "code": operation.error_code,
        "sentence": sentence,
        "gone": gone,
        "known": known,
        "at": operation.updated_at,
    }


def start_scan(library: Library, user: User, **params: bool) -> Operation:
    """Start a scan for `user`; a worker does it. Raises AlreadyActive (with the operation) if one is under way.

    `params`: `confirm_gone`, `verify_heads`, or `only_failed`, which tries the broken and damaged files again, alone.
    """
    return start(
        "scan",
        user,
        subject=library.name,
        active_key=library.scan_key,
        params={"library": str(library.pk), **{name: True for name, is_asked in params.items() if is_asked}},
    )


def request_scan(library: Library, user: User) -> Operation | None:
    """See to it that a scan of `library` begins after this moment: now, or when the one under way is done (then None)."""
    Library.objects.filter(pk=library.pk).update(scan_wanted_at=timezone.now())
    try:
        return start_scan(library, user)
    except AlreadyActive:
        return None
