"""Move photos into the folders of their dates, with what belongs to them; nothing is ever overwritten.

Each file passes through a folder of its own in the library's trash, with a row that says where to: so a process that was
frozen and wakes changes nothing any more, and what a kill left half-way is settled by where the file lies (`trash_settling`).
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.entries import counts
from catalog.files import trash_files
from catalog.files.layouts import folder_of
from catalog.files.trash_leases import Mover, MoverLost
from catalog.files.trash_rows import RootReadOnly, TrashRefused, begin, take_back, writable_root, write_filed
from catalog.files.trash_settling import settle, settle_filing
from catalog.models import FileWrite, Import, Library, Photo, TrashItem
from catalog.roots import trash_folder
from catalog.roots.library_operations import library_operation
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.kinds import Folder
from catalog.sources.placing import open_folder
from operations.models import Operation
from operations.running import OperationFailed, Run, start
from photolala.lib.files import fsync_directory
from photolala.lib.paths import unescape_path

KIND = "filing"
LAYOUTS = [choice for choice in Import.Layout.choices if choice[0] != Import.Layout.KEEP]
BATCH = 50
PATIENCE_SECONDS = 60.0
"""So long a file that is being written is waited for."""
MOST_PROBLEMS = 100


def start_filing(
    library: Library, user: User, photo_ids: Sequence[UUID], layout: str, *, enqueue: bool = True
) -> Operation:
    """Start moving these photos of `library`, which the caller found changeable for `user`, into the folders of their dates."""
    params = {"library": str(library.pk), "photos": [str(key) for key in photo_ids], "layout": layout}
    return start(KIND, user, subject=library.name, params=params, enqueue=enqueue)


def target_of(photo: Photo, layout: str) -> str:
    """Return the folder that the photo belongs into by its date."""
    return folder_of(layout, photo.taken_local if photo.is_dated else None)


@library_operation(KIND, label="Moving into the folders of the dates", queue="files", when_gone="nothing more is moved")
def run_filing(run: Run, library: Library) -> dict[str, Any]:
    """Move them; what lies right already stays. Safe to run again."""
    if not Library.objects.editable_by(run.owner).filter(pk=library.pk).exists():
        raise OperationFailed(
            "Who began this may not change the library any more. What was moved stays.", "not_allowed"
        )
    if library.source != "local":
        raise OperationFailed("Only files in folders of this server are moved. Nothing was moved.", "read_only")
    try:
        settle(library, operation=run.operation.pk)
        with writable_root(library, may_be_empty=True) as held:
            return _file(run, library, held)
    except RootReadOnly:
        raise OperationFailed("The library's folder cannot be written to. Nothing was moved.", "read_only") from None
    except TrashRefused as refused:
        raise OperationFailed(str(refused), "root_unavailable") from None
    except SourceUnavailable as error:
        raise OperationFailed(
            f"{error} What was moved by then is seen to when the folder is there again.", "root_unavailable"
        ) from None


def _file(run: Run, library: Library, held: HeldRoot) -> dict[str, Any]:
    ids = [UUID(key) for key in run.params["photos"]]
    run.phase("Moving files", len(ids), unit="photos")
    filing = Filing(run, library, held, run.params["layout"])
    for start_at in range(0, len(ids), BATCH):
        batch = ids[start_at : start_at + BATCH]
        run.advance(len(batch) - filing.move(batch))
        run.checkpoint(stop=False)
        run.raise_if_stopped()
    filing.move_postponed()
    trash_folder.remove_empty(held.descriptor)
    counts.refresh_counts(library)
    problems = filing.problems
    return {
        "library": str(library.pk),
        "moved": filing.moved,
        "problem_count": len(problems),
        "problems": problems[:MOST_PROBLEMS],
    }


class Filing:
    """Moves the files of one library, whose folder is held open."""

    def __init__(self, run: Run, library: Library, held: HeldRoot, layout: str) -> None:
        self.run, self.library, self.held, self.layout = run, library, held, layout
        self.moved = 0
        self.problems: list[dict[str, str]] = []
        self.postponed: list[UUID] = []
        """Photos whose files were being written."""

    def move_postponed(self) -> None:
        """Move what was being written, as soon as that is done; what is not done in a minute is told."""
        photo_ids, self.postponed = self.postponed, []
        if photo_ids:
            self._wait_for_writers(photo_ids)
            self.move(photo_ids)
        for photo in Photo.objects.filter(pk__in=self.postponed):
            self._note(photo.path, "It is being written just now. File it again later.")

    def move(self, photo_ids: Sequence[UUID]) -> int:
        """Move a batch, each file and then its row; return how many were moved.

        Raises LeaseLost, and SourceUnavailable if the folder went away.
        """
        photos = Photo.objects.filter(library=self.library, pk__in=photo_ids).exclude(state=Photo.State.MISSING)
        wanted = {photo.pk: target_of(photo, self.layout) for photo in photos}
        by_key = {photo.pk: photo for photo in photos if wanted[photo.pk] != photo.directory}
        moved_before = self.moved
        emptied: set[str] = set()
        with Mover(self.run.operation.pk) as mover:
            with transaction.atomic():
                items, _ = begin(self.library, self.run.operation.owner, list(by_key), mover, wanted)
                self.run.checkpoint(stop=False)
            for key in by_key.keys() - {item.photo_id for item in items}:
                self._note(by_key[key].path, "It is being deleted or moved just now.")
            # Both look after they wrote down what they are about to do, so one of them sees the other.
            writing = FileWrite.objects.filter(photo__in=by_key, state=FileWrite.State.WRITING)
            busy = set(writing.values_list("photo", flat=True))
            for item in items:
                if item.photo_id in busy:
                    take_back(item, mover)
            self.postponed += busy
            items = [item for item in items if item.photo_id not in busy]
            folders: dict[str, Folder] = {}
            for item in sorted(items, key=lambda one: (one.directory, one.filename)):
                if self._move_one(item, mover, folders):
                    emptied.add(item.directory)
        for directory in sorted(emptied, key=len, reverse=True):
            self._remove_if_empty(directory)
        return self.moved - moved_before

    def _move_one(self, item: TrashItem, mover: Mover, folders: dict[str, Folder]) -> bool:
        """Move one file; False if it was not, and why is noted then."""
        root = self.held.descriptor
        try:
            try:
                trash_files.move_in(root, item, mover, folders)
                name = trash_files.put_back(root, item, mover, item.target)
            except (OSError, ValueError) as error:
                mover.require(item)
                if settle_filing(self.library, self.held, item, mover):
                    self.moved += 1
                    self.run.advance()
                    return True
                self._note(item.path, f"It could not be moved ({error}).")
                return False
            self.held.verify()
            with transaction.atomic():
                write_filed(self.library, item, item.target, name, mover)
                self.run.advance()
                self.run.checkpoint(stop=False)
            self.moved += 1
        except MoverLost:
            trash_files.remove_folder(root, item)  # if it is empty
            self.run.checkpoint(stop=False)  # another process works on this by now: stop
            self._note(item.path, "Moving it took so long that another process saw to it.")
            return False
        except OSError as error:  # nobody can tell now: it is settled when the disk is well again
            self._note(item.path, f"It could not be moved ({error}).")
            return False
        return True

    def _note(self, path: str, reason: str) -> None:
        self.problems.append({"path": path, "reason": reason})

    def _wait_for_writers(self, photo_ids: Sequence[UUID]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        writing = FileWrite.objects.filter(photo__in=photo_ids, state=FileWrite.State.WRITING)
        while writing.exists() and time.monotonic() < until:
            time.sleep(0.2)

    def _remove_if_empty(self, directory: str) -> None:
        """Remove folders that hold nothing any more, up to the root."""
        while directory:
            above, _, name = directory.rpartition("/")
            with suppress(OSError):
                folder = open_folder(self.held.descriptor, above)
                try:
                    os.rmdir(unescape_path(name), dir_fd=folder)
                    fsync_directory(f"/proc/self/fd/{folder}")
                except OSError:
                    return
                finally:
                    os.close(folder)
            directory = above
