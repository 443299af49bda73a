"""When a photo was taken: read dates as cameras write them, doubt the impossible ones, choose the best."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

OLDEST = datetime(1826, 1, 1)  # noqa: DTZ001 - wall clocks have no zone
"""The first photograph; nothing was taken before."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC throughout

_STAMP = re.compile(
    r"\s*(\d{4})[:\-/. ](\d{1,2})[:\-/. ](\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|[+\-]\d{1,2}:?\d{2})?"
)
_YEAR_MONTH = re.compile(r"\s*(\d{4})(?:[:\-](\d{2}))?\s*")
_OFFSET = re.compile(r"\s*([+\-])(\d{1,2}):?(\d{2})?")
_IN_NAME = re.compile(
    r"(?<!\d)((?:18|19|20)\d\d)([-_.: ]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:(?:[-_ T.]| at |, |)([01]\d|2[0-3])([-_.:]?)([0-5]\d)\6([0-5]\d)(?:[-_.]?(\d{3}))?(?!\d))?(?!\d)"
)


class ImpossibleDate(ValueError):
    """The text has the form of a date but names none that a photo can have."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A wall clock reading, or an instant when `is_utc`."""

    local: datetime
    offset_minutes: int | None = None
    is_utc: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A date that some part of a file claims: its source, the tag's name for people, and the text or the stamp."""

    source: str
    label: str
    value: str | Stamp
    offset: str = ""
    fraction: str = ""
    gps_utc: datetime | None = None


@dataclass(slots=True)
class Taken:
    """The chosen capture time; `local` is None when nothing is known."""

    local: datetime | None = None
    offset_minutes: int | None = None
    at: datetime | None = None
    source: str = ""
    is_estimated: bool = False
    notes: list[str] = field(default_factory=list)


def parse_stamp(text: str) -> Stamp | None:
    """Read `2019:01:02 03:04:05.6+07:00` and its relatives; None when blank.

    Raises ImpossibleDate for month 13, zeros and the like.
    """
    if not text.strip(" :\0\t-/"):
        return None
    match = _STAMP.match(text)
    if not match:
        loose = _YEAR_MONTH.fullmatch(text)
        if not loose:
            raise ImpossibleDate(text)
        parts = (int(loose[1]), int(loose[2] or 1), 1, 0, 0, 0)
        fraction, zone = None, None
    else:
        parts = tuple(int(part or 0) for part in match.group(1, 2, 3, 4, 5, 6))
        fraction, zone = match.group(7), match.group(8)
    try:
        local = datetime(*parts, _microseconds(fraction or ""))  # type: ignore[arg-type,call-arg]  # noqa: DTZ001
    except ValueError as error:
        raise ImpossibleDate(text) from error
    if zone == "Z":
        return Stamp(local, 0)
    return Stamp(local, parse_offset(zone or ""))


def parse_offset(text: str) -> int | None:
    """Return minutes east of UTC for `+05:45`, `-0700` or `Z`; None for anything else or beyond 15 hours."""
    if text.strip() == "Z":
        return 0
    match = _OFFSET.match(text)
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    if minutes > 15 * 60 or int(match[3] or 0) > 59:
        return None
    return -minutes if match[1] == "-" else minutes


def _microseconds(digits: str) -> int:
    digits = digits.strip()
    return int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdigit() else 0


def check_possible(local: datetime, now: datetime | None) -> None:
    """Raise ImpossibleDate before 1826, or more than a day after `now` (naive UTC) when given."""
    if local < OLDEST or (now is not None and local > now + timedelta(days=1, hours=14)):
        raise ImpossibleDate(local.isoformat(" "))


def offset_from_gps(local: datetime, gps_utc: datetime) -> int | None:
    """Return the offset that turns the satellite time into the wall clock, if a quarter of an hour within two minutes fits."""
    minutes = (local - gps_utc).total_seconds() / 60
    quarter = round(minutes / 15) * 15
    if abs(minutes - quarter) > 2 or not -12 * 60 <= quarter <= 14 * 60:
        return None
    return quarter


