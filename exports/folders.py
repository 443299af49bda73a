"""The operation `export_folder`: copies a library's originals into dated folders, each once, with a record of each."""

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from catalog.identity.aliases import current_md5
from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.sources.base import Source, SourceUnavailable
from operations.kinds import operation_kind
from operations.running import LeaseLost, OperationFailed, Run
from photolala.lib.files import open_real_folder
from photolala.lib.paths import join_path

from .folder_names import OpenFolder, OpenFolders, file_name
from .formats.batches import iterate_batches
from .ledger.copying import NameTaken, copy_original
from .ledger.errors import InvalidRecord, LedgerBusy, LedgerFailed
from .ledger.placement import place_for, recorded_name
from .ledger.records import ExportRecord, RecordStatus
from .ledger.store import Ledger, Place
from .models import ExportDestination
from .originals import Original, OriginalUnreadable, Problems, SourceGuard, open_original
from .rows import Key, after_key

logger = logging.getLogger(__name__)
GROUP_FILES = 16
GROUP_BYTES = 64 << 20
LOCK_PATIENCE_SECONDS = 30.0
MD5_KEY, SIZE_KEY = "photoMD5", "sizeBytes"  # keys of ours in the records, which other readers ignore
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    *("id", "directory", "filename", "size_bytes", "mtime_ns", "photo_md5"),
    *("taken_local", "taken_at", "taken_source"),
)


@dataclass
class Item:
    """A photo to export: what the catalog knows of it, where it goes, and under which name."""

    id: str
    original: Original
    place: Place
    mtime_ns: int
    folder: OpenFolder
    name: str
    is_copied: bool = False
    """Its bytes lie there already: a killed run had copied them, or the records were lost."""


