"""Purge photos that are missing: only when the owner says so, and what is back by then stays."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.entries import counts
from catalog.entries.album_items import forget_items
from catalog.history.after_restore import require_settled
from catalog.models import Favourite, FileWrite, HashCache, Library, Photo, PhotoMetadata
from catalog.roots.library_operations import library_operation
from operations.models import Operation
from operations.running import Run, start

KIND = "purge"
BATCH = 500


class CountDiffers(Exception):
    """Another number of photos is missing than the person was told; the text is a sentence, `count` the number now."""

    def __init__(self, count: int, where: str = "missing") -> None:
        photos = "1 photo is" if count == 1 else f"{count:,} photos are"
        super().__init__(
            f"{photos} {where} by now, not as many as were shown. Look again, then say it once more. "
            "Nothing was changed."
        )
        self.count = count


def start_purge(library: Library, user: User, count: int, *, enqueue: bool = True) -> Operation:
    """Start deleting the `count` missing photos of the library from the catalog.

    Raises ScanNeeded after a restore until a scan is done, CountDiffers if that is not how many there are, AlreadyActive
    while the library is scanned or restored.
    """
    require_settled(library)
    missing = Photo.objects.filter(library=library).gone().count()
    if missing != count:
        raise CountDiffers(missing)
    params = {"library": str(library.pk), "before": timezone.now().isoformat()}
    key = library.scan_key  # the scan's own: they exclude each other
    return start(KIND, user, subject=library.name, active_key=key, params=params, enqueue=enqueue)


@library_operation(KIND, label="Purge of missing photos", queue="scan", when_gone="there is nothing to purge")
def run_purge(run: Run, library: Library) -> dict[str, Any]:
    """Delete what was missing when it was asked for. Each batch is a transaction; safe to run again."""
    before = datetime.fromisoformat(run.params["before"])
    missing = Photo.objects.filter(library=library, missing_since__lte=before).gone()
    purged = int(run.operation.checkpoint.get("purged", 0))
    run.phase("Purging missing photos", purged + missing.count(), unit="photos")
    run.advance(purged)
    while True:
        with transaction.atomic():
            photos = list(missing.select_for_update(of=("self",)).order_by("pk")[:BATCH])
            if not photos:
                break
            forget_photos(library, photos)
            purged += len(photos)
            run.advance(len(photos))
            run.checkpoint(stop=False, purged=purged)
        run.raise_if_stopped()
    counts.refresh_counts(library)
    return {"library": str(library.pk), "purged": purged}


def forget_photos(library: Library, photos: list[Photo]) -> None:
    """Delete rows and all that hangs on them; records of exports stay, for what has left has left."""
    if not photos:
        return
    keys = [photo.pk for photo in photos]
    FileWrite.objects.filter(undoes__photo__in=keys).update(undoes=None)
    for rows in (FileWrite, Favourite, PhotoMetadata):
        rows.objects.filter(photo__in=keys).delete()
    forget_items(keys)
    HashCache.objects.filter(library=library, path__in=[photo.path for photo in photos]).delete()
    Photo.objects.filter(pk__in=keys).delete()
    counts.bump_revision(library)
