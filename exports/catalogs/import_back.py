"""The operation `import_catalog`: gives back what a catalog export says of the photos of a library, and its albums.

Photos are found by their id, else by their content. Without `apply` nothing is changed. What the catalog has is kept,
unless `overwrite` is given; keywords, and photos of albums, are only ever added; what is empty in the export never takes
anything away. Safe to run again: what is given by then is no difference any more.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.models import Library, Photo
from exports.formats.reader import InvalidExport, read_rows
from exports.models import Export
from exports.reading.albums import ALBUMS_NAME
from exports.reading.originals import Problems
from exports.refusals import ExportRefused
from operations.kinds import operation_kind
from operations.models import Operation
from operations.running import LeaseLost, OperationFailed, Run, start

from .albums_back import AlbumPlan, give_album, plan_album
from .change_list import Changes
from .given_back import FIELDS, Field, NotForThisPhoto, Row
from .matching import PhotoFinder, printable

_AT_ONCE = 200


def start_import(
    user: User, export: Export, library: Library, *, apply: bool, overwrite: bool, enqueue: bool = True
) -> Operation:
    """Start the import of a finished export of `user` to a library that this user may edit.

    Raises ExportRefused if there is nothing to read, AlreadyActive (with the operation) while another one to it is at work.
    """
    if export.completed_at is None or export.is_expired:
        raise ExportRefused(
            "This export is not finished, or its files are deleted. Nothing was started.", "not_finished"
        )
    return _start(user, library, {"export": str(export.pk)}, apply, overwrite, enqueue)


def start_import_of_file(user: User, path: Path, library: Library, *, apply: bool, overwrite: bool) -> Operation:
    """The same for a command, of any file of an export, to be run in the foreground."""
    return _start(user, library, {"file": str(path)}, apply, overwrite, False)


def _start(
    user: User, library: Library, source: dict[str, str], apply: bool, overwrite: bool, enqueue: bool
) -> Operation:
    params = {**source, "library": str(library.pk), "apply": apply, "overwrite": overwrite}
    key = f"import_catalog:{library.pk}"
    return start("import_catalog", user, subject=library.name, active_key=key, params=params, enqueue=enqueue)


@operation_kind("import_catalog", label="Import of a catalog export", queue="export")
def run_import(run: Run) -> dict[str, Any]:
    """Read the rows, compare them with the photos, and tell or make the changes; safe to run again after any end."""
    library = Library.objects.editable_by(run.owner).filter(pk=run.params["library"]).first()
    if library is None:
        raise OperationFailed("The library is not there, or not yours to edit any more. Nothing was changed.", "gone")
    path = _path_of(run)
    imported = CatalogImport(run, library)
    try:
        with ExitStack() as stack:
            imported.run_all(_rows(stack, path))
            albums = path.with_name(ALBUMS_NAME)
            if albums.is_file():
                imported.run_albums(_rows(stack, albums))
    except OSError as error:
        raise OperationFailed(f"The export cannot be read ({error.strerror}). {imported.so_far}", "disk") from error
    except InvalidExport as error:
        raise OperationFailed(f"{error} {imported.so_far}", "bad_file") from None
    return imported.result()


def _path_of(run: Run) -> Path:
    if "file" in run.params:
        return Path(run.params["file"])
    export = Export.objects.visible_to(run.owner).filter(pk=run.params["export"]).first()
    if export is None or export.is_expired:
        raise OperationFailed("The export is not there any more. Nothing was changed.", "gone")
    return export.folder / f"photos.{export.format}"


def _rows(stack: ExitStack, path: Path) -> Iterator[Row]:
    stream = stack.enter_context(path.open(encoding="utf-8-sig", newline=""))
    return read_rows(stream, is_csv=path.suffix == ".csv")


class CatalogImport:
    """One run of an import."""

    def __init__(self, run: Run, library: Library) -> None:
        self._run, self._library = run, library
        self._is_real, self._overwrites = bool(run.params.get("apply")), bool(run.params.get("overwrite"))
        names = ("rows", "matched", "unmatched", *(field.count for field in FIELDS), "albums", "album_items")
        self.counts = dict.fromkeys((*names, "kept", "failed"), 0)
        self.problems, self.changes = Problems(), Changes()
        self._finder = PhotoFinder(library)
        self._clock = time.monotonic()

    @property
    def so_far(self) -> str:
        """A sentence about what was changed before an error."""
        if not self._is_real or not self.counts["rows"]:
            return "Nothing was changed."
        return f"What came before row {self.counts['rows'] + 1:,} is imported; the rest is not."

    def run_all(self, rows: Iterator[Row]) -> None:
        """Go through all rows, some at a time."""
        self._run.phase("Comparing the export", unit="photos")
        while batch := list(islice(rows, _AT_ONCE)):
            wanted = self._compare(batch)
            if self._is_real and any(wanted.values()):
                self._require_operation()
                self._give(wanted)
            self.counts["rows"] += len(batch)
            self._run.advance(len(batch))
            self._run.checkpoint(force=False)

    def run_albums(self, albums: Iterator[Row]) -> None:
        """Go through the albums of the export, one at a time."""
        self._run.phase("Comparing the albums", unit="albums")
        for number, album in enumerate(albums, start=1):
            try:
                plan = plan_album(self._run.owner, album, self._finder)
                if self._is_real and plan.is_change:
                    self._require_operation()
                    plan = give_album(self._run.owner, plan)
            except ValueError as error:
                self.counts["failed"] += 1
                self.problems.add(printable(str(album.get("title") or f"album {number}")[:200]), str(error))
            else:
                self._count_album(plan)
            self._run.advance()
            self._run.checkpoint(force=False)

    def _count_album(self, plan: AlbumPlan) -> None:
        name = printable(plan.title)
        if plan.unmatched:
            self.problems.add(name, f"{plan.unmatched:,} photos of this album are not in the library, and not added.")
        if plan.failed:
            self.counts["failed"] += len(plan.failed)
            self.problems.add(name, f"{len(plan.failed):,} photos could not be added: {plan.failed[0]}")
        if plan.is_change:
            self.counts["albums"] += plan.is_new
            self.counts["album_items"] += len(plan.photos)
            before = "" if plan.is_new else f"{plan.there:,} of its photos"
            self.changes.add(name, "album", before, f"{plan.there + len(plan.photos):,} of its photos")

    def _require_operation(self) -> None:
        if not self._run.still_mine():
            raise LeaseLost

    def _compare(self, batch: list[Row]) -> dict[str, dict[UUID, Any]]:
        """Return what photos are to get: by field, then by photo."""
        found = self._finder.find(batch)
        wanted: dict[str, dict[UUID, Any]] = {field.name: {} for field in FIELDS}
        for row in batch:
            photo = found.get(id(row))
            name = printable(str(row.get("path") or row.get("filename") or row.get("id"))[:1000])
            if photo is None:
                self.counts["unmatched"] += 1
                self.problems.add(name, "No photo of the library has this id or this content.")
                continue
            self.counts["matched"] += 1
            try:
                said = {field.name: field.read(row) for field in FIELDS}
            except ValueError as error:  # BadCaption is one
                self.counts["failed"] += 1
                self.problems.add(name, str(error))
                continue
            for field in FIELDS:
                self._compare_field(field, said[field.name], photo, name, wanted[field.name])
        return wanted

    def _compare_field(self, field: Field[Any], value: Any, photo: Photo, name: str, wanted: dict[UUID, Any]) -> None:
        there, pending = field.said(photo), wanted.get(photo.pk)
        if pending is not None:  # of another row with the same content, as if that had been given already
            there = pending if field.adds is None else [*(there or ()), *pending]
        try:
            if value is not None and field.adds is not None:
                value = field.adds(value, there)
            elif value is not None and there is not None and field.are_same(value, there):
                return
            if value is None:
                return
            if there is not None and field.adds is None and not self._overwrites:
                self.counts["kept"] += 1
                self.problems.add(name, f"The catalog has another {field.name}, which is kept.")
                return
            whole = value if pending is None or field.adds is None else [*pending, *value]
            field.check(photo, whole)
        except NotForThisPhoto as error:
            self.counts["failed"] += 1
            self.problems.add(name, f"Its {field.name} cannot be given: {error}")
            return
        wanted[photo.pk] = whole
        self.counts[field.count] += pending is None
        before = "" if there is None else field.shown(there)
        self.changes.add(name, field.name, before, ("+ " if field.adds else "") + field.shown(value))

    def _give(self, wanted: dict[str, dict[UUID, Any]]) -> None:
        """Make the changes through the verbs that people's own go through."""
        for field in FIELDS:
            if wanted[field.name]:
                for photo, reason in field.give(self._run.owner, wanted[field.name]).items():
                    self.counts["failed"] += 1
                    self.counts[field.count] -= 1
                    self.problems.add(str(photo), reason)

    def result(self) -> dict[str, Any]:
        """Return the counts; without `apply` those of changes are what would be changed."""
        return {
            "operation": str(self._run.operation.pk),
            "library": str(self._library.pk),
            "is_applied": self._is_real,
            **self.counts,
            "seconds": round(time.monotonic() - self._clock, 3),
            "change_count": self.changes.count,
            "changes": self.changes.listed,
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
        }
