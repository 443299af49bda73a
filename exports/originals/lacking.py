"""Which photos of a month are not in a destination, and how full each month is: the calendar of a destination."""

from dataclasses import dataclass
from itertools import groupby

from accounts.models import User
from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from exports.destinations.records import ledger_of
from exports.ledger.records import RecordStatus
from exports.ledger.state import MonthSummary
from exports.models import ExportDestination

MOST_SHOWN = 200
LEVELS = 4
"""Steps of the share of a month that is exported, between nothing (0) and all of it (4)."""
_IDS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class MonthShare:
    """How much of a month is exported. `level`: 0 for nothing, 1 to 3 in between, 4 for all of it."""

    year: int
    month: int
    exported_count: int
    total_count: int

    @property
    def percent(self) -> int:
        """The share in per cent, rounded so that only nothing is 0 and only all is 100."""
        if not 0 < self.exported_count < self.total_count:
            return 100 if self.exported_count else 0
        return min(99, max(1, round(100 * self.exported_count / self.total_count)))

    @property
    def level(self) -> int:
        """The step of the share."""
        if self.percent in (0, 100):
            return LEVELS if self.percent else 0
        return 1 + min(LEVELS - 2, self.percent * (LEVELS - 1) // 100)


def month_calendar(months: list[MonthSummary]) -> list[tuple[int, list[MonthShare | None]]]:
    """Return years, newest first, each with its twelve months: None where there is no photo and none was exported."""
    shares = {
        (one.year, one.month): MonthShare(one.year, one.month, one.exported_count, one.total_count) for one in months
    }
    years = [year for year, _ in groupby(sorted((year for year, _ in shares), reverse=True))]
    return [(year, [shares.get((year, month)) for month in range(1, 13)]) for year in years]


def photos_of_month(destination: ExportDestination, user: User, year: int, month: int) -> PhotoQuerySet:
    """Return the photos of a month in the libraries exported to the destination that `user` may see, newest first."""
    libraries = destination.libraries.filter(pk__in=Library.objects.visible_to(user).values("pk"))
    day = (year * 100 + month) * 100
    photos = Photo.objects.filter(library__in=libraries.values("pk"), taken_day__range=(day + 1, day + 99))
    return photos.exclude(state=Photo.State.MISSING).order_by("-taken_at", "id")


def lacking_photos(destination: ExportDestination, user: User, year: int, month: int) -> tuple[int, list[Photo]]:
    """Return how many photos of a month are not in the destination, and the first of them. Raises LedgerFailed."""
    state = ledger_of(destination).state
    lacking = []
    photos = photos_of_month(destination, user, year, month)
    for photo_id in photos.values_list("pk", flat=True).iterator(_IDS_AT_ONCE):
        record = state.get(str(photo_id))
        if record is None or record.status is not RecordStatus.DONE or (record.year, record.month) != (year, month):
            lacking.append(photo_id)
    return len(lacking), list(photos.filter(pk__in=lacking[:MOST_SHOWN]))
