"""Which backups are kept: the newest of each of the last days, weeks and months that have any. Pure."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

MOST_UNVERIFIED = 20
"""So many backups that could not be verified are kept, of those newer than the last verified one."""


@dataclass(frozen=True)
class Made:
    """A backup that was made, and whether all of it was read and right."""

    key: Any
    at: datetime
    is_verified: bool


@dataclass(frozen=True)
class Keep:
    """Of how many days, weeks and months the newest verified backup is kept; only those that have one count."""

    daily: int
    weekly: int
    monthly: int


def to_delete(made: Iterable[Made], keep: Keep) -> list[Any]:
    """Return the keys of the backups that are not kept any more, the oldest first.

    The newest verified one is always kept, whatever `keep` says. One that is not verified is never counted for a day, week
    or month: it goes once a newer one is verified. Until then the newest of these are kept: if all were, so many of them
    would be there in the end that no further backup may be made.
    """
    newest_first = sorted(made, key=lambda one: one.at, reverse=True)
    verified = [one for one in newest_first if one.is_verified]
    newer = [one for one in newest_first if not verified or one.at > verified[0].at]
    kept = {one.key for one in (*newer[:MOST_UNVERIFIED], *verified[:1])}
    for number, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
        kept |= _newest_of_each(verified, number, period)
    return [one.key for one in reversed(newest_first) if one.key not in kept]


def _newest_of_each(verified: list[Made], number: int, period: Callable[[date], Hashable]) -> set[Any]:
    newest: dict[Hashable, Any] = {}
    for one in verified:
        newest.setdefault(period(one.at.date()), one.key)
    return set(list(newest.values())[:number])


def _day(day: date) -> Hashable:
    return day


def _week(day: date) -> Hashable:
    return day.isocalendar()[:2]


def _month(day: date) -> Hashable:
    return day.year, day.month