@operation_kind("export_folder", label="Folder export", queue="export")
def run_folder_export(run: Run) -> dict[str, Any]:
    """Copy what the destination lacks of the library's originals; safe to run again after any end."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    library = Library.objects.visible_to(run.owner).filter(pk=run.params["library"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    if library is None:
        raise OperationFailed("The library is not there, or not yours to see any more. Nothing was exported.", "gone")
    _refuse_unplugged(destination)
    with ExitStack() as stack:
        source = source_for(library)
        stack.callback(source.close)
        try:
            guard = SourceGuard(library, source)
            guard.require()
            ledger = stack.enter_context(_open_ledger(run, destination))
            ExportDestination.objects.filter(pk=destination.pk).update(has_records=True)
            folders = OpenFolders(destination.path, ledger.records())
            stack.callback(folders.close)
            return FolderExport(run, library, destination, source, ledger, folders, guard).run_all()
        except SourceUnavailable as error:
            raise OperationFailed(str(error), "root_unavailable") from None
        except LedgerFailed as error:
            raise OperationFailed(str(error), "destination") from error


class FolderExport:
    """One run of a folder export, which holds the destination's ledger."""

    def __init__(
        self,
        run: Run,
        library: Library,
        destination: ExportDestination,
        source: Source,
        ledger: Ledger,
        folders: OpenFolders,
        guard: SourceGuard,
    ) -> None:
        self.guard = guard
        self.run, self.library, self.destination = run, library, destination
        self.source, self.ledger, self.folders = source, ledger, folders
        self.root = destination.path
        self.root_facts = _identity(destination)
        self.problems = Problems()
        self.counts = {"copied": 0, "skipped": 0, "adopted": 0}
        self.size_bytes = 0
        self.clock = time.monotonic()
        for problem in ledger.report.problems:
            logger.warning("Records of the destination %s: %s", destination.pk, problem)

    def run_all(self) -> dict[str, Any]:
        """Go through the photos, newest first, and export group after group; return the counts."""
        photos = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING)
        self.run.phase("Copying photos", total=photos.count(), unit="photos")
        group: list[Item] = []
        for row in self._rows(photos):
            item = self._plan(row)
            if item is not None:
                group.append(item)
            else:
                self.run.advance()
                self.run.checkpoint(force=False)
            if self._is_large(group) or self.folders.are_too_many:
                self._export(group)
                group = []
                self.folders.trim()
        self._export(group)
        self.guard.settle()
        self._require_mine()
        self.ledger.flush()
        return {
            "library": str(self.library.pk),
            "operation": str(self.run.operation.pk),
            "destination": str(self.root),
            **self.counts,
            "failed": self.problems.count,
            "size_bytes": self.size_bytes,
            "seconds": round(time.monotonic() - self.clock, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
        }

    def _rows(self, photos: Any) -> Iterator[tuple[Any, ...]]:
        def fetch(after: Key | None, limit: int) -> list[tuple[Any, ...]]:
            return list(after_key(photos, after).values_list(*_COLUMNS)[:limit])

        for batch in iterate_batches(fetch, lambda row: (row[7], str(row[0]))):
            yield from batch

    # -- what to do with a photo

    def _plan(self, row: tuple[Any, ...]) -> Item | None:
        """Return what is to be done with a photo; None if nothing is, or nothing can be (which is then recorded)."""
        photo_id, directory, filename, size_bytes, mtime_ns, photo_md5, wall, taken_at, source = row
        identifier = str(photo_id)
        path = join_path(directory, filename)
        original = Original(path, "", size_bytes, mtime_ns, photo_md5)
        shown = wall if source else datetime.fromtimestamp(max(0, mtime_ns) / 1e9, UTC)
        place: Place | None = None
        try:
            place = place_for(shown, self.destination.template, {"library": self.library.name})
            known = self.ledger.export_info(identifier)
            if known is not None and self._is_up_to_date(known, place, original):
                self.counts["skipped"] += 1
                return None
            folder = self._folder(place.rel_path)
            name, is_copied = _choose_name(folder, known, place, file_name(filename), original)
        except (InvalidRecord, OSError) as error:
            self._stop_if_unplugged()
            if place is None:
                self.problems.add(path, str(error))
            else:
                self._fail(identifier, place, path, str(error))
            return None
        times = (taken_at - _EPOCH) // timedelta(microseconds=1) * 1000 if source else mtime_ns
        return Item(identifier, original, place, times, folder, name, is_copied)

    def _is_up_to_date(self, record: ExportRecord, place: Place, original: Original) -> bool:
        """Tell whether the photo was exported as it is now, under the month it has now, and the file is still there.

        A new template moves nothing that lies there; a new date exports the photo to its new month, and the old copy stays.
        """
        if record.status is not RecordStatus.DONE or not record.filename:
            return False
        if (record.year, record.month) != (place.year, place.month):
            return False
        exported_md5 = record.extra.get(MD5_KEY)
        size_bytes = original.size_bytes
        if exported_md5 and original.photo_md5 and exported_md5 != original.photo_md5:
            if current_md5(self.library, exported_md5) != original.photo_md5:
                return False
            # Only words were written into the file since, a star: that is no new photo.
            size_bytes = record.extra.get(SIZE_KEY, size_bytes)
        folder = self._folder(record.rel_path)
        return folder.size_of(file_name(record.filename)) == size_bytes

    def _folder(self, rel_path: str) -> OpenFolder:
        if _identity(self.destination) != self.root_facts:
            self._stop_if_unplugged()
        return self.folders.get(rel_path)

    # -- doing it

    @staticmethod
    def _is_large(group: list[Item]) -> bool:
        return len(group) >= GROUP_FILES or sum(item.original.size_bytes for item in group) >= GROUP_BYTES

    def _export(self, group: list[Item]) -> None:
        """Record that the group begins, copy each, record how each ended: two waits of the ledger for the disk."""
        if not group:
            return
        self._require_mine()
        self.ledger.put_all(self._record(item, RecordStatus.IN_PROGRESS) for item in group if not item.is_copied)
        outcomes: list[ExportRecord] = []
        try:
            for item in group:
                outcomes.append(self._export_one(item))
        finally:
            if self.run.still_mine():  # else the successor finds by the files themselves how far this run came
                self.ledger.put_all(outcomes)
        self.run.advance(len(group))
        self.run.checkpoint()

    def _require_mine(self) -> None:
        """Raise LeaseLost before anything is published for someone else, such as by a run that was frozen and wakes."""
        if not self.run.still_mine():
            raise LeaseLost

    def _export_one(self, item: Item) -> ExportRecord:
        try:
            if item.is_copied:
                self.counts["adopted"] += 1
                md5 = item.original.photo_md5
            else:
                md5 = self._copy(item)
                self.counts["copied"] += 1
                self.size_bytes += item.original.size_bytes
            self.guard.worked()
        except OriginalUnreadable as reason:
            self.guard.failed(reason)
            return self._failed(item, str(reason))
        except OSError as error:
            if error.errno in _FULL:
                raise OperationFailed(
                    f"{error} What was exported before is kept and recorded.", "destination"
                ) from error
            self._stop_if_unplugged()
            return self._failed(item, str(error))
        self.folders.remember(item.place.rel_path, recorded_name(item.name))
        return self._record(item, RecordStatus.DONE, {MD5_KEY: md5, SIZE_KEY: item.original.size_bytes})

    def _copy(self, item: Item) -> str:
        """Copy the file and return its MD5; if somebody took its name meanwhile, under the next free one."""
        descriptor = open_original(self.source, item.original)
        expected = item.original.photo_md5 or None
        try:
            while True:
                try:
                    copied = copy_original(
                        descriptor,
                        item.folder.folder,
                        item.name,
                        item.mtime_ns,
                        expected_md5=expected,
                        before_publishing=self._require_mine,
                    )
                except NameTaken:
                    item.name = item.folder.claim(item.name)
                    continue
                return copied.md5
        finally:
            os.close(descriptor)

    def _record(
        self, item: Item, status: RecordStatus, extra: dict[str, Any] | None = None, error: str | None = None
    ) -> ExportRecord:
        known = self.ledger.export_info(item.id)
        return ExportRecord(
            id=item.id,
            year=item.place.year,
            month=item.place.month,
            rel_path=item.place.rel_path,
            status=status,
            export_date=timezone.now(),
            filename=recorded_name(item.name),
            last_error=error,
            extra={**(known.extra if known else {}), **(extra or {})},
        )

    def _failed(self, item: Item, reason: str) -> ExportRecord:
        logger.warning("%s was not exported: %s", item.original.path, reason)
        self.problems.add(item.original.path, reason)
        self.folders.remember(item.place.rel_path, recorded_name(item.name))
        return self._record(item, RecordStatus.FAILED, error=reason)

    def _fail(self, identifier: str, place: Place, path: str, reason: str) -> None:
        logger.warning("%s was not exported: %s", path, reason)
        self.problems.add(path, reason)
        self.ledger.mark_failed(identifier, reason, place)

    def _stop_if_unplugged(self) -> None:
        """Raise OperationFailed if the destination is not the folder any more that it was at the start."""
        if _identity(self.destination) != self.root_facts or not self.destination.records_folder.is_dir():
            raise OperationFailed(_unplugged(self.destination), "destination")


def _choose_name(
    folder: OpenFolder, known: ExportRecord | None, place: Place, filename: str, original: Original
) -> tuple[str, bool]:
    """Return the name for a photo in `folder`, and whether its bytes lie there already under that name.

    A name that its record has is its own, so that a run after a kill gives the names that an undisturbed one gives.
    """
    size_bytes, md5 = original.size_bytes, original.photo_md5
    if known is not None and known.filename and known.rel_path == place.rel_path:
        name = file_name(known.filename)
        if not folder.is_there(name):
            return name, False
        if known.status is not RecordStatus.DONE and folder.holds(name, size_bytes, md5):
            return name, True
    else:
        found = folder.find_unowned(filename, size_bytes, md5)
        if found is not None:
            folder.own(found)
            return found, True
    return folder.claim(filename), False


def _open_ledger(run: Run, destination: ExportDestination) -> Ledger:
    """Open the ledger; a worker that lost this operation may hold it for a moment more."""
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            return Ledger(destination.records_folder)
        except LedgerBusy as error:
            if time.monotonic() > deadline:
                raise OperationFailed(str(error), "busy") from None
        run.checkpoint(force=False)
        time.sleep(0.2)


def _refuse_unplugged(destination: ExportDestination) -> None:
    """Raise OperationFailed if the folder is not there, or is another one than that of the last export."""
    if _identity(destination) is None:
        raise OperationFailed(_unplugged(destination), "destination")
    if destination.has_records and not destination.records_folder.is_dir():
        raise OperationFailed(
            f"The records of earlier exports are not in {destination.folder}. If its disk is not mounted, mount it and "
            "try again; nothing was changed. If they were removed on purpose, remove the destination and add it again.",
            "destination",
        )


def _unplugged(destination: ExportDestination) -> str:
    return (
        f"The destination {destination.folder} cannot be reached any more, or a link is in its place. Is its disk mounted? "
        "What was exported is recorded there; connect it and try again: the export goes on from where it stood."
    )


def _identity(destination: ExportDestination) -> tuple[int, int] | None:
    """Return what tells the destination's folder from all others; None if it is not there, or behind a link by now."""
    try:
        folder = open_real_folder(os.fsencode(destination.path))
    except OSError:
        return None
    try:
        facts = os.fstat(folder)
    finally:
        os.close(folder)
    return facts.st_dev, facts.st_ino
