"""Empty a library's trash: for good, of what was shown, or of what lies there longer than the library says."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.entries import counts
from catalog.entries.row_locks import hold_photos
from catalog.files import trash_files
from catalog.files.leftovers import clear_deleted
from catalog.files.purge import CountDiffers, forget_photos
from catalog.files.trash_leases import UNDER_WAY
from catalog.files.trash_rows import TrashRefused, writable_root
from catalog.files.trash_settling import settle
from catalog.models import Library, Photo, TrashItem
from catalog.roots import trash_folder
from catalog.roots.library_operations import library_operation
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from operations import clock
from operations.models import Operation
from operations.running import AlreadyActive, OperationFailed, Run, start

KIND = "empty_trash"
BATCH = 100
State = TrashItem.State


def start_emptying(library: Library, user: User, count: int, *, enqueue: bool = True) -> Operation:
    """Start deleting the `count` files in the library's trash for good.

    Raises CountDiffers if that is not how many there are, AlreadyActive if it is being done.
    """
    there = TrashItem.objects.filter(library=library, state=State.TRASHED).count()
    if there != count:
        raise CountDiffers(there, "in the trash")
    return _start(library, user, timezone.now(), enqueue=enqueue)


def empty_what_is_due(now: datetime | None = None) -> int:
    """Start emptying, in its owner's name, each library's trash of what lies there longer than the library says.

    Also settles what crashes left half-way. Returns how many were started. For the schedule. The days are those of being
    there, and while the clock is suspect nothing is emptied; give `now` where the time is known.
    """
    for library in Library.objects.filter(trash__state__in=UNDER_WAY).distinct():
        settle(library)
    started = 0
    if now is None and clock.is_suspect():
        return started
    for library in Library.objects.filter(trash_days__gt=0).select_related("owner"):
        before = clock.time_ago(timedelta(days=library.trash_days), now)
        old = TrashItem.objects.filter(
            library=library, state__in=[State.TRASHED, State.DELETING], trashed_at__lte=before
        )
        if old.exists():
            with suppress(AlreadyActive):
                _start(library, library.owner, before)
                started += 1
    return started


def _start(library: Library, user: User, before: datetime, *, enqueue: bool = True) -> Operation:
    params = {"library": str(library.pk), "before": before.isoformat()}
    return start(KIND, user, subject=library.name, active_key=f"trash:{library.pk}", params=params, enqueue=enqueue)


@library_operation(KIND, label="Emptying of the trash", queue="files", when_gone="its trash stays in its folder")
def run_emptying(run: Run, library: Library) -> dict[str, Any]:
    """Delete what was in the trash when it was asked for. Safe to run again."""
    try:
        with writable_root(library) as held:
            return _empty(run, library, held)
    except (TrashRefused, SourceUnavailable) as error:
        raise OperationFailed(str(error), "root_unavailable") from None


def _empty(run: Run, library: Library, held: HeldRoot) -> dict[str, Any]:
    before = datetime.fromisoformat(run.params["before"])
    items = TrashItem.objects.filter(
        library=library, state__in=[State.TRASHED, State.DELETING], trashed_at__lte=before
    ).order_by("pk")
    deleted, freed = (int(run.operation.checkpoint.get(name, 0)) for name in ("deleted", "freed"))
    run.phase("Deleting what is in the trash", deleted + items.count(), unit="photos")
    run.advance(deleted)
    while chosen := list(items.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            # What somebody brings back meanwhile is theirs: only what is "deleting" by now is deleted.
            rows = items.filter(pk__in=chosen).select_for_update(of=("self",)).values_list("pk", flat=True)
            items.filter(pk__in=list(rows)).update(state=State.DELETING)
            run.checkpoint(stop=False)
        batch = list(TrashItem.objects.filter(pk__in=chosen, state=State.DELETING))
        for item in batch:
            run.checkpoint(force=False, stop=False)
            freed += trash_files.delete_files(held.descriptor, item)
        held.verify()
        photos = Photo.objects.filter(
            pk__in=[item.photo_id for item in batch if item.photo_id], state=Photo.State.MISSING
        )
        clear_deleted(library, held, list(photos))
        with transaction.atomic():
            run.checkpoint(stop=False)  # first: whoever took this over has deleted more rows by now
            keys = [item.photo_id for item in batch if item.photo_id]
            hold_photos(keys)
            gone = list(Photo.objects.filter(pk__in=keys, state=Photo.State.MISSING))
            TrashItem.objects.filter(pk__in=[item.pk for item in batch], state=State.DELETING).delete()
            forget_photos(library, gone)
            deleted += len(batch)
            run.advance(len(batch))
            run.checkpoint(stop=False, deleted=deleted, freed=freed)
        run.raise_if_stopped()
    trash_folder.remove_empty(held.descriptor)
    counts.refresh_counts(library)
    return {"library": str(library.pk), "deleted": deleted, "freed_bytes": freed}
