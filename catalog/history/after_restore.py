"""Between a restore and the scan that follows it: photos that the restored catalog does not have are not gone yet."""

from datetime import datetime

from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from operations.models import Operation, State

RESTORE = "restore"
_WALKS = ("scan", "rebuild")
_MOST_LOOKED_AT = 50


class ScanNeeded(Exception):
    """The files are still to be compared with a restored catalog; the text is a sentence."""


def unsettled_since(library: Library) -> datetime | None:
    """Return when the restore was asked for after which no scan came to its end yet; None if there is none."""
    done = Operation.objects.filter(active_key=library.scan_key, kind__in=(RESTORE, *_WALKS)).order_by("-created_at")
    for operation in done[:_MOST_LOOKED_AT]:
        if operation.kind == RESTORE and operation.checkpoint.get("switched"):
            return operation.created_at
        if operation.kind in _WALKS and operation.state == State.COMPLETED and not operation.params.get("only_failed"):
            return None
    return None


def not_in_restored(library: Library, since: datetime) -> PhotoQuerySet:
    """Return the photos that the catalog restored by that restore does not have: their files may well be there."""
    return Photo.objects.filter(library=library, missing_since=since).gone()


def require_settled(library: Library) -> None:
    """Raise ScanNeeded while nobody has looked which files are there."""
    since = unsettled_since(library)
    if since is not None:
        count = not_in_restored(library, since).count()
        photos = "1 photo is" if count == 1 else f"{count:,} photos are"
        raise ScanNeeded(
            f"The catalog was restored, and {photos} not in it. Whether their files are there is what the scan "
            "that follows looks at. Wait until it is done, or start one. Nothing was changed."
        )
