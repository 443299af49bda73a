"""How much of each month of the photos is in a destination."""

from django.db.models import Count, F

from accounts.models import User
from catalog.models import Library, Photo
from exports.destinations.records import ledger_of
from exports.ledger.state import MonthSummary, summarize_month
from exports.models import ExportDestination


def month_summaries(destination: ExportDestination, user: User, year: int | None = None) -> list[MonthSummary]:
    """Return how much of each month's photos is in the destination, newest first; of `year` only, if given.

    Counts the libraries exported to it that `user` may see. LedgerFailed if the records cannot be read.
    """
    libraries = destination.libraries.filter(pk__in=Library.objects.visible_to(user).values("pk"))
    photos = Photo.objects.filter(library__in=libraries.values("pk")).exclude(state=Photo.State.MISSING)
    if year is not None:
        photos = photos.filter(taken_day__range=(year * 10_000, year * 10_000 + 9_999))
    months = photos.values(month=F("taken_day") / 100).annotate(count=Count("pk")).order_by()
    totals = {divmod(row["month"], 100): row["count"] for row in months if row["month"]}
    done = {(y, m): count for y, m, count in ledger_of(destination).state.done_months() if year in (None, y)}
    return [
        summarize_month(year, month, done.get((year, month), 0), totals.get((year, month), 0))
        for year, month in sorted({*totals, *done}, reverse=True)
    ]
