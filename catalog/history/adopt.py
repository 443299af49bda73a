"""Adopt the catalog snapshot found in a new library's folder: untrusted input, verified row by row."""

import logging
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.cache.working import working_folder
from catalog.entries.folder_comparison import UNREAD, doubted
from catalog.history.switch import switch_to
from catalog.models import Library, Photo
from catalog.roots.snapshot_locations import root_location
from catalog.snapshots.choose import Choice, choose_snapshot
from catalog.snapshots.location import Location, Nowhere
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import SnapshotUnusable
from operations.models import Operation
from operations.running import Run

logger = logging.getLogger(__name__)
_COUNTED = "seeded"


@dataclass(frozen=True, slots=True)
class FoundCatalog:
    """What the catalog in a folder says of itself: the library's id, None if that is none, and how many entries it has."""

    library_id: UUID | None
    entry_count: int


def find_catalog(root: Location) -> FoundCatalog | None:
    """Return what the folder's catalog says of itself; None if there is none that can be used. A damaged one is set aside.

    Only the folder is asked: what the cache knows of it may be what somebody else had there once.
    """
    try:
        if read_pointer(root) is None:
            return None
        with working_folder("brought-along") as folder:
            choice = choose_snapshot(root, Nowhere(), folder)
            if choice.snapshot is None:
                return None
            with closing(choice.snapshot) as snapshot:
                return FoundCatalog(_uuid(snapshot.header.library_id), snapshot.entry_count)
    except OSError as error:
        logger.warning("The catalog in %s cannot be looked at: %s", root.label, error)
        return None


def free_id(found: FoundCatalog | None, user: User) -> UUID | None:
    """Return the id that the library has elsewhere, if no library of this server has it, and none of somebody else's had."""
    key = found.library_id if found else None
    if key is None or Library.objects.filter(pk=key).exists():
        return None
    # What others did with a forgotten library is found under its id, and is not the new owner's to see.
    of_others = Operation.objects.filter(active_key=Library(pk=key).scan_key).exclude(owner=user)
    return None if of_others.exists() else key


def adopt_if_new(library: Library, run: Run) -> int:
    """Let a library that was never scanned begin with the catalog found in its folder; return how many entries that has.

    Safe to run again: once it has photos, nothing is done. All entries are read anew by the scan that follows.
    """
    done = int(run.operation.checkpoint.get(_COUNTED, 0))
    if done or library.scanned_at or library.snapshot_md5 or Photo.objects.filter(library=library).exists():
        return done
    root = root_location(library)
    if root is None:
        return 0
    with working_folder(f"seed-{run.token}") as folder:
        choice = choose_snapshot(root, Nowhere(), folder)
        if choice.snapshot is None:
            return 0
        run.phase("Adopting the catalog found in the folder", choice.snapshot.entry_count, unit="entries")
        with closing(choice.snapshot) as snapshot:
            try:
                switch_to(library, snapshot, folder, run)
            except SnapshotUnusable as error:
                logger.warning("Library %s: the catalog in its folder was not used: %s", library.pk, error)
                return 0
            _say(library, choice)
            with transaction.atomic():
                # Read anew, but not called changed where the head is the one that the catalog names.
                Photo.objects.filter(library=library, sidecars=UNREAD).update(sidecars=doubted(""))
                run.checkpoint(stop=False, seeded=snapshot.entry_count)
            run.raise_if_stopped()
            return snapshot.entry_count


def _say(library: Library, choice: Choice) -> None:
    header = choice.snapshot.header if choice.snapshot else None
    if header and header.library_id != str(library.pk):
        logger.info("Library %s was opened from a catalog of library %s.", library.pk, header.library_id)
    for note in choice.notes:
        logger.info("Library %s: %s", library.pk, note)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
