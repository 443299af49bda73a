"""What a process that died left half-way in the trash: finished, or taken back, by where the files are."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from catalog.entries import counts
from catalog.files import trash_files, trash_returned, trash_rows
from catalog.files.trash_leases import UNDER_WAY, Mover, MoverLost, is_abandoned, of_operation
from catalog.files.trash_rows import TrashRefused, writable_root
from catalog.models import Library, TrashItem
from catalog.roots import trash_folder
from catalog.scanning.requests import request_scan
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.placing import sync_folder

State = TrashItem.State


def settle(library: Library, before: datetime | None = None, operation: UUID | None = None) -> None:
    """Finish, or take back, what was under way when its process died: by where the files lie.

    Taken for dead are processes of this machine that are gone, and those that were not seen at work since `before` (two
    minutes ago), and all movers of earlier claims of `operation`, for its claim is this process's now. Should one wake up,
    it finds that its rows are another's, and stops.
    """
    items = TrashItem.objects.filter(library=library, state__in=UNDER_WAY).select_related("photo")
    earlier = set(items.filter(of_operation(operation)).values_list("pk", flat=True)) if operation else set()
    left = [item for item in items if item.pk in earlier or is_abandoned(item, before)]
    if not left:
        return
    with suppress(TrashRefused), writable_root(library) as held, Mover() as mover:
        settled = [item for item in left if mover.take_over(item) and _settle(library, held, item, mover)]
        if settled:
            counts.refresh_counts(library)


def _settle(library: Library, held: HeldRoot, item: TrashItem, mover: Mover) -> bool:
    """Settle one item; False if nobody can tell now where its file lies."""
    try:
        if item.state == State.RESTORING:
            settle_restoring(library, held, item, mover)
        elif item.state == State.FILING:
            settle_filing(library, held, item, mover)
        else:
            _settle_moving(library, held, item, mover)
    except (OSError, SourceUnavailable, MoverLost):
        return False
    return True


def _settle_moving(library: Library, held: HeldRoot, item: TrashItem, mover: Mover) -> None:
    root = held.descriptor
    if not trash_files.lies_in_trash(root, item):
        trash_files.close_folder(root, item)  # from now on a mover that wakes cannot move anything into it
    if trash_files.lies_in_trash(root, item):
        trash_files.move_sidecars_in(root, item, mover, {})
        sync_folder(root, trash_folder.folder_of_item(item))
        held.verify()
        trash_rows.write_trashed(library, [item], mover)
    else:
        trash_files.require_trace(root, item)
        held.verify()
        trash_rows.take_back(item, mover)  # it was never moved


def settle_restoring(library: Library, held: HeldRoot, item: TrashItem, mover: Mover) -> str:
    """Write down where a photo lies whose way back broke off, and finish it; return its name if it is back, else "".

    The item is this mover's. Raises OSError or SourceUnavailable if that cannot be told, and MoverLost; then nothing was
    changed.
    """
    root = held.descriptor
    if trash_files.lies_in_trash(root, item):
        trash_files.keep_in_trash(root, item, mover)
        held.verify()
        trash_rows.write_kept(item, mover)
        return ""
    name = trash_returned.name_of_restored(root, item)
    if not name:
        trash_files.require_trace(root, item)
    trash_files.sidecars_back(root, item, name or item.filename, mover)
    held.verify()
    if not trash_rows.write_restored(library, [(item, name)], mover):
        raise MoverLost
    request_scan(library, library.owner)
    return name


def settle_filing(library: Library, held: HeldRoot, item: TrashItem, mover: Mover) -> bool:
    """Write down where a photo lies whose way into another folder broke off; return whether it came there.

    One that stopped half-way is put back where it lay. Raises as `settle_restoring` does.
    """
    root = held.descriptor
    if not trash_files.lies_in_trash(root, item):
        trash_files.close_folder(root, item)  # from now on a mover that wakes cannot move anything into it
    if trash_files.lies_in_trash(root, item):
        name = trash_files.put_back(root, item, mover)
        held.verify()
        trash_rows.write_filed(library, item, item.directory, name, mover)
        return False
    if trash_returned.lies_in_target(root, item):
        trash_files.sidecars_back(root, item, item.restored_as, mover, item.target)
        held.verify()
        trash_rows.write_filed(library, item, item.target, item.restored_as, mover)
        return True
    trash_files.require_trace(root, item)
    held.verify()
    trash_rows.take_back(item, mover)
    return False
