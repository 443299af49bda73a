"""Delete photos into their library's trash, and bring them back.

A photo in the trash is a missing one whose file lies in `.photolala.trash/ID/` of the library's root: everything that hangs
on it waits, and if the same content comes back by another way, it is that photo again. What is about to be done to a file
is in its row before, with who does it, so that `settle` can finish it after a crash.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from catalog.media.kinds import Folder
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.placing import sync_folder

from . import publishing, trash_files, trash_rows
from .libraries import want_scan
from .models import Library, Photo, TrashItem
from .ratings import changeable
from .trash_movers import Mover, MoverLost
from .trash_rows import TrashRefused, settle, writable_root

MOST_AT_ONCE = 1_000
BATCH = 100
WRITTEN_EVERY_SECONDS = 2.0
"""On a slow share what was moved is written down so often, before the whole batch is."""
State = TrashItem.State
_TAKEN_OVER = "Moving this file took so long that another process saw to it. Look whether it is in the trash."


@dataclass
class Done:
    """How many photos it was done to, and why not to the others."""

    count: int = 0
    errors: list[dict[str, str]] = field(default_factory=list)
    items: list[dict[str, str]] = field(default_factory=list)
    """Of what went into the trash: `library` and `id` there, to take it back."""
    told: set[Any] = field(default_factory=set)
    """Those of which it is known what became of them."""

    def refuse(self, key: Any, sentence: str) -> None:
        """Note why it was not done to one."""
        self.errors.append({"id": str(key), "error": sentence})
        self.told.add(key)


def trash_photos(user: Any, photo_ids: Sequence[UUID]) -> Done:
    """Move the files of these photos into their libraries' trash, with the sidecars that are theirs alone.

    Photos that `user` may not change, that are missing, or whose files cannot be moved are told one by one; nothing
    happens to them. At most 1,000.
    """
    done = Done()
    photos = Photo.objects.filter(changeable(user), pk__in=list(photo_ids)).select_related("library").order_by("pk")
    by_library: dict[UUID, list[Photo]] = {}
    for photo in photos:
        by_library.setdefault(photo.library_id, []).append(photo)
    found = {photo.pk for own in by_library.values() for photo in own}
    for key in dict.fromkeys(photo_ids):
        if key not in found:
            done.refuse(key, "There is no such photo that you may change.")
    for own in by_library.values():
        library = own[0].library
        settle(library)
        try:
            with writable_root(library) as held:
                for start_at in range(0, len(own), BATCH):
                    _trash(library, held, user, own[start_at : start_at + BATCH], done)
        except TrashRefused as refused:
            for photo in own:
                if photo.pk not in done.told:
                    done.refuse(photo.pk, str(refused))
        publishing.refresh_counts(library)
    return done


def _trash(library: Library, held: HeldRoot, user: Any, photos: list[Photo], done: Done) -> None:
    """Write down what is about to be done to a batch, move the files, and write what was done.

    Raises TrashRefused if the library's folder went away meanwhile. What was not written down by then is settled when it
    is there again.
    """
    with Mover() as mover:
        items, missing = trash_rows.begin(library, user, [photo.pk for photo in photos], mover)
        begun = {item.photo_id for item in items}
        for photo in photos:
            if photo.pk in missing:
                done.refuse(photo.pk, "Its file is not there.")
            elif photo.pk not in begun:
                done.refuse(photo.pk, "It is being deleted or restored just now.")
        folders: dict[str, Folder] = {}
        moved: list[TrashItem] = []
        written = time.monotonic()
        for item in items:
            if _move_in(held, item, mover, folders, done):
                moved.append(item)
            if moved and time.monotonic() - written > WRITTEN_EVERY_SECONDS:
                _write_trashed(library, held, moved, mover, done)
                moved, written = [], time.monotonic()
        _write_trashed(library, held, moved, mover, done)


def _move_in(held: HeldRoot, item: TrashItem, mover: Mover, folders: dict[str, Folder], done: Done) -> bool:
    """Move one file into the trash; False if it was not, and why is noted then."""
    root = held.descriptor
    try:
        trash_files.move_in(root, item, mover, folders)
    except MoverLost:
        trash_files.remove_folder(root, item)  # if it is empty
        done.refuse(item.photo_id, _TAKEN_OVER)
        return False
    except (OSError, ValueError) as error:
        sentence = trash_files.sentence_of(error, item.path)
        try:
            if _was_moved(root, item, mover):
                return True
        except MoverLost:
            sentence = _TAKEN_OVER
        except OSError:
            pass  # nobody can tell now: `settle` does it when the disk is well again
        done.refuse(item.photo_id, sentence)
        return False
    return True


def _was_moved(root: int, item: TrashItem, mover: Mover) -> bool:
    """Return whether an error came after the move; if it came before, the item is forgotten. Raises MoverLost, OSError."""
    mover.require(item)
    if trash_files.lies_in_trash(root, item):
        return True
    trash_files.remove_folder(root, item)
    trash_rows.take_back(item, mover)
    return False


def _write_trashed(library: Library, held: HeldRoot, moved: list[TrashItem], mover: Mover, done: Done) -> None:
    """Bring the moved files' names to the disk, prove that it is the library's still, and write what was done.

    Raises TrashRefused if it is not.
    """
    if not moved:
        return
    folders = [trash_files.folder_of_item(item) for item in moved]
    try:
        for directory in [*folders, trash_files.FOLDER, *{item.directory for item in moved}]:
            sync_folder(held.descriptor, directory)
        held.verify()
    except OSError as error:
        for item in moved:
            done.refuse(item.photo_id, trash_files.sentence_of(error, item.path))
        return
    except SourceUnavailable as error:
        raise TrashRefused(f"{error}") from None
    written = trash_rows.write_trashed(library, moved, mover)
    for item in moved:
        if item not in written:
            done.refuse(item.photo_id, _TAKEN_OVER)
    done.told |= {item.photo_id for item in written}
    done.count += len(written)
    done.items += [{"library": str(library.pk), "id": str(item.pk)} for item in written]


def restore_items(user: Any, library: Library, item_ids: Sequence[UUID]) -> Done:
    """Put photos back to where they lay; where another file lies by now, under a name with a number.

    Raises TrashRefused if the library's folder cannot be written to. The caller found that `user` may change it.
    """
    done = Done()
    settle(library)
    with writable_root(library) as held, Mover() as mover:
        items = {item.pk: item for item in TrashItem.objects.filter(library=library, pk__in=list(item_ids))}
        for key in dict.fromkeys(item_ids):
            item = items.get(key)
            if item is None or not trash_rows.begin_restoring(item, mover):
                done.refuse(key, _why_not(library, key))
            else:
                try:
                    done.count += _restore(library, held, item, mover, done)
                except SourceUnavailable as error:  # what was begun is settled when the folder is there again
                    for left in item_ids:
                        if left not in done.told:
                            done.refuse(left, f"{error}")
                    break
    if done.count:
        publishing.refresh_counts(library)
        want_scan(library, user)
    return done


def _why_not(library: Library, key: UUID) -> str:
    """Return why an item cannot come back from the trash."""
    state = TrashItem.objects.filter(library=library, pk=key).values_list("state", flat=True).first()
    if state is None:
        return "There is no such photo in the trash of this library."
    if state == State.DELETING:
        return "It is being deleted for good."
    return "It is being deleted or restored just now. Try again in a moment."


def _restore(library: Library, held: HeldRoot, item: TrashItem, mover: Mover, done: Done) -> bool:
    """Put one photo back; False if it was not, and why is noted then. Raises SourceUnavailable if the folder went away."""
    try:
        name = trash_files.put_back(held.descriptor, item, mover)
        held.verify()
        trash_rows.write_restored(library, item, name, mover)
    except MoverLost:
        done.refuse(item.pk, _TAKEN_OVER)
        return False
    except (OSError, ValueError) as error:
        # Where nobody can tell now, `settle` does it when the disk is well again.
        with suppress(OSError, ValueError, MoverLost):
            if trash_rows.settle_restoring(library, held, item, mover):
                done.told.add(item.pk)
                return True
        done.refuse(item.pk, trash_files.sentence_of(error, item.path))
        return False
    done.told.add(item.pk)
    return True
