"""The operation `verify_destination`: reads every copy and preview in a destination, and makes bad ones again."""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.roots.told import told
from catalog.sources.base import SourceUnavailable
from exports.destinations.guard import Guard, guard_of
from exports.destinations.publishing import PublishedRecords
from exports.destinations.transports.opening import transport_of
from exports.ledger.errors import LedgerFailed
from exports.ledger.load import view_ledger
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.reading.originals import Problems, SourceGuard
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run

from .folder_export import MOST_RECORD_PROBLEMS, FolderExport
from .names import OpenFolders, file_name
from .opened import open_ledger
from .plan import FOUND_BAD, MD5_KEY, NOT_COPIED, SIZE_KEY, Target, is_known_bad
from .previews import BAD_KEY, PREVIEW_KEY, recorded_preview, with_bad_preview

_READ_BYTES = 1 << 20
_PHOTOS_AT_ONCE = 500
PREVIEW_IS_BAD = "The preview is not as it was made: "
NO_PREVIEWS = "this destination is to have no previews any more. Choose a size for them, and repair it again."
NOTHING_EXPORTED = "Nothing was exported to this destination yet: there is nothing to read."


class _Bad(Exception):
    """A copy is not what was exported; the text says how, `kind` under which count."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@operation_kind("verify_destination", label="Check of a destination", queue="export")
def run_verification(run: Run) -> dict[str, Any]:
    """Compare each copy with its record; with the parameter `repair` copy the bad ones again, beside what is there."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    guard = guard_of(destination)
    if not destination.records_folder.is_dir() and not destination.is_bucket:
        raise OperationFailed(NOTHING_EXPORTED, "no_records")
    with ExitStack() as stack:
        try:
            if not run.params.get("repair") and destination.records_folder.is_dir():
                loaded = view_ledger(destination.records_folder)
                check = Verification(run, destination, guard)
                check.read_all(loaded.state.sorted_records())
                check.failed = check.bad_count + check.note_known(loaded.state.sorted_records())
                return check.result(loaded.report.problems)
            ledger = stack.enter_context(open_ledger(run, destination))
            published = PublishedRecords(destination, ledger)
            published.adopt()
            if not len(ledger):
                raise OperationFailed(NOTHING_EXPORTED, "no_records")
            check = Verification(run, destination, guard, ledger if run.params.get("repair") else None)
            try:
                check.read_all(ledger.records())
                if run.params.get("repair"):
                    check.repaired, check.failed = _copy_again(run, destination, guard, ledger, check.problems)
                else:
                    check.failed = check.bad_count + check.note_known(ledger.records())
            finally:
                problem = published.publish()
            return check.result([*ledger.report.problems, *([problem] if problem else [])])
        except LedgerFailed as error:
            raise OperationFailed(str(error), "destination") from error


