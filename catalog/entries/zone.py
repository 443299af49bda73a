"""A library whose time zone was changed: photos that do not know their offset are read anew by the next scan."""

from django.db import transaction

from catalog.entries import counts
from catalog.entries.folder_comparison import UNREAD
from catalog.models import Library, Photo
from operations.models import Operation, State
from operations.running import Run

ZONE = "time_zone"
"""Where a scan's result, and the checkpoint of one under way, keep the zone that its dates were told in."""


def reread_if_changed(library: Library, run: Run) -> None:
    """Let this scan read again what the last complete one dated in another zone. Once per operation."""
    done = Operation.objects.filter(active_key=library.scan_key, state=State.COMPLETED).order_by("-created_at")
    last = (done.values_list("result", flat=True).first() or {}).get(ZONE)
    if last in (None, library.time_zone) or run.operation.checkpoint.get(ZONE) == library.time_zone:
        return
    with transaction.atomic():
        of_it = Photo.objects.filter(library=library, taken_offset_minutes=None).exclude(state=Photo.State.MISSING)
        of_it.exclude(taken_source="").update(sidecars=UNREAD)
        counts.bump_revision(library)
        run.checkpoint(stop=False, time_zone=library.time_zone)
    run.raise_if_stopped()
