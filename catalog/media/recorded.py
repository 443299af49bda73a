"""What containers of videos say about the moment of recording, as candidates for the capture time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from catalog.media.dates import EPOCH, Candidate, ImpossibleDate, Stamp, parse_stamp

SOURCE = "quicktime"
"""The source of all dates that a video's container holds, whatever the container."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_IN_WORDS = re.compile(r"(?:[A-Za-z]{3,9},?\s+)?([A-Za-z]{3})[a-z]*\s+(\d{1,2})\s+(\d{1,2}:\d\d:\d\d)\s+(\d{4})")
"""Wed Dec 17 17:34:51 2003, as C's asctime writes it."""
_IN_DIGITS = re.compile(
    r"(\d{4})[-:/.]\s*(\d{1,2})[-:/.]\s*(\d{1,2})/?(?:[T\s]\s*(\d{1,2}):\s*(\d{1,2})(?::(\d{1,2}(?:[.,]\d+)?))?"
    r"\s*([AaPp][Mm])?\s*(Z|UTC|[+-]\d\d:?\d\d)?)?"
)
"""2003-12-17T17:34:51+0100, and what cameras make of it: 2001/ 1/27  1:42PM, 2005/11/28/ 09:19."""
_FILETIME_OF_1970 = 116_444_736_000_000_000


def recorded(label: str, text: str) -> Candidate | None:
    """Return the date that a tag called `label` holds; None for a year alone and for what is no date."""
    text = text.strip("\0 \t\r\n")[:60]
    in_words = _IN_WORDS.match(text)
    if in_words and in_words[1].lower() in _MONTHS:
        month = _MONTHS.index(in_words[1].lower()) + 1
        return Candidate(SOURCE, label, f"{in_words[4]}:{month:02}:{int(in_words[2]):02} {in_words[3]}")
    match = _IN_DIGITS.match(text)
    if not match:
        return None
    year, month_text, day, hour, minute, second, half, zone = match.groups()
    plain = f"{year}:{month_text}:{day}"
    if hour is None:
        return Candidate(SOURCE, label, plain)
    hours = int(hour) % 12 + 12 * (half.lower() == "pm") if half else int(hour)
    plain += f" {hours:02}:{minute}:{second or '00'}"
    if zone not in ("Z", "UTC"):
        return Candidate(SOURCE, label, plain + (zone or ""))
    try:
        stamp = parse_stamp(plain)
    except ImpossibleDate:
        return Candidate(SOURCE, label, plain)
    return Candidate(SOURCE, label, Stamp(stamp.local, None, is_utc=True)) if stamp else None


def has_clock(candidate: Candidate) -> bool:
    """Return whether the date has a time of day."""
    return isinstance(candidate.value, Stamp) or " " in candidate.value.strip()


def recorded_at_filetime(label: str, ticks: int) -> Candidate | None:
    """Return the instant of Windows' clock, in units of 100 ns since 1601; None for one before 1970 and one out of range."""
    try:
        moment = EPOCH + timedelta(microseconds=(ticks - _FILETIME_OF_1970) // 10)
    except OverflowError:
        return None
    return Candidate(SOURCE, label, Stamp(moment, None, is_utc=True)) if ticks > _FILETIME_OF_1970 else None


def recorded_at(label: str, local: datetime, offset_minutes: int | None) -> Candidate:
    """Return the reading of a camera's clock."""
    return Candidate(SOURCE, label, Stamp(local, offset_minutes))
