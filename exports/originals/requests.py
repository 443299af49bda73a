"""Ask for an export of originals, or for its records from what is there; who may do so is the caller's to check."""

from functools import reduce

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from catalog.models import Library
from catalog.roots.told import THE_FOLDER
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from operations.models import Operation, State
from operations.running import Words, start, words_for_owners
from photolala.lib.hiding import hide_folder

KINDS_OF_DESTINATIONS = ("export_folder", "export_selection", "rebuild_records", "verify_destination")
EXPORTS = ("export_folder", "export_selection")


def start_folder_export(
    user: User, library: Library, destination: ExportDestination, *, enqueue: bool = True
) -> Operation:
    """Start the export of a library's originals to the destination. Raises AlreadyActive (with the operation)."""
    with transaction.atomic():
        operation = start(
            "export_folder",
            user,
            subject=f"{library.name} to {destination.name}",
            active_key=destination.active_key,
            params={"library": str(library.pk), "destination": str(destination.pk)},
            enqueue=enqueue,
        )
        destination.libraries.add(library)
        exports_again(destination)
    return operation


def exports_again(destination: ExportDestination) -> None:
    """Note that an export to the destination can begin again."""
    refused = ExportDestination.objects.filter(pk=destination.pk).exclude(refusal="")
    refused.update(refusal="", refused_at=None)


def start_rebuild(
    user: User, library: Library, destination: ExportDestination, *, apply: bool, enqueue: bool = True
) -> Operation:
    """Start finding out which of a library's photos the copies in the destination are; with `apply` record them.

    Raises ExportRefused for a bucket, AlreadyActive (with the operation) while other work on the destination is under way.
    """
    if destination.is_bucket:
        raise ExportRefused(
            "The server keeps the records of a destination in a bucket: there is nothing to rebuild. An export finds what is "
            "there by itself. Nothing was started."
        )
    return start(
        "rebuild_records",
        user,
        subject=f"{library.name} in {destination.name}",
        active_key=destination.active_key,
        params={"library": str(library.pk), "destination": str(destination.pk), "apply": apply},
        enqueue=enqueue,
    )


def last_rebuild(destination: ExportDestination) -> Operation | None:
    """Return the last rebuild of the destination's records that came to its end, with its result; None if there was none."""
    rebuilds = Operation.objects.filter(owner=destination.owner_id, kind="rebuild_records", state=State.COMPLETED)
    return rebuilds.filter(params__destination=str(destination.pk)).order_by("-created_at").first()


def runs_to(destination: ExportDestination, user: User) -> QuerySet[Operation]:
    """Return the exports to a destination of `user`, without their details, newest first."""
    runs = Operation.objects.visible_to(user).filter(kind__in=EXPORTS, params__destination=str(destination.pk))
    return runs.defer("checkpoint", "error_detail").order_by("-created_at", "id")


@words_for_owners
def words_of_destination(operation: Operation) -> Words | None:
    """Return how to say what an operation on a destination says of other people's libraries that were exported to it."""
    if operation.kind not in KINDS_OF_DESTINATIONS:
        return None
    destination = ExportDestination.objects.filter(pk=operation.params.get("destination")).first()
    if destination is None:
        return None
    foreign = destination.all_libraries.exclude(owner=operation.owner_id)
    roots = sorted(foreign.values_list("root", flat=True), key=len, reverse=True)  # the inner one first
    return lambda value: reduce(lambda hidden, root: hide_folder(hidden, root, THE_FOLDER), roots, value)
