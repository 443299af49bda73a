"""The operation `verify_destination`: reads every copy in a destination, and copies again what is not as it was exported."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
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

_READ_BYTES = 1 << 20
_PHOTOS_AT_ONCE = 500
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
                    check.failed = check.bad_count
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
        """Read the copy of each record that is done, folder by folder."""
        done = [one for one in records if one.status is RecordStatus.DONE and one.filename]
        done.sort(key=_order)
        self._run.phase("Reading the copies", total=len(done), unit="files")
        for record in done:
            if _order(record) <= self._after:
                self._run.advance()
                continue
            try:
                self.counts["whole" if self._read(record) else "without_digest"] += 1
            except _Bad as bad:
                self._guard.require()  # a disk that was unplugged has no bad copies
                self.counts[bad.kind] += 1
                self.problems.add(f"{record.rel_path}{record.filename}", str(bad))
                if self._ledger is not None:
                    failed = replace(record, status=RecordStatus.FAILED, last_error=f"{FOUND_BAD}{bad}")
                    self._ledger.put_all([failed])
            self._run.advance()
            self._run.checkpoint(
                force=False,
                after=_order(record),
                counts=dict(self.counts),  # as of this record: what is counted later is counted again after a kill
                problem_count=self.problems.count,
                problems=list(self.problems.listed),
            )
        self._guard.require()

    @property
    def bad_count(self) -> int:
        """How many copies were found bad."""
        return sum(self.counts[kind] for kind in ("missing", "damaged", "unreadable"))

    def note_known(self, records: Iterator[ExportRecord]) -> int:
        """List the bad copies that an earlier repair found and could not replace; return how many they are."""
        known = [one for one in records if is_known_bad(one)]
        for record in known:
            self.problems.add(f"{record.rel_path}{record.filename}", f"{record.last_error}")
        return len(known)

    def _read(self, record: ExportRecord) -> bool:
        """Return whether the copy could be compared with a digest and is the same; False if only its size is known."""
        try:
            descriptor = self._transport.open_copy(file_name(record.rel_path), file_name(record.filename or ""))
        except (FileNotFoundError, NotADirectoryError):
            raise _Bad("missing", "It is not there any more.") from None
        except OSError as error:
            raise _Bad("unreadable", f"It cannot be opened: {error.strerror}.") from None
        try:
            return self._compare(descriptor, record)
        except OSError as error:
            raise _Bad("unreadable", f"It cannot be read: {error.strerror}.") from None
        finally:
            os.close(descriptor)

    def _compare(self, descriptor: int, record: ExportRecord) -> bool:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _Bad("missing", "Something else than a file has its name.")
        size, md5 = record.extra.get(SIZE_KEY), record.extra.get(MD5_KEY)
        if isinstance(size, int) and facts.st_size != size:
            raise _Bad("damaged", f"It has {facts.st_size:,} bytes, not {size:,}.")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # read what the disk has, not the memory
        digest, position = hashlib.md5(usedforsecurity=False), 0
        while chunk := os.pread(descriptor, _READ_BYTES, position):
            digest.update(chunk)
            position += len(chunk)
            self._run.checkpoint(force=False)
        self._size_bytes += position
        if isinstance(md5, str) and digest.hexdigest() != md5:
            raise _Bad("damaged", "Its bytes are not those that were exported.")
        return isinstance(md5, str)

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
    """Copy the photos whose copies were found bad, now or earlier; return how many are there again, and how many are not."""
    bad = [one.id for one in ledger.records() if is_known_bad(one)]
    photos = [one for one in bad if _is_photo_id(one)]
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
    return repaired, len(bad) - repaired
