"""How long a library's snapshots are kept, by the setting and by a clock that is not believed at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings

from catalog.models import Library, Snapshot
from catalog.snapshots.claimed import ClaimedLocation
from catalog.snapshots.location import Location
from catalog.snapshots.publish import KEEP_COUNT, Keep
from catalog.snapshots.schema import snapshot_name
from catalog.snapshots.thinning import Since, thinned
from operations import clock

NEWEST = KEEP_COUNT
"""So many are kept whatever their age."""
_DAY = timedelta(days=1)
_MONTH = 31 * _DAY


def keeper(library: Library, *also: str) -> Keep:
    """Return what tells which snapshots of `library` are kept where it publishes; those of the MD5s `also` are, too."""
    written_at = dict(Snapshot.objects.filter(library=library).values_list("md5", "published_at"))
    is_suspect = clock.is_suspect()
    days, daily, months = settings.KEEP_SNAPSHOTS
    since = Since(_since(days * _DAY), _since(daily * _DAY), _since(months * _MONTH))

    def keep(location: Location, md5s: Sequence[str]) -> Sequence[str]:
        if is_suspect:  # nothing is removed for good on the word of a clock that was just set
            return md5s
        dates = {md5: at for md5 in md5s if (at := written_at.get(md5) or _file_date(location, md5))}
        kept = {*also, *thinned(md5s, dates, since, newest=NEWEST)}
        return [md5 for md5 in md5s if md5 in kept]

    return keep


def _since(length: timedelta) -> datetime:
    return clock.time_ago(length) if length else datetime.max.replace(tzinfo=UTC)


def rule() -> str:
    """Return the rule as a sentence for people."""
    days, daily, months = settings.KEEP_SNAPSHOTS
    parts = [f"the {NEWEST} newest"]
    if days:
        parts.append("all of the last day" if days == 1 else f"all of the last {days} days")
    if daily:
        parts.append(f"one of each of the last {daily} days")
    if months:
        parts.append(f"one of each of the last {months} months")
    return f"Kept are {', '.join(parts[:-1])}{' and ' if parts[1:] else ''}{parts[-1]}."


def _file_date(location: Location, md5: str) -> datetime | None:
    """Return when a snapshot that another server published was written here; None if the place does not tell."""
    at = location.written_at(snapshot_name(md5)) if isinstance(location, ClaimedLocation) else None
    return datetime.fromtimestamp(at, UTC) if at else None
