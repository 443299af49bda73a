"""The operation `import_catalog`: gives captions and ratings of a catalog export to the photos of a library.

Photos are found by their id, else by their content. Without `apply` nothing is changed. What the catalog has is kept,
unless `overwrite` is given; what is empty in the export never takes anything away.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from accounts.models import User
from catalog.edits.captions import set_caption
from catalog.edits.ratings import set_ratings
from catalog.models import Library, Photo
from exports.formats.reader import InvalidExport, read_rows
from exports.models import Export
from exports.reading.originals import Problems
from exports.refusals import ExportRefused
from operations.kinds import operation_kind
from operations.models import Operation
from operations.running import LeaseLost, OperationFailed, Run, start
from photolala.lib.captions import BadCaption, tidy_caption

_AT_ONCE = 200
_FIELDS = ("caption", "rating")
_MD5 = re.compile("[0-9a-f]{32}")
Value = TypeVar("Value", str, int)


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


def _rows(stack: ExitStack, path: Path) -> Iterator[dict[str, Any]]:
    stream = stack.enter_context(path.open(encoding="utf-8-sig", newline=""))
    return read_rows(stream, is_csv=path.suffix == ".csv")


@dataclass(frozen=True, slots=True)
class _Change:
    """What is new for one photo."""

    photo: UUID
    caption: str | None
    rating: int | None


class CatalogImport:
    """One run of an import."""

    def __init__(self, run: Run, library: Library) -> None:
        self._run, self._library = run, library
        self._is_real, self._overwrites = bool(run.params.get("apply")), bool(run.params.get("overwrite"))
        self.counts = dict.fromkeys(("rows", "matched", "unmatched", "captions", "ratings", "kept", "failed"), 0)
        self.problems = Problems()
        self._clock = time.monotonic()

    @property
    def so_far(self) -> str:
        """A sentence about what was changed before an error."""
        if not self._is_real or not self.counts["rows"]:
            return "Nothing was changed."
        return f"What came before row {self.counts['rows'] + 1:,} is imported; the rest is not."

    def run_all(self, rows: Iterator[dict[str, Any]]) -> None:
        """Go through all rows, some at a time."""
        self._run.phase("Comparing the export", unit="photos")
        while batch := list(islice(rows, _AT_ONCE)):
            changes = self._compare(batch)
            if self._is_real and changes:
                if not self._run.still_mine():
                    raise LeaseLost
                self._make(changes)
            self.counts["rows"] += len(batch)
            self._run.advance(len(batch))
            self._run.checkpoint(force=False)

    def _compare(self, batch: list[dict[str, Any]]) -> list[_Change]:
        found = self._find(batch)
        changes = []
        for row in batch:
            photo = found.get(id(row))
            name = _printable(str(row.get("path") or row.get("filename") or row.get("id"))[:1000])
            if photo is None:
                self.counts["unmatched"] += 1
                self.problems.add(name, "No photo of the library has this id or this content.")
                continue
            self.counts["matched"] += 1
            try:
                change = self._change(row, photo, name)
            except ValueError as error:  # BadCaption is one
                self.counts["failed"] += 1
                self.problems.add(name, str(error))
                continue
            if change is not None:
                changes.append(change)
        return changes

    def _change(self, row: dict[str, Any], photo: Photo, name: str) -> _Change | None:
        caption, rating = row.get("caption") or "", row.get("rating") or 0
        if not isinstance(caption, str) or type(rating) is not int or not 0 <= rating <= 5:
            raise ValueError("Its caption is no text, or its rating no number from 0 to 5.")
        caption = tidy_caption(caption)
        new_caption = self._wanted("caption", caption, photo.caption, name)
        new_rating = self._wanted("rating", rating, photo.rating or 0, name)
        if new_caption is None and new_rating is None:
            return None
        self.counts["captions"] += new_caption is not None
        self.counts["ratings"] += new_rating is not None
        return _Change(photo.pk, new_caption, new_rating)

    def _wanted(self, what: str, wanted: Value, there: Value, name: str) -> Value | None:
        """Return what the photo is to get, None if it keeps what it has."""
        if not wanted or wanted == there:
            return None
        if there and not self._overwrites:
            self.counts["kept"] += 1
            self.problems.add(name, f"The catalog has another {what}, which is kept.")
            return None
        return wanted

    def _find(self, batch: list[dict[str, Any]]) -> dict[int, Photo]:
        """Return the photo of each row (by Python's id of it) that has one: by id, else the only one of its content."""
        photos = Photo.objects.filter(library=self._library).only("pk", "photo_md5", *_FIELDS)
        ids = {number: key for row in batch if (key := _uuid(row.get("id"))) and (number := id(row))}
        by_id = {photo.pk: photo for photo in photos.filter(pk__in=ids.values())}
        found = {number: by_id[key] for number, key in ids.items() if key in by_id}
        rest = [row for row in batch if id(row) not in found and _is_md5(row.get("photo_md5"))]
        by_content: defaultdict[str, list[Photo]] = defaultdict(list)
        for photo in photos.filter(photo_md5__in={row["photo_md5"] for row in rest}):
            by_content[photo.photo_md5].append(photo)
        for row in rest:
            same = by_content.get(row["photo_md5"], [])
            if len(same) == 1:
                found[id(row)] = same[0]
        return found

    def _make(self, changes: list[_Change]) -> None:
        """Make the changes through the verbs that people's own go through."""
        by_stars: defaultdict[int, list[UUID]] = defaultdict(list)
        for change in changes:
            if change.rating is not None:
                by_stars[change.rating].append(change.photo)
        for stars, photos in sorted(by_stars.items()):
            set_ratings(self._run.owner, photos, stars)
        for change in changes:
            if change.caption is not None:
                try:
                    set_caption(self._run.owner, change.photo, change.caption)
                except (Photo.DoesNotExist, BadCaption) as error:
                    self.counts["failed"] += 1
                    self.problems.add(str(change.photo), str(error))

    def result(self) -> dict[str, Any]:
        """Return the counts; without `apply` captions and ratings are those that would be given."""
        return {
            "operation": str(self._run.operation.pk),
            "library": str(self._library.pk),
            "is_applied": self._is_real,
            **self.counts,
            "seconds": round(time.monotonic() - self._clock, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
        }


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _is_md5(value: Any) -> bool:
    """Tell whether it is one: a database may be asked for no other text, such as half a character."""
    return isinstance(value, str) and _MD5.fullmatch(value) is not None


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
