"""Delete photos into their library's trash, and bring them back.

A photo in the trash is a missing one whose file lies in `.photolala.trash/ID/` of the library's root: everything that hangs
on it waits, and if the same content comes back by another way, it is that photo again. What is about to be done to a file
is in its row before, with who does it, so that `settle` can finish it after a crash.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.files import trash_files, trash_rows
from catalog.files.trash_leases import UNDER_WAY, Mover, MoverLost
from catalog.files.trash_rows import TrashRefused, writable_root
from catalog.files.trash_settling import settle, settle_restoring
from catalog.models import Library, Photo, TrashItem
from catalog.roots import trash_folder
from catalog.roots.told import told
from catalog.scanning.requests import request_scan
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.kinds import Folder
from catalog.sources.placing import sync_folder

__all__ = ["MOST_AT_ONCE", "Done", "TrashRefused", "count_earlier", "restore_items", "trash_photos"]

MOST_AT_ONCE = 1_000
BATCH = 100
WRITTEN_EVERY_SECONDS = 2.0
"""On a slow share what was moved is written down so often, before the whole batch is."""
PATIENCE_SECONDS = 10.0
"""So long it is waited for a process that took photos over."""
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

    def note(self, item: TrashItem) -> None:
        """Note that a photo went into the trash."""
        self.count += 1
        self.told.add(item.photo_id)
        self.items.append({"library": str(item.library_id), "id": str(item.pk)})


def trash_photos(user: User, photo_ids: Sequence[UUID]) -> Done:
    """Move the files of these photos into their libraries' trash, with the sidecars that are theirs alone.

    Photos that `user` may not change, that are missing, or whose files cannot be moved are told one by one; nothing
    happens to them. At most 1,000.
    """
    done = Done()
    photos = Photo.objects.editable_by(user).filter(pk__in=list(photo_ids)).select_related("library").order_by("pk")
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
                    with Mover() as mover:
                        Trashing(library, held, mover, done).run(user, own[start_at : start_at + BATCH])
        except TrashRefused as refused:
            for photo in own:
                if photo.pk not in done.told:
                    done.refuse(photo.pk, told(library, user, str(refused)))
    return done


def count_earlier(user: User, done: Done, since: datetime) -> None:
    """Count those as done, not as refused, that `user` put into the trash since then: the same wish, whose process died."""
    refused = {UUID(error["id"]) for error in done.errors}
    own = TrashItem.objects.filter(photo__in=refused, user=user, trashed_at__gte=since, state=State.TRASHED)
    earlier = {
        str(item.photo_id): item for item in own.filter(library__in=Library.objects.editable_by(user).values("pk"))
    }
    done.errors = [error for error in done.errors if error["id"] not in earlier]
    for item in earlier.values():
        done.note(item)


class Trashing:
    """Moves a batch of a library's photos into its trash."""

    def __init__(self, library: Library, held: HeldRoot, mover: Mover, done: Done) -> None:
        self.library, self.held, self.mover, self.done = library, held, mover, done
        self.folders: dict[str, Folder] = {}
        self.moved: list[TrashItem] = []
        self.lost: list[TrashItem] = []
        """Those that another process took over."""

    def run(self, user: User, photos: Sequence[Photo]) -> None:
        """Write down what is about to be done, move the files, and write what was done.

        Raises TrashRefused if the library's folder went away meanwhile. Whatever goes wrong: what is told as not done is put
        back, at the latest when the folder is there again.
        """
        items, missing = trash_rows.begin(self.library, user, [photo.pk for photo in photos], self.mover)
        begun = {item.photo_id for item in items}
        for photo in photos:
            if photo.pk in missing:
                self.done.refuse(photo.pk, "Its file is not there.")
            elif photo.pk not in begun:
                self.done.refuse(photo.pk, "It is being deleted or restored just now.")
        written = time.monotonic()
        try:
            for item in items:
                self._move(item)
                if time.monotonic() - written > WRITTEN_EVERY_SECONDS:
                    self._write()
                    written = time.monotonic()
            self._write()
        except Exception:
            trash_rows.want_back(items, self.mover)
            raise
        trash_rows.want_back(items, self.mover)
        self._look_after_the_lost()

    def _move(self, item: TrashItem) -> None:
        """Move one file into the trash; if it was not, note why."""
        root = self.held.descriptor
        try:
            trash_files.move_in(root, item, self.mover, self.folders)
        except MoverLost:
            trash_files.remove_folder(root, item)  # if it is empty
            self.lost.append(item)
        except (OSError, ValueError) as error:
            try:
                was_moved = self._was_moved(item)
            except MoverLost:
                self.lost.append(item)
            except OSError:  # nobody can tell now: it is put back when the disk is well again
                self.done.refuse(item.photo_id, trash_files.sentence_of(error, item.path))
            else:
                if was_moved:
                    self.moved.append(item)
                else:
                    self.done.refuse(item.photo_id, trash_files.sentence_of(error, item.path))
        else:
            self.moved.append(item)

    def _was_moved(self, item: TrashItem) -> bool:
        """Return whether an error came after the move; if it came before, the item is forgotten. Raises MoverLost, OSError."""
        root = self.held.descriptor
        self.mover.require(item)
        if trash_files.lies_in_trash(root, item):
            return True
        trash_files.remove_folder(root, item)
        trash_rows.take_back(item, self.mover)
        return False

    def _write(self) -> None:
        """Bring the moved files' names to the disk, prove that it is the library's still, and write what was done."""
        moved, self.moved = self.moved, []
        if not moved:
            return
        folders = [trash_folder.folder_of_item(item) for item in moved]
        try:
            for directory in [*folders, trash_folder.FOLDER, *{item.directory for item in moved}]:
                sync_folder(self.held.descriptor, directory)
            self.held.verify()
        except OSError as error:
            for item in moved:
                self.done.refuse(item.photo_id, trash_files.sentence_of(error, item.path))
            return
        except SourceUnavailable as error:
            raise TrashRefused(f"{error}") from None
        written = trash_rows.write_trashed(self.library, moved, self.mover)
        for item in moved:
            if item in written:
                self.done.note(item)
            else:
                self.lost.append(item)

    def _look_after_the_lost(self) -> None:
        """Tell what the process that took photos over did with them, once it is done with it."""
        until = time.monotonic() + PATIENCE_SECONDS
        for item in self.lost:
            row = TrashItem.objects.filter(pk=item.pk)
            while row.filter(state__in=UNDER_WAY).exists() and time.monotonic() < until:
                time.sleep(0.1)
            if row.filter(state=State.TRASHED).exists():
                self.done.note(item)
            else:
                self.done.refuse(item.photo_id, _TAKEN_OVER)


