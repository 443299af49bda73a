"""What a folder export has to do with a photo: nothing, or which name it gets in which folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from catalog.identity.aliases import current_md5
from catalog.models import Library
from catalog.models.photo import PhotoQuerySet
from exports.destinations.guard import Guard
from exports.destinations.naming import Naming
from exports.formats.batches import iterate_batches
from exports.ledger.errors import InvalidRecord
from exports.ledger.records import INTERRUPTED, ExportRecord, RecordStatus
from exports.ledger.store import Ledger, Place
from exports.models import ExportDestination
from exports.reading.originals import Original
from exports.reading.rows import Key, after_key
from photolala.lib.paths import join_path

from .names import OpenFolder, OpenFolders, file_name

MD5_KEY, SIZE_KEY = "photoMD5", "sizeBytes"  # keys of ours in the records, which other readers ignore
FOUND_BAD = "The copy is not as it was exported: "
"""How the error of a record begins whose copy was found bad: these are copied again by a repair, and by any export."""
NOT_COPIED = f"{FOUND_BAD}it was not copied again: "
"""How it begins if that could not be done."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PhotoRow(NamedTuple):
    """What the catalog knows of a photo; the names are those of its columns."""

    id: UUID
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    photo_md5: str
    taken_local: datetime
    taken_at: datetime
    taken_source: str
    camera_make: str
    camera_model: str

    @property
    def path(self) -> str:
        """The path in the library."""
        return join_path(self.directory, self.filename)


@dataclass(slots=True)
class Item:
    """A photo to export: what the catalog knows of it, where it goes, and under which name."""

    id: str
    original: Original
    place: Place
    mtime_ns: int
    folder: OpenFolder
    name: str
    is_copied: bool = False
    """Its bytes are there already: a killed run had copied them, or the records were lost."""


@dataclass(frozen=True, slots=True)
class Target:
    """A destination while an export writes into it."""

    destination: ExportDestination
    guard: Guard
    ledger: Ledger
    folders: OpenFolders


class Unplannable(Exception):
    """A photo has no place in the destination; `place` is where it should be, if that is known."""

    def __init__(self, reason: str, place: Place | None) -> None:
        super().__init__(reason)
        self.place = place


def is_known_bad(record: ExportRecord) -> bool:
    """Tell whether the copy was found bad and is not replaced, also if what copied it again was killed."""
    if record.status not in (RecordStatus.FAILED, RecordStatus.IN_PROGRESS) or record.last_error is None:
        return False
    was_there = MD5_KEY in record.extra
    return record.last_error.startswith(FOUND_BAD) or (record.last_error == INTERRUPTED and was_there)


def photo_rows(photos: PhotoQuerySet, naming: Naming) -> Iterator[PhotoRow]:
    """Yield the rows of photos, newest first, a batch at a time, each prepared to be named."""

    def fetch(after: Key | None, limit: int) -> list[PhotoRow]:
        return [PhotoRow(*row) for row in after_key(photos, after).values_list(*PhotoRow._fields)[:limit]]

    for batch in iterate_batches(fetch, lambda rows: (rows[-1].taken_at, str(rows[-1].id))):
        naming.prepare(row.id for row in batch)
        yield from batch


class Planner:
    """Compares photos with the records and files of one destination."""

    def __init__(self, library: Library, target: Target) -> None:
        self._library = library
        self._target = target
        destination = target.destination
        self.naming = Naming(destination.template, library.name, destination.owner)

    def plan(self, row: PhotoRow) -> Item | None:
        """Return what is to be done with a photo; None if it is there as it is now. Raises Unplannable."""
        identifier = str(row.id)
        original = Original(row.path, "", row.size_bytes, row.mtime_ns, row.photo_md5, identifier)
        place: Place | None = None
        try:
            place, filename = self.naming.name(row, file_name(row.filename))
            known = self._target.ledger.export_info(identifier)
            if known is not None and self._is_up_to_date(known, place, original):
                return None
            folder = self._folder(place.rel_path)
            wanted = self._target.folders.transport.fit_name(filename)
            name, is_copied = _choose_name(folder, known, place, wanted, original)
        except (ValueError, OSError) as error:  # InvalidRecord is a ValueError
            self._target.guard.require()
            raise Unplannable(str(error), place) from error
        mtime_ns = (row.taken_at - _EPOCH) // timedelta(microseconds=1) * 1000 if row.taken_source else row.mtime_ns
        return Item(identifier, original, place, mtime_ns, folder, name, is_copied)

    def _is_up_to_date(self, record: ExportRecord, place: Place, original: Original) -> bool:
        """Tell whether the photo was exported as it is now, under the month it has now, and the file is still there.

        A new template moves nothing that is there; a new date exports the photo to its new month, and the old copy stays.
        """
        if record.status is not RecordStatus.DONE or not record.filename:
            return False
        if (record.year, record.month) != (place.year, place.month):
            return False
        exported_md5 = record.extra.get(MD5_KEY)
        size_bytes = original.size_bytes
        if exported_md5 and original.photo_md5 and exported_md5 != original.photo_md5:
            if current_md5(self._library, exported_md5) != original.photo_md5:
                return False
            # Only words were written into the file since, a star: that is no new photo.
            size_bytes = record.extra.get(SIZE_KEY, size_bytes)
        try:
            folder = self._folder(record.rel_path)
        except InvalidRecord:  # another program wrote it, and it means no folder
            return False
        return folder.size_of(file_name(record.filename)) == size_bytes

    def _folder(self, rel_path: str) -> OpenFolder:
        self._target.guard.require_same()
        return self._target.folders.get(rel_path)


def _choose_name(
    folder: OpenFolder, known: ExportRecord | None, place: Place, filename: str, original: Original
) -> tuple[str, bool]:
    """Return the name for a photo in `folder`, and whether its bytes are there already under that name.

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
