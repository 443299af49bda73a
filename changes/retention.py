"""How long tombstones are kept, so that the table does not grow for ever: 90 days at least."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from changes.models import Scope, Tombstone
from changes.scopes import number
from operations import clock

KEEP = timedelta(days=90)
_BATCH = 1000


def collect_old() -> int:
    """Remove tombstones of more than 90 days of being there; return how many. None while the clock is suspect."""
    return 0 if clock.is_suspect() else collect(clock.time_ago(KEEP))


def collect(before: datetime) -> int:
    """Remove the tombstones of before that moment, and raise the floors of their scopes; return how many.

    Who knows less than a floor starts over. In scopes that nobody has read, tombstones tell nobody anything.
    """
    count = 0
    while True:
        page = Tombstone.objects.filter(buried_at__lt=before).order_by("buried_at", "pk")[:_BATCH]
        keys = dict(page.values_list("pk", "scope"))
        if not keys:
            return count
        for scope in sorted(set(keys.values())):
            count += _collect_in(scope, [key for key, its in keys.items() if its == scope])


def _collect_in(scope: str, keys: list[int]) -> int:
    old = Tombstone.objects.filter(pk__in=keys)
    if Scope.objects.filter(name=scope).exists():
        while old.filter(version__isnull=True).exists():
            number(scope)
    with transaction.atomic():
        counter = Scope.objects.select_for_update().filter(name=scope).first()
        if counter is not None:
            counter.floor = max(counter.floor, old.aggregate(highest=Max("version"))["highest"] or 0)
            counter.save(update_fields=["floor"])
            old = old.filter(version__isnull=False)
        return old.delete()[0]
