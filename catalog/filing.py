"""Move photos into the folders of their dates, with what belongs to them; nothing is ever overwritten.

A kill between the move of a file and its row costs nothing: the next scan finds the same content elsewhere and follows it.
"""

import os
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from catalog.media.kinds import Folder
from catalog.sources.base import SourceUnavailable
from catalog.sources.placing import move_between, numbered, open_folder
from operations.models import Operation
from operations.running import OperationFailed, Run, operation_kind, start
from photolala.lib.files import fsync_directory
from photolala.lib.paths import escape_path, unescape_path

from . import publishing
from .dates import Planned
from .layouts import folder_of
from .models import FileWrite, HashCache, Import, Library, Photo
from .source_for import source_for

KIND = "filing"
LAYOUTS = [choice for choice in Import.Layout.choices if choice[0] != Import.Layout.KEEP]
BATCH = 50
PATIENCE_SECONDS = 60.0
"""So long a file that is being written is waited for."""
MOST_NUMBERS = 10_000
MOST_PROBLEMS = 100


def start_filing(
    library: Library, user: Any, photo_ids: Sequence[UUID], layout: str, *, ring: bool = True
) -> Operation:
    """Start moving these photos of `library`, which the caller found changeable for `user`, into the folders of their dates."""
    params = {"library": str(library.pk), "photos": [str(key) for key in photo_ids], "layout": layout}
    return start(KIND, user, subject=library.name, params=params, ring=ring)


def file_all(user: Any, planned: Sequence[Planned], layout: str) -> int:
    """Start moving all that got a new date, library by library; return how many photos that concerns."""
    by_library: dict[UUID, list[Photo]] = {}
    for one in planned:
        if not one.problem and one.photo.library.source == "local":
            by_library.setdefault(one.photo.library_id, []).append(one.photo)
    for photos in by_library.values():
        start_filing(photos[0].library, user, [photo.pk for photo in photos], layout)
    return sum(len(photos) for photos in by_library.values())


def target_of(photo: Photo, layout: str) -> str:
    """Return the folder that the photo belongs into by its date."""
    return folder_of(layout, photo.taken_local if photo.is_dated else None)


@operation_kind(KIND, label="Moving into the folders of the dates", queue="files")
def run_filing(run: Run) -> dict[str, Any]:
    """Move them; what lies right already stays. Safe to run again."""
    library = Library.objects.filter(pk=run.params["library"]).first()
    if library is None:
        raise OperationFailed("The library was forgotten meanwhile; nothing more is moved.", "library_gone")
    if not Library.objects.editable_by(run.owner).filter(pk=library.pk).exists():
        raise OperationFailed(
            "Who began this may not change the library any more. What was moved stays.", "not_allowed"
        )
    with closing(source_for(library)) as source:
        try:
            source.check()
            publishing.check_pointer_is_there(library)
        except SourceUnavailable as error:
            raise OperationFailed(str(error), "root_unavailable") from None
        if library.source != "local" or not source.root_is_writable():
            raise OperationFailed("The library's folder cannot be written to. Nothing was moved.", "read_only")
    ids = [UUID(key) for key in run.params["photos"]]
    run.phase("Moving files", len(ids), unit="photos")
    filing = Filing(library, run.params["layout"])
    for start_at in range(0, len(ids), BATCH):
        filing.move(ids[start_at : start_at + BATCH])
        run.advance(len(ids[start_at : start_at + BATCH]))
        run.checkpoint(stop=False)
        run.raise_if_stopped()
    publishing.refresh_counts(library)
    problems = filing.problems
    return {
        "library": str(library.pk),
        "moved": filing.moved,
        "problem_count": len(problems),
        "problems": problems[:MOST_PROBLEMS],
    }


class Filing:
    """Moves the files of one library."""

    def __init__(self, library: Library, layout: str) -> None:
        self.library, self.layout = library, layout
        self.root = os.path.realpath(unescape_path(library.root))
        self.moved = 0
        self.folders: dict[str, Folder] = {}
        self.problems: list[dict[str, str]] = []

    def move(self, photo_ids: Sequence[UUID]) -> None:
        """Move a batch, each file and then its row."""
        self._wait_for_writers(photo_ids)
        self.folders.clear()
        photos = Photo.objects.filter(library=self.library, pk__in=photo_ids).exclude(state=Photo.State.MISSING)
        emptied: set[str] = set()
        for photo in photos.order_by("directory", "filename"):
            target = target_of(photo, self.layout)
            if target == photo.directory:
                continue
            try:
                name = self._move_file(photo, target)
            except (OSError, ValueError) as error:
                self.problems.append({"path": photo.path, "reason": f"It could not be moved ({error})."})
                continue
            emptied.add(photo.directory)
            self._write(photo, target, name)
            self.moved += 1
        for directory in sorted(emptied, key=len, reverse=True):
            self._remove_if_empty(directory)

    def _wait_for_writers(self, photo_ids: Sequence[UUID]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        writing = FileWrite.objects.filter(photo__in=photo_ids, state=FileWrite.State.WRITING)
        while writing.exists() and time.monotonic() < until:
            time.sleep(0.2)

    def _move_file(self, photo: Photo, target: str) -> str:
        """Move a photo's file, then what speaks about it alone; return its name there. Raises OSError."""
        folder = open_folder(self.root, photo.directory)
        try:
            new_folder = open_folder(self.root, target, create=True)
            try:
                if photo.directory not in self.folders:
                    names = (escape_path(os.fsencode(name)) for name in os.listdir(folder))
                    self.folders[photo.directory] = Folder(names)
                beside = self.folders[photo.directory].take(photo.filename)
                for number in range(1, MOST_NUMBERS):
                    name = photo.filename if number == 1 else numbered(photo.filename, number)
                    try:
                        move_between(folder, unescape_path(photo.filename), new_folder, unescape_path(name))
                        break
                    except FileExistsError:
                        continue
                for sidecar, new_name in beside.renamed(photo.filename, name).items():
                    with suppress(OSError):  # it stays where it is, and is no loss
                        move_between(folder, unescape_path(sidecar), new_folder, unescape_path(new_name))
            finally:
                os.close(new_folder)
        finally:
            os.close(folder)
        return name

    def _write(self, photo: Photo, target: str, name: str) -> None:
        path = f"{target}/{name}"
        with transaction.atomic():
            here = Photo.objects.filter(pk=photo.pk, directory=photo.directory, filename=photo.filename)
            taken = Photo.objects.filter(library=self.library, directory=target, filename=name).exclude(pk=photo.pk)
            if taken.exists() or not here.update(directory=target, filename=name):
                return  # a scan was quicker, or a missing photo has that path: the next one follows
            cached = HashCache.objects.filter(library=self.library)
            cached.filter(path=path).delete()
            cached.filter(path=photo.path).update(path=path)
            publishing.note_change(self.library)

    def _remove_if_empty(self, directory: str) -> None:
        """Remove folders that hold nothing any more, up to the root."""
        while directory:
            above, _, name = directory.rpartition("/")
            with suppress(OSError):
                folder = open_folder(self.root, above)
                try:
                    os.rmdir(unescape_path(name), dir_fd=folder)
                    fsync_directory(f"/proc/self/fd/{folder}")
                except OSError:
                    return
                finally:
                    os.close(folder)
            directory = above