def restore_items(user: User, library: Library, item_ids: Sequence[UUID]) -> Done:
    """Put photos back to where they lay; where another file lies by now, under a name with a number.

    Raises TrashRefused if the library's folder cannot be written to. The caller found that `user` may change it.
    """
    done = Done()
    settle(library)
    with _said_to(library, user), writable_root(library) as held, Mover() as mover:
        restoring = Restoring(library, held, mover, done)
        try:
            restoring.run(item_ids)
        except SourceUnavailable as error:  # what was begun is settled when the folder is there again
            for key in dict.fromkeys(item_ids):
                if key not in done.told:
                    done.refuse(key, told(library, user, f"{error}"))
    if done.count:
        request_scan(library, user)
    return done


@contextmanager
def _said_to(library: Library, user: User) -> Iterator[None]:
    """Refuse in the words that `user` may read."""
    try:
        yield
    except TrashRefused as refused:
        raise type(refused)(told(library, user, str(refused))) from None


def _why_not(library: Library, key: UUID) -> str:
    """Return why an item cannot come back from the trash."""
    state = TrashItem.objects.filter(library=library, pk=key).values_list("state", flat=True).first()
    if state is None:
        return "There is no such photo in the trash of this library."
    if state == State.DELETING:
        return "It is being deleted for good."
    return "It is being deleted or restored just now. Try again in a moment."


class Restoring:
    """Puts photos of a library back from its trash."""

    def __init__(self, library: Library, held: HeldRoot, mover: Mover, done: Done) -> None:
        self.library, self.held, self.mover, self.done = library, held, mover, done
        self.back: list[tuple[TrashItem, str]] = []
        """Items whose files are back, under which name, and no row says so yet."""

    def run(self, item_ids: Sequence[UUID]) -> None:
        """Put them back one by one, and write that down now and then. Raises SourceUnavailable if the folder went away."""
        items = {item.pk: item for item in TrashItem.objects.filter(library=self.library, pk__in=list(item_ids))}
        written = time.monotonic()
        for key in dict.fromkeys(item_ids):
            item = items.get(key)
            if item is None or not trash_rows.begin_restoring(item, self.mover):
                self.done.refuse(key, _why_not(self.library, key))
                continue
            self._put_back(item)
            if len(self.back) >= BATCH or time.monotonic() - written > WRITTEN_EVERY_SECONDS:
                self._write()
                written = time.monotonic()
        self._write()

    def _put_back(self, item: TrashItem) -> None:
        try:
            self.back.append((item, trash_files.put_back(self.held.descriptor, item, self.mover)))
        except MoverLost:
            self.done.refuse(item.pk, _TAKEN_OVER)
        except (OSError, ValueError) as error:
            name = ""
            # Where nobody can tell now, `settle` does it when the disk is well again.
            with suppress(OSError, ValueError, MoverLost):
                name = settle_restoring(self.library, self.held, item, self.mover)
            if name:
                self.done.count += 1
                self.done.told.add(item.pk)
            else:
                self.done.refuse(item.pk, trash_files.sentence_of(error, item.path))

    def _write(self) -> None:
        back, self.back = self.back, []
        if not back:
            return
        self.held.verify()
        written = trash_rows.write_restored(self.library, back, self.mover)
        self.done.count += len(written)
        for item, _ in back:
            if item in written:
                self.done.told.add(item.pk)
            else:
                self.done.refuse(item.pk, _TAKEN_OVER)