class Verification:
    """Reads the copies of one destination; notes what is bad in `ledger`, if there is one."""

    def __init__(self, run: Run, destination: ExportDestination, guard: Guard, ledger: Ledger | None = None) -> None:
        self._run, self._destination, self._guard, self._ledger = run, destination, guard, ledger
        self._transport = transport_of(destination)
        done_before = run.operation.checkpoint  # of a claim that was interrupted
        self._after = tuple(done_before.get("after", ()))
        self.counts = dict.fromkeys(("whole", "missing", "damaged", "unreadable", "without_digest"), 0)
        self.counts |= done_before.get("counts") or {}
        self.problems = Problems(done_before.get("problem_count", 0), list(done_before.get("problems", ())))
        self.repaired = self.failed = 0
        self._size_bytes = 0
        self._clock = time.monotonic()

    def read_all(self, records: Iterator[ExportRecord]) -> None:
        """Read the copy of each record that is done, and the preview beside it, folder by folder."""
        done = [one for one in records if one.status is RecordStatus.DONE and one.filename]
        done.sort(key=_order)
        self._run.phase("Reading the copies", total=sum(len(_files_of(one)) for one in done), unit="files")
        for record in done:
            files = _files_of(record)
            if _order(record) <= self._after:
                self._run.advance(len(files))
                continue
            noted = record
            for file in files:
                noted = self._check(file, noted)
            if self._ledger is not None and noted is not record:
                self._ledger.put_all([noted])
            self._run.advance(len(files))
            self._run.checkpoint(
                force=False,
                after=_order(record),
                counts=dict(self.counts),  # as of this record: what is counted later is counted again after a kill
                problem_count=self.problems.count,
                problems=list(self.problems.listed),
            )
        self._guard.require()

    def _check(self, file: "_File", record: ExportRecord) -> ExportRecord:
        """Read one file of a record and count it; return the record as it is then to be."""
        try:
            self.counts["whole" if self._read(file) else "without_digest"] += 1
        except _Bad as bad:
            self._guard.require()  # a disk that was unplugged has no bad copies
            self.counts[bad.kind] += 1
            self.problems.add(f"{file.rel_path}{file.filename}", str(bad))
            if file.is_preview:
                return with_bad_preview(record, str(bad))
            return replace(record, status=RecordStatus.FAILED, last_error=f"{FOUND_BAD}{bad}")
        return record

    @property
    def bad_count(self) -> int:
        """How many copies were found bad."""
        return sum(self.counts[kind] for kind in ("missing", "damaged", "unreadable"))

    def note_known(self, records: Iterable[ExportRecord]) -> int:
        """List the bad files that an earlier repair found and could not replace; return how many they are."""
        count = 0
        for record in records:
            if is_known_bad(record):
                self.problems.add(f"{record.rel_path}{record.filename}", f"{record.last_error}")
                count += 1
            preview = recorded_preview(record)
            if preview is not None and BAD_KEY in preview:
                self.problems.add(f"{record.rel_path}{preview['filename']}", f"{PREVIEW_IS_BAD}{preview[BAD_KEY]}")
                count += 1
        return count

    def _read(self, file: "_File") -> bool:
        """Return whether the file could be compared with a digest and is the same; False if only its size is known."""
        try:
            descriptor = self._transport.open_copy(file_name(file.rel_path), file_name(file.filename))
        except (FileNotFoundError, NotADirectoryError):
            raise _Bad("missing", "It is not there any more.") from None
        except OSError as error:
            raise _Bad("unreadable", f"It cannot be opened: {error.strerror}.") from None
        try:
            return self._compare(descriptor, file)
        except OSError as error:
            raise _Bad("unreadable", f"It cannot be read: {error.strerror}.") from None
        finally:
            os.close(descriptor)

    def _compare(self, descriptor: int, file: "_File") -> bool:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _Bad("missing", "Something else than a file has its name.")
        if file.size_bytes is not None and facts.st_size != file.size_bytes:
            raise _Bad("damaged", f"It has {facts.st_size:,} bytes, not {file.size_bytes:,}.")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # read what the disk has, not the memory
        digest, position = hashlib.md5(usedforsecurity=False), 0
        while chunk := os.pread(descriptor, _READ_BYTES, position):
            digest.update(chunk)
            position += len(chunk)
            self._run.checkpoint(force=False)
        self._size_bytes += position
        if file.md5 is not None and digest.hexdigest() != file.md5:
            raise _Bad("damaged", "Its bytes are not those that were exported.")
        return file.md5 is not None

    def result(self, record_problems: list[str]) -> dict[str, Any]:
        """Return the counts; `failed` are the bad copies that were not copied again, also those of earlier repairs."""
        return {
            "operation": str(self._run.operation.pk),
            "destination": self._destination.folder,
            **self.counts,
            "repaired": self.repaired,
            "failed": self.failed,
            "size_bytes": self._size_bytes,
            "seconds": round(time.monotonic() - self._clock, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
            "record_problems": record_problems[:MOST_RECORD_PROBLEMS],
        }


class _File(NamedTuple):
    """A file of a destination, and what was recorded of its bytes."""

    rel_path: str
    filename: str
    size_bytes: int | None
    md5: str | None
    is_preview: bool = False


def _files_of(record: ExportRecord) -> list[_File]:
    """Return what is to be read of a record that is done: the copy, and the picture beside it unless that is known as bad."""
    files = [_file(record.rel_path, record.filename or "", record.extra.get(SIZE_KEY), record.extra.get(MD5_KEY))]
    preview = recorded_preview(record)
    if preview is not None and BAD_KEY not in preview:
        told = (preview.get("sizeBytes"), preview.get("md5"))
        files.append(_file(record.rel_path, preview["filename"], *told)._replace(is_preview=True))
    return files


def _file(rel_path: str, filename: str, size: object, md5: object) -> _File:
    return _File(rel_path, filename, size if isinstance(size, int) else None, md5 if isinstance(md5, str) else None)


def _order(record: ExportRecord) -> tuple[str, ...]:
    return record.rel_path, record.filename or "", record.id


def _is_photo_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False  # of another program
    return True


def _copy_again(
    run: Run, destination: ExportDestination, guard: Guard, ledger: Ledger, problems: Problems
) -> tuple[int, int]:
    """Make copies and previews that were found bad, now or earlier, again; return how many are there, and how many are not."""
    bad = [one.id for one in ledger.records() if is_known_bad(one)]
    bad_previews = [one for one in ledger.records() if BAD_KEY in (recorded_preview(one) or ())]
    photos = [one for one in dict.fromkeys([*bad, *(one.id for one in bad_previews)]) if _is_photo_id(one)]
    why_not = "its photo is in none of the libraries that were exported here."
    for library in destination.all_libraries.filter(pk__in=Library.objects.visible_to(run.owner).values("pk")):
        source = source_for(library)
        folders = OpenFolders(transport_of(destination), ledger.records())
        try:
            source_guard = SourceGuard(library, source)
            source_guard.require()
            target = Target(destination, guard, ledger, folders)
            export = FolderExport(run, library, source, source_guard, target)
            for first in range(0, len(photos), _PHOTOS_AT_ONCE):
                export.run_all(Photo.objects.filter(pk__in=photos[first : first + _PHOTOS_AT_ONCE]))
        except SourceUnavailable as error:
            reason = told(library, run.owner, str(error))
            why_not = "not all libraries that were exported here can be read now."
            problems.add(library.name, f"Nothing of this library was copied again: {reason}")
        finally:
            folders.close()
            source.close()
    repaired = 0
    for identifier in bad:
        record = ledger.export_info(identifier)
        if record is not None and record.status is RecordStatus.DONE:
            repaired += 1
        elif record is not None and (record.last_error or "").startswith(NOT_COPIED):
            problems.add(f"{record.rel_path}{record.filename}", f"{record.last_error}")
        elif record is not None:
            problems.add(f"{record.rel_path}{record.filename}", f"It cannot be copied again: {why_not}")
    for before in bad_previews:
        now = ledger.export_info(before.id)
        preview = recorded_preview(now) if now is not None else None
        if preview is not None and BAD_KEY not in preview:
            repaired += 1
        else:
            why = NO_PREVIEWS if not destination.preview_px else "its photo cannot be read now, or has no picture."
            name = before.extra[PREVIEW_KEY]["filename"]
            problems.add(f"{before.rel_path}{name}", f"{PREVIEW_IS_BAD}it cannot be made again: {why}")
    return repaired, len(bad) + len(bad_previews) - repaired
