"""The clock, whose single readings are not believed where something is deleted for good.

The wall clock of a server can be wrong: a battery that is empty, a time server that is, somebody who sets it. What cannot be
set is the boot clock, which counts since the machine was started. From both, and from what was seen before, which the
database keeps, two things follow:

- how long this installation has *been there*, added up over starts and machines (`lived_seconds`);
- whether the wall clock jumped: then it is suspect for a day, and the schedule deletes nothing for good.

`time_ago` is what schedules that delete ask instead of subtracting from the wall clock.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from photolala.lib.process import boot_id, boot_seconds

from .models import ClockMark, ClockReading, Operation

logger = logging.getLogger(__name__)
JUMP = timedelta(minutes=5)
"""Clocks are corrected by less every day."""
SUSPECT_FOR = timedelta(days=1)
MARK_EVERY = timedelta(hours=6)
LOOK_AGAIN_SECONDS = 10.0
MOST_BOOTS = 32
MOST_JUMPS = 50
_KEY = 1


@dataclass(frozen=True)
class Jump:
    """The wall clock was set by `seconds` (back if negative); it said `at` right after."""

    at: datetime
    seconds: float


def clock_offset() -> float:
    """Return by how much the wall clock is ahead of the boot clock, in seconds: a jump of the one changes it."""
    return timezone.now().timestamp() - boot_seconds()


def look() -> ClockReading:
    """Read both clocks, note what they say beside what was seen before, and return it. Writes every ten seconds at most."""
    seen = ClockReading.objects.filter(pk=_KEY).first()
    if seen is not None and not _is_news(seen):
        return seen
    with transaction.atomic():
        seen = ClockReading.objects.select_for_update().filter(pk=_KEY).first() or _begin()
        _add(seen)
        # Not `heard_at`, which somebody else writes.
        names = ["seen_at", "lived_seconds", "suspect_until", "boots", "jumps"]
        seen.save(force_insert=seen._state.adding, update_fields=None if seen._state.adding else names)
    return seen


def is_suspect() -> bool:
    """True for a day after the wall clock jumped: what it says is then no reason to delete anything for good."""
    reading = look()
    return reading.lived_seconds < reading.suspect_until


def time_ago(length: timedelta, now: datetime | None = None) -> datetime:
    """Return the latest moment since which this installation has been there for `length`, also by the wall clock.

    What is older than that may be deleted by a schedule. Time during which nothing ran does not count, and neither does what
    a clock says that was just set. Give `now` where the time is known; then it is simply subtracted from.
    """
    if now is not None:
        return now - length
    reading = look()
    least = timezone.now() - length
    target = reading.lived_seconds - length.total_seconds()
    marks = ClockMark.objects.all()
    mark = marks.filter(lived_seconds__lte=target).order_by("-lived_seconds").first()
    if mark is not None:
        # A mark that was made while the clock was ahead is not believed more than a later one.
        earliest = marks.filter(lived_seconds__gte=mark.lived_seconds).aggregate(at=Min("seen_at"))["at"]
        return min(least, earliest)
    first = marks.aggregate(at=Min("seen_at"))["at"]  # before that, the wall clock's word is all there is
    return min(least, first + timedelta(seconds=target))


def jumps(within: timedelta) -> list[Jump]:
    """Return the jumps of the last `within` of being there, newest first."""
    reading = look()
    since = reading.lived_seconds - within.total_seconds()
    return [
        Jump(datetime.fromisoformat(one["at"]), float(one["seconds"]))
        for one in reversed(reading.jumps)
        if one["lived"] >= since
    ]


def _is_news(seen: ClockReading) -> bool:
    before = seen.boots.get(boot_id())
    if before is None:
        return True
    return boot_seconds() - before["boot"] > LOOK_AGAIN_SECONDS or abs(clock_offset() - before["offset"]) > 1.0


def _begin() -> ClockReading:
    """Return the first reading. What is older was seen by nobody, so the latest known work says when it was."""
    now = timezone.now()
    latest = Operation.objects.filter(updated_at__lt=now).aggregate(at=Max("updated_at"))["at"] or now
    ClockMark.objects.create(lived_seconds=0.0, seen_at=min(now, latest))
    return ClockReading(pk=_KEY, seen_at=now)


def _add(seen: ClockReading) -> None:
    """Add what the clocks say now."""
    boot, name, offset, now = boot_seconds(), boot_id(), clock_offset(), timezone.now()
    before: dict[str, Any] | None = seen.boots.get(name)
    if before is not None and boot >= before["boot"]:
        # By this machine's own clock; what another machine has counted meanwhile is not counted twice.
        seen.lived_seconds = max(seen.lived_seconds, before["lived"] + boot - before["boot"])
        by = offset - before["offset"]
    else:
        by = min(0.0, (now - seen.seen_at).total_seconds())  # how long a machine was off nobody can tell
    if abs(by) > JUMP.total_seconds():
        logger.warning("The clock jumped by %.0f seconds; the schedule deletes nothing for good for a day.", by)
        jump = {"at": now.isoformat(), "seconds": by, "lived": seen.lived_seconds}
        seen.jumps = [*seen.jumps, jump][-MOST_JUMPS:]
        seen.suspect_until = seen.lived_seconds + SUSPECT_FOR.total_seconds()
    others = [(key, value) for key, value in seen.boots.items() if key != name]
    others.sort(key=lambda item: item[1]["lived"])
    seen.boots = {**dict(others[-MOST_BOOTS:]), name: {"boot": boot, "lived": seen.lived_seconds, "offset": offset}}
    seen.seen_at = now
    marked = ClockMark.objects.aggregate(at=Max("lived_seconds"))["at"]
    if marked is None or seen.lived_seconds - marked >= MARK_EVERY.total_seconds():
        ClockMark.objects.create(lived_seconds=seen.lived_seconds, seen_at=now)
