"""Room that people have: what is under way is counted before it is there, and two requests at once do not see the same room."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Sum

from accounts.models import User
from catalog.entries.quota import room_for
from catalog.models import Import, ImportItem, Library, Upload


def room_to_send(user: User) -> int:
    """Return how many bytes more `user` may have under way; what is not imported yet counts with its whole length."""
    under_way = Upload.objects.filter(user=user).aggregate(sum=Sum("size_bytes"))["sum"] or 0
    return int(settings.UPLOAD_QUOTA_BYTES - under_way)


def room_of(library: Library) -> int | None:
    """Return how many bytes more the owner's libraries may hold, by what they hold; None without a quota."""
    return room_for(library.owner_id)


def room_to_promise(library: Library) -> int | None:
    """Return how many bytes more may be sent to the owner's libraries: less than `room_of` by what is under way to them."""
    room = room_of(library)
    return None if room is None else room - _sum(_sent_to(library.owner_id)) - _sum(_placing(library.owner_id))


def without_room(wanted: Import, items: Sequence[ImportItem]) -> list[ImportItem]:
    """Return those of the items that are about to be put into the library for which the owner has no room.

    To be called, in `holding(owner)`, in the transaction that says of the others that they are being put there: from then on
    an import into another library of the same owner counts them.
    """
    room = room_of(wanted.library)
    if room is None:
        return []
    mine = [key for key in (wanted.archive, *(item.upload for item in items)) if key is not None]  # reserved for these
    room -= _sum(_sent_to(wanted.library.owner_id).exclude(pk__in=mine))
    room -= _sum(_placing(wanted.library.owner_id).exclude(import_run__library=wanted.library))
    refused = []
    for item in items:
        if item.size_bytes <= room:
            room -= item.size_bytes
        else:
            refused.append(item)
    return refused


def _sent_to(owner_id: Any) -> QuerySet[Upload]:
    """Return the uploads whose bytes will be in the owner's libraries, if all goes well; what was rejected only lies there."""
    rejected = ImportItem.objects.filter(
        import_run=OuterRef("import_run"), upload=OuterRef("pk"), state=ImportItem.State.REJECTED
    )
    in_vain = Import.objects.filter(archive=OuterRef("pk"), library=OuterRef("import_run__library")).exclude(error="")
    return Upload.objects.filter(~Exists(rejected), ~Exists(in_vain), import_run__library__owner=owner_id).order_by()


def _placing(owner_id: Any) -> QuerySet[ImportItem]:
    """Return the files that are being put into the owner's libraries and were not sent, for those are counted as uploads."""
    placing = ImportItem.objects.filter(state=ImportItem.State.PLACING, upload=None)
    return placing.filter(import_run__library__owner=owner_id).order_by()


def _sum(rows: QuerySet[Any]) -> int:
    return int(rows.aggregate(sum=Sum("size_bytes"))["sum"] or 0)
