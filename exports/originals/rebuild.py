"""The operation `rebuild_records`: recognises copies in a destination whose records are lost, and records them again.

Only what is in `YYYY/MM/` is looked at, also below a folder named after the library, and no file there is changed. A copy
is a photo's if it is in the folder of its month, has its name (or a numbered form of it) and its bytes, and is no other
photo's, too. Everything else is listed: the next export copies those photos, or finds them by itself.
"""

import hashlib
import os
import re
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from catalog.identity.aliases import current_md5
from catalog.models import Library, Photo
from exports.destinations.guard import DestinationGuard
from exports.destinations.identity import claim_records
from exports.destinations.transports.folders import FolderTransport
from exports.ledger.errors import LedgerFailed
from exports.ledger.load import view_ledger
from exports.ledger.names import collision_key, portable_name, sanitize_component
from exports.ledger.placement import recorded_name
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.reading.originals import Problems
from operations.kinds import operation_kind
from operations.running import LeaseLost, OperationFailed, Run
from photolala.lib.files import open_real_folder

from .folder_export import MOST_RECORD_PROBLEMS
from .names import file_name
from .opened import open_ledger
from .plan import MD5_KEY, SIZE_KEY

_YEAR, _MONTH = re.compile(r"(?!0000)[0-9]{4}"), re.compile(r"0[1-9]|1[0-2]")
_NUMBERED = re.compile(r"(.+) \([1-9][0-9]{0,4}\)(\.[^.]*|)", re.DOTALL)
_READ_BYTES = 1 << 20
_SAME_MOMENT_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Candidate(NamedTuple):
    """A photo whose copy a file may be; the names are those of its columns."""

    id: UUID
    filename: str
    size_bytes: int
    photo_md5: str
    mtime_ns: int
    taken_at: datetime
    taken_source: str

    @property
    def copied_mtime_ns(self) -> int:
        """The time that an export gives to its copy."""
        if not self.taken_source:
            return self.mtime_ns
        return (self.taken_at - _EPOCH) // timedelta(microseconds=1) * 1000


class _File(NamedTuple):
    """What one file in the destination is, by all of its bytes."""

    size_bytes: int
    mtime_ns: int
    md5: str


