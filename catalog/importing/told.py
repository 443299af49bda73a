"""What tables of an export tell of photos, applied to what was read of these."""

import os
import unicodedata
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from catalog.entries.taken import taken_columns
from catalog.importing.icloud import MOST_BYTES, Told, details_in, folder_in_icloud, is_details, was_deleted
from catalog.importing.origins import Origin
from catalog.importing.read_file import ReadFile
from catalog.media.dates import ImpossibleDate, check_possible
from catalog.models import Import

NOT_BY_THE_CAMERA = ("", "file", "filename")
"""Sources of dates that know less than the table does."""


class ToldByTables:
    """The tables of one import: each folder's are read when a photo of it is."""

    def __init__(self, wanted: Import, origin: Origin, zone: str) -> None:
        self._wanted, self._origin, self._zone = wanted, origin, ZoneInfo(zone)
        self._directory: str | None = None
        self._told: dict[str, Told] = {}

    def apply(self, one: ReadFile) -> None:
        """Note date, favourite and trash as the table beside a photo tells them, where the file knows no date itself."""
        directory = one.item.directory
        if not folder_in_icloud(directory):
            return
        if directory != self._directory:
            self._directory, self._told = directory, self._read(directory)
        told = self._told.get(_composed(one.item.filename), Told())
        one.result.is_favourite = one.result.is_favourite or told.is_favourite
        one.result.is_trashed = one.result.is_trashed or told.is_deleted or was_deleted(directory)
        if told.at is not None and one.columns["taken_source"] in NOT_BY_THE_CAMERA:
            one.told_date = self._wall_clock(told.at)
            if one.told_date is not None:
                wall, minutes = one.told_date
                one.columns.update(taken_columns(wall.isoformat(), told.at.isoformat(), minutes, "sidecar"))

    def _wall_clock(self, at: datetime) -> tuple[datetime, int] | None:
        """Return the library's wall clock and its minutes east of UTC; None at a moment when no photo was taken."""
        try:
            local = at.astimezone(self._zone)
            check_possible(local.replace(tzinfo=None), datetime.now(UTC).replace(tzinfo=None))
        except (OverflowError, ImpossibleDate):
            return None
        offset = local.utcoffset()
        return local.replace(tzinfo=None), int(offset.total_seconds() // 60) if offset is not None else 0

    def _read(self, directory: str) -> dict[str, Told]:
        found: dict[str, Told] = {}
        for item in self._wanted.items.filter(directory=directory, filename__iendswith=".csv").order_by("filename"):
            if not is_details(directory, item.filename) or item.size_bytes > MOST_BYTES:
                continue
            try:
                descriptor = self._origin.open(item)
            except OSError:
                continue
            with open(descriptor, "rb") as file:
                table = details_in(os.pread(file.fileno(), MOST_BYTES, 0))
            self._origin.forget(item)
            for name, told in table.items():
                found.setdefault(_composed(name), told)
        return found


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
