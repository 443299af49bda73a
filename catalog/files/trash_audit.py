"""Compare the rows of a library's trash with the files that lie in it: for `doctor`, which puts right what it finds."""

from catalog.files import trash_files, trash_leases
from catalog.files.trash_settling import settle
from catalog.models import Library, TrashItem
from catalog.sources.held_root import HeldRoot

__all__ = ["count_abandoned", "items_without_files", "settle"]


def count_abandoned(library: Library) -> int:
    """Return how many photos a process that is gone left on the way into the trash, back, or into another folder."""
    under_way = TrashItem.objects.filter(library=library, state__in=trash_leases.UNDER_WAY)
    return sum(trash_leases.is_abandoned(item) for item in under_way)


def items_without_files(library: Library, held: HeldRoot) -> list[TrashItem]:
    """Return the items that should lie in the trash and do not. Folders that cannot be read are left out."""
    lost = []
    trashed = TrashItem.objects.filter(library=library, state=TrashItem.State.TRASHED)
    for item in trashed.iterator(chunk_size=2000):
        try:
            if not trash_files.lies_in_trash(held.descriptor, item) and trashed.filter(pk=item.pk).exists():
                lost.append(item)
        except OSError:
            continue
    return lost
