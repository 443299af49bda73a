"""Ask for an export of originals; who may do so is the caller's to check."""

from functools import reduce

from django.db import transaction

from accounts.models import User
from catalog.models import Library
from catalog.roots.told import THE_FOLDER
from exports.models import ExportDestination
from operations.models import Operation
from operations.running import Words, start, words_for_owners
from photolala.lib.hiding import hide_folder

KINDS_OF_DESTINATIONS = ("export_folder", "verify_destination")


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
    return operation


@words_for_owners
def words_of_destination(operation: Operation) -> Words | None:
    """Return how to say what an operation on a destination says of other people's libraries that were exported to it."""
    if operation.kind not in KINDS_OF_DESTINATIONS:
        return None
    destination = ExportDestination.objects.filter(pk=operation.params.get("destination")).first()
    if destination is None:
        return None
    foreign = destination.libraries.exclude(owner=operation.owner_id)
    roots = sorted(foreign.values_list("root", flat=True), key=len, reverse=True)  # the inner one first
    return lambda value: reduce(lambda hidden, root: hide_folder(hidden, root, THE_FOLDER), roots, value)