@operation_kind("rebuild_records", label="Rebuild of export records", queue="export")
def run_rebuild(run: Run) -> dict[str, Any]:
    """Find out which photos of a library the copies in the destination are; with the parameter `apply` record them."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    library = Library.objects.visible_to(run.owner).filter(pk=run.params["library"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    if library is None:
        raise OperationFailed("The library is not there, or not yours to see any more. Nothing was recorded.", "gone")
    guard = DestinationGuard(destination, needs_records=False)
    with ExitStack() as stack:
        try:
            if run.params.get("apply") and any(
                _month_folders(destination.path, library)
            ):  # else an unplugged disk gets records
                ledger = stack.enter_context(open_ledger(run, destination))
                rebuild = Rebuild(run, destination, library, guard, ledger.records(), ledger)
                rebuild.run_all()
                claim_records(destination)
                return rebuild.result(ledger.report.problems)
            loaded = view_ledger(destination.records_folder)
            rebuild = Rebuild(run, destination, library, guard, loaded.state.sorted_records())
            rebuild.run_all()
            return rebuild.result(loaded.report.problems)
        except LedgerFailed as error:
            raise OperationFailed(str(error), "destination") from error


class Rebuild:
    """Goes through the months of one destination; writes to `ledger`, if there is one."""

    def __init__(
        self,
        run: Run,
        destination: ExportDestination,
        library: Library,
        guard: DestinationGuard,
        records: Iterator[ExportRecord],
        ledger: Ledger | None = None,
    ) -> None:
        self._run, self._destination, self._library, self._guard = run, destination, library, guard
        self._known, self._ledger = {one.id: one for one in records}, ledger
        self._transport = FolderTransport(destination.path)
        done = [one for one in self._known.values() if one.status is RecordStatus.DONE and one.filename]
        self._owned = {(one.rel_path, file_name(one.filename or "")) for one in done}
        self.counts = dict.fromkeys(("total", "matched", "known", "ambiguous", "unmatched", "recorded"), 0)
        self.problems = Problems()
        self._clock = time.monotonic()

    def run_all(self) -> None:
        """Go through all months, oldest first."""
        months = list(_month_folders(self._destination.path, self._library))
        self._run.phase("Looking at the copies", total=len(months), unit="months")
        for rel_path, year, month in months:
            self._guard.require_same()
            self._month(rel_path, year, month)
            self._run.advance()
            self._run.checkpoint(force=False)
        self._guard.require_same()

    def _month(self, rel_path: str, year: int, month: int) -> None:
        candidates = self._candidates(year, month)
        found: dict[str, ExportRecord] = {}
        for name in sorted(
            _file_names(self._destination.path / rel_path), key=lambda name: (_plain(name) != name, name)
        ):
            self.counts["total"] += 1
            if (rel_path, name) in self._owned:
                self.counts["known"] += 1
                continue
            kind, reason, record = self._look_at(rel_path, name, candidates, found)
            self.counts[kind] += 1
            if record is not None:
                found[record.id] = record
            else:
                self.problems.add(f"{rel_path}{recorded_name(name)}", reason)
        if found and self._ledger is not None:
            if not self._run.still_mine():
                raise LeaseLost
            self._guard.require_same()
            self.counts["recorded"] += self._ledger.put_all(found.values())
            ExportDestination.objects.filter(pk=self._destination.pk).update(has_records=True)
            self._destination.libraries.add(self._library)

    def _candidates(self, year: int, month: int) -> dict[str, list[_Candidate]]:
        """Return the library's photos of a month by their name, as careless disks compare it."""
        days = (year * 10_000 + month * 100, year * 10_000 + month * 100 + 31)
        photos = Photo.objects.filter(library=self._library, taken_day__range=days).exclude(state=Photo.State.MISSING)
        by_name: defaultdict[str, list[_Candidate]] = defaultdict(list)
        for row in photos.values_list(*_Candidate._fields).iterator():
            one = _Candidate(*row)
            name = file_name(one.filename)
            for key in {collision_key(name), collision_key(portable_name(name))}:
                by_name[key].append(one)
        return by_name

    def _look_at(
        self, rel_path: str, name: str, by_name: dict[str, list[_Candidate]], found: dict[str, ExportRecord]
    ) -> tuple[str, str, ExportRecord | None]:
        """Return under which count a file is, why it is no photo's copy, and the record of it if it is."""
        keys = {collision_key(name), collision_key(_plain(name))}
        candidates = list({one.id: one for key in keys for one in by_name.get(key, ())}.values())
        if not candidates:
            return "unmatched", "No photo of that month has this name.", None
        try:
            file = self._read(rel_path, name)
        except OSError as error:
            return "unmatched", f"It cannot be read: {error.strerror or error}.", None
        same = [one for one in candidates if one.photo_md5 == file.md5] or self._renewed(candidates, file)
        has_digest = bool(same)
        same = same or [one for one in candidates if not one.photo_md5 and _is_alike(one, file)]
        if len(same) > 1:
            return "ambiguous", f"{len(same)} photos of that month have this name and these bytes.", None
        if not same:
            return "ambiguous", "A photo of that month has this name, but other bytes.", None
        identifier = str(same[0].id)
        known = self._known.get(identifier)
        if identifier in found or (known is not None and known.status is RecordStatus.DONE):
            return "ambiguous", "The photo has another copy, which is recorded.", None
        record = ExportRecord(
            id=identifier,
            year=int(rel_path[-8:-4]),
            month=int(rel_path[-3:-1]),
            rel_path=rel_path,
            status=RecordStatus.DONE,
            export_date=timezone.now(),
            filename=recorded_name(name),
            extra={
                **(known.extra if known else {}),
                **({MD5_KEY: file.md5, SIZE_KEY: file.size_bytes} if has_digest else {}),
            },
        )
        return "matched", "", record

    def _renewed(self, candidates: list[_Candidate], file: _File) -> list[_Candidate]:
        """Return those whose file had these bytes before words were written into it, such as a star."""
        now = current_md5(self._library, file.md5)
        return [one for one in candidates if one.photo_md5 == now] if now != file.md5 else []

    def _read(self, rel_path: str, name: str) -> _File:
        descriptor = self._transport.open_copy(rel_path, name)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(None, "it is no file")
            digest, position = hashlib.md5(usedforsecurity=False), 0
            while chunk := os.pread(descriptor, _READ_BYTES, position):
                digest.update(chunk)
                position += len(chunk)
                self._run.checkpoint(force=False)
        finally:
            os.close(descriptor)
        return _File(position, facts.st_mtime_ns, digest.hexdigest())

    def result(self, record_problems: list[str]) -> dict[str, Any]:
        """Return the counts, and what is no photo's copy."""
        return {
            "operation": str(self._run.operation.pk),
            "destination": self._destination.folder,
            "library": str(self._library.pk),
            **self.counts,
            "failed": 0,
            "seconds": round(time.monotonic() - self._clock, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
            "record_problems": record_problems[:MOST_RECORD_PROBLEMS],
        }


def _is_alike(photo: _Candidate, file: _File) -> bool:
    """Tell whether a file may be the copy of a photo that was not read yet: its size, and the time that exports give it."""
    return photo.size_bytes == file.size_bytes and abs(photo.copied_mtime_ns - file.mtime_ns) <= _SAME_MOMENT_NS


def _plain(name: str) -> str:
    """Return the name without its number: `IMG (1).JPG` is a numbered form of `IMG.JPG`."""
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] + numbered[2] if numbered else name


def _month_folders(root: Path, library: Library) -> Iterator[tuple[str, int, int]]:
    """Yield (path with "/" at its end, year, month) of the folders `YYYY/MM`, oldest first; follows no link.

    Those below a folder named after the library come after those at the top.
    """
    folders = _names(root, folders=True)
    own = sanitize_component(library.name)
    for before, names in (("", folders), (f"{own}/", _names(root / own, folders=True) if own in folders else [])):
        for year in sorted(filter(_YEAR.fullmatch, names)):
            for month in sorted(filter(_MONTH.fullmatch, _names(root / before / year, folders=True))):
                yield f"{before}{year}/{month}/", int(year), int(month)


def _file_names(folder: Path) -> list[str]:
    return [name for name in _names(folder, folders=False) if not name.startswith(".")]


def _names(folder: Path, *, folders: bool) -> list[str]:
    """Return the names of the folders, or files, in a folder that is reached without a link; OperationFailed otherwise."""
    try:
        descriptor = open_real_folder(os.fsencode(folder))
        try:
            with os.scandir(descriptor) as entries:
                return [
                    one.name
                    for one in entries
                    if (one.is_dir(follow_symlinks=False) if folders else one.is_file(follow_symlinks=False))
                ]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OperationFailed(
            f"The folder {recorded_name(str(folder))} cannot be read ({error.strerror}). Nothing more was recorded; try again.",
            "destination",
        ) from error
