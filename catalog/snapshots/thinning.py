"""Which of a library's snapshots are kept: all of the last time, then one of each day, then one of each month."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple


class Since(NamedTuple):
    """From when on all snapshots are kept, the last of each day, and the last of each month."""

    all: datetime
    daily: datetime
    monthly: datetime


def thinned(md5s: Sequence[str], written_at: Mapping[str, datetime], since: Since, *, newest: int) -> tuple[str, ...]:
    """Return those of `md5s` that are kept, in their order, which is that of a pointer: the latest first.

    The first `newest` always are (at least one), and those of which `written_at` knows nothing. Days and months are UTC's.
    """
    kept = set(md5s[: max(newest, 1)])
    seen: set[tuple[int, ...]] = set()
    dated = sorted(((at.astimezone(UTC), md5) for md5 in md5s if (at := written_at.get(md5))), reverse=True)
    for at, md5 in dated:
        day, month = (at.year, at.month, at.day), (at.year, at.month)
        if at >= since.all or (at >= since.daily and day not in seen) or (at >= since.monthly and month not in seen):
            kept.add(md5)
        seen |= {day, month}
    return tuple(md5 for md5 in md5s if md5 in kept or md5 not in written_at)
