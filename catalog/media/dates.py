"""When a photo was taken: read dates as cameras write them, doubt the impossible ones, choose the best."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from catalog.media.odd_dates import read_odd_stamp

OLDEST = datetime(1826, 1, 1)  # noqa: DTZ001 - wall clocks have no zone
"""The first photograph; nothing was taken before."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC throughout

_BEGINNINGS = frozenset(date.fromisoformat(day) for day in (
    "1903-12-31", "1904-01-01", "1969-12-31", "1970-01-01", "1980-01-01",
))  # fmt: skip
"""Where clocks begin that nobody set: QuickTime's, Unix's (with the evening before, west of Greenwich), that of DOS."""
_CLOCKS = frozenset(("exif", "quicktime"))
"""Sources that cameras write; XMP, a document or the file's name were written by somebody who knew."""

_STAMP = re.compile(
    r"\s*(\d{4})[:\-/. ](\d{1,2})[:\-/. ](\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|[+\-]\d{1,2}:?\d{2}|(?(4)[+\-]\d{1,2}))?"
)
_YEAR_MONTH = re.compile(r"\s*(\d{4})(?:[:\-](\d{2}))?\s*")
_OFFSET = re.compile(r"\s*([+\-])(\d{1,2}):?(\d{2})?")


IN_THE_FILE = ("exif", "xmp", "quicktime", "iptc")
"""Sources of a capture time that lie in the file itself; the others are its name, its time, and files beside it."""


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
    is_fallback: bool = False
    """It tells of the file rather than of the photo, and corrects nothing that only looks like a clock that was never set."""


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
    odd = read_odd_stamp(text.rstrip("\0 ")) if match is None or text[match.end() :].strip("\0 ") else None
    if odd is not None:
        parts, fraction, zone = odd
    elif match is not None:
        parts = tuple(int(part or 0) for part in match.group(1, 2, 3, 4, 5, 6))
        fraction, zone = match.group(7), match.group(8)
    elif loose := _YEAR_MONTH.fullmatch(text):
        parts, fraction, zone = (int(loose[1]), int(loose[2] or 1), 1, 0, 0, 0), None, None
    else:
        raise ImpossibleDate(text)
    try:
        local = _carried(parts, _microseconds(fraction or ""))
    except (ValueError, OverflowError) as error:
        raise ImpossibleDate(text) from error
    return Stamp(local, parse_offset(zone or ""))


def _carried(parts: tuple[int, ...], microseconds: int) -> datetime:
    """Return the moment; hour 24, which some phones write for the first of a day, is 0, and second 60 begins the next minute.

    Raises ValueError or OverflowError for what no clock shows.
    """
    year, month, day, hour, minute, second = parts
    moment = datetime(year, month, day, 0 if hour == 24 else hour, minute, 59 if second == 60 else second, microseconds)  # noqa: DTZ001
    return moment.replace(microsecond=0) + timedelta(seconds=1) if second == 60 else moment


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
    doubtful: Taken | None = None
    for candidate in candidates:
        if doubtful is not None and candidate.is_fallback:
            break
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
        if doubtful is None and _is_of_no_clock(candidate, stamp):
            doubtful = taken
        elif doubtful is None or not _is_of_no_clock(candidate, stamp):
            return _believed(doubtful, taken)
    return doubtful or Taken(notes=notes)


def _is_of_no_clock(candidate: Candidate, stamp: Stamp) -> bool:
    """True if the camera's clock perhaps counted from where it begins, since nobody had set it."""
    return candidate.source in _CLOCKS and is_beginning(stamp.local)


def is_beginning(local: datetime) -> bool:
    """Return whether clocks count from this day on, or would in another zone: nobody gave it."""
    return local.date() in _BEGINNINGS


def _believed(doubtful: Taken | None, taken: Taken) -> Taken:
    """Return `taken`; but a doubtful date that something else says, too, was meant."""
    if doubtful is None or doubtful.local is None or taken.local is None:
        return taken
    if doubtful.local.replace(microsecond=0) == taken.local.replace(microsecond=0):
        return doubtful
    shown = doubtful.local.isoformat(" ", "seconds")
    taken.notes.append(f"The date {shown!r} was skipped: a camera whose clock was never set writes it.")
    return taken


def says_as_much(own: Taken, beside: Taken, text: str) -> bool:
    """True if a date beside the file, written as `text`, adds nothing to the file's own: the same moment, no less exact."""
    if own.source not in IN_THE_FILE or own.local is None or beside.local is None:
        return False
    clock = re.findall(r"\d+", text)[3:6]
    exact = {0: "days", 1: "hours", 2: "minutes"}.get(len(clock), "seconds")
    if exact == "days":
        return own.local.date() == beside.local.date()
    if own.local.isoformat(timespec=exact) == beside.local.isoformat(timespec=exact):
        return own.offset_minutes is not None or beside.offset_minutes is None
    return beside.offset_minutes is not None and own.at is not None and own.at.replace(microsecond=0) == beside.at


def _placed(stamp: Stamp, zone: ZoneInfo) -> Taken:
    if stamp.is_utc:
        at = stamp.local.replace(tzinfo=UTC)
        return Taken(at.astimezone(zone).replace(tzinfo=None), None, at)
    if stamp.offset_minutes is not None:
        at = stamp.local.replace(tzinfo=timezone(timedelta(minutes=stamp.offset_minutes))).astimezone(UTC)
        return Taken(stamp.local, stamp.offset_minutes, at)
    return Taken(stamp.local, None, stamp.local.replace(tzinfo=zone, fold=0).astimezone(UTC))


def from_mtime(mtime_ns: int) -> Candidate | None:
    """Return the file's modification time as the last resort; None when it is the epoch or not representable."""
    if mtime_ns <= 0:
        return None
    try:
        moment = EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return None
    return Candidate("file", "the file's modification time", Stamp(moment, None, is_utc=True), is_fallback=True)


def from_unix(seconds: int, source: str, label: str) -> Candidate | None:
    """Return an instant given in seconds since 1970; None when it is not representable."""
    try:
        return Candidate(source, label, Stamp(EPOCH + timedelta(seconds=seconds), None, is_utc=True))
    except OverflowError:
        return None