def resolve(candidate: Candidate, now: datetime | None) -> Stamp | None:
    """Return the stamp that `candidate` claims, None when blank. Raises ImpossibleDate."""
    if isinstance(candidate.value, Stamp):
        stamp: Stamp | None = candidate.value
    else:
        stamp = parse_stamp(candidate.value)
    if stamp is None:
        return None
    local, offset = stamp.local, stamp.offset_minutes
    if candidate.fraction and not local.microsecond:
        local = local.replace(microsecond=_microseconds(candidate.fraction))
    if offset is None and not stamp.is_utc:
        offset = parse_offset(candidate.offset)
        if offset is None and candidate.gps_utc is not None:
            offset = offset_from_gps(local, candidate.gps_utc)
    check_possible(local, now)
    return Stamp(local, offset, stamp.is_utc)


def choose(candidates: Iterable[Candidate], zone: ZoneInfo, now: datetime) -> Taken:
    """Return the first possible date of `candidates`, best first.

    `now` is naive UTC. Where no offset is known, `zone` decides the instant.
    In the hour that a clock skips the instant is that of the offset before, in the hour that it repeats the first one.
    """
    notes: list[str] = []
    for candidate in candidates:
        try:
            stamp = resolve(candidate, now)
        except ImpossibleDate:
            shown = candidate.value if isinstance(candidate.value, str) else candidate.value.local.isoformat(" ")
            notes.append(f"The date {shown.strip()[:40]!r} ({candidate.label}) is impossible and was skipped.")
            continue
        if stamp is None:
            continue
        try:
            taken = _placed(stamp, zone)
        except (OverflowError, ValueError):
            notes.append(f"The date of {candidate.label} is out of range and was skipped.")
            continue
        taken.source, taken.is_estimated, taken.notes = candidate.source, candidate.source == "file", notes
        return taken
    return Taken(notes=notes)


def _placed(stamp: Stamp, zone: ZoneInfo) -> Taken:
    if stamp.is_utc:
        at = stamp.local.replace(tzinfo=UTC)
        return Taken(at.astimezone(zone).replace(tzinfo=None), None, at)
    if stamp.offset_minutes is not None:
        at = stamp.local.replace(tzinfo=timezone(timedelta(minutes=stamp.offset_minutes))).astimezone(UTC)
        return Taken(stamp.local, stamp.offset_minutes, at)
    return Taken(stamp.local, None, stamp.local.replace(tzinfo=zone, fold=0).astimezone(UTC))


def from_name(name: str) -> Candidate | None:
    """Return the date in a file name: IMG_20190102_030405, 2019-01-02 03.04.05, IMG-20190102-WA0001 (midnight), PXL_… (UTC)."""
    for match in _IN_NAME.finditer(name):
        year, _, month, day, hour, _, minute, second, millis = match.groups()
        try:
            local = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001
        except ValueError:
            continue
        local = local.replace(microsecond=_microseconds(millis or ""))
        # Pixel cameras name their files in UTC; everyone else uses the wall clock.
        return Candidate("filename", "the file name", Stamp(local, None, is_utc=name.startswith("PXL_") and bool(hour)))
    return None


def from_mtime(mtime_ns: int) -> Candidate | None:
    """Return the file's modification time as the last resort; None when it is the epoch or not representable."""
    if mtime_ns <= 0:
        return None
    try:
        moment = EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return None
    return Candidate("file", "the file's modification time", Stamp(moment, None, is_utc=True))


def from_unix(seconds: int, source: str, label: str) -> Candidate | None:
    """Return an instant given in seconds since 1970; None when it is not representable."""
    try:
        return Candidate(source, label, Stamp(EPOCH + timedelta(seconds=seconds), None, is_utc=True))
    except OverflowError:
        return None
