"""The date in a file name, as cameras, phones, messengers and the screenshots of many languages write it."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

from catalog.media.dates import EPOCH, Candidate, Stamp
from catalog.media.odd_dates import hour_of_day

_DATE = re.compile(
    r"(?<!\d)((?:18|19|20)\d\d)"
    r"(?:([-_.: ]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"|_(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=_\d{6}(?!\d))"
    r"|([-_.])(0?[1-9]|1[0-2])\7(0?[1-9]|[12]\d|3[01])(?!\d))"
)
_CLOCK = re.compile(
    r"(?:[-_ T.]| at |, |)([01]\d|2[0-3])([-_.: ]?)([0-5]\d)\2([0-5]\d)(?:[-_.]?(\d{3}))?(?!\d)"
    r"(?:[\s_]*([AaPp])\.?\s?[Mm]\b)?"
)
"""With two digits for the hour: `_030405`, ` at 03.04.05 PM`."""
_WORDS_AND_CLOCK = re.compile(
    r"[\s,_]*(?:[^\W\d_]{1,7}(?:\(s\))?\.?[\s\-]*){0,3}?(?P<before>AM|PM|[ap]\.\s?m\.|上午|下午|午前|午後|오전|오후|ÖÖ|ÖS)?[\s_]*"
    r"(?P<hour>\d{1,2})(?P<between>[.:\-hｈ])(?P<minute>[0-5]\d)(?:(?P=between)(?P<second>[0-5]\d))?(?!\d)"
    r"(?:[\s_]*(?P<after>[ap]\.?\s?m\b|[πμ]\.?μ\b|[مص](?!\w)))?",
    re.IGNORECASE,
)
"""Screenshots say `at`, `um`, `à`, `a las`, `kello`, `в` …, some with one digit for the hour, some with a half of the day."""
_SECOND_HALVES = ("p", "下午", "午後", "오후", "ös", "μμ", "μ.μ", "م")
_MILLISECONDS = re.compile(r"(?:[^\W\d]|[- ])*(1\d{12})(?![^\W_])")
"""Since 1970, at the beginning of the name or after nothing but letters: `mmexport1546398245123`."""


def from_name(name: str, now: datetime | None = None) -> Candidate | None:
    """Return the date in a file name: IMG_20190102_030405, 2019-01-02 3.04.05 PM, IMG-20190102-WA0001 (midnight), PXL_… (UTC).

    Milliseconds since 1970 count if they are not after `now` (naive UTC).
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)  # macOS takes accents and syllables apart
    position = 0
    while match := _DATE.search(name, position):
        position = match.start() + 1
        clock = _clock_behind(name, match)
        try:
            local = _moment(match, clock) if clock is not None else None
        except ValueError:
            continue
        if local is not None:
            # Pixel cameras name their files in UTC; everyone else uses the wall clock.
            return Candidate(
                "filename", "the file name", Stamp(local, None, is_utc=name.startswith("PXL_") and bool(clock))
            )
    return _from_milliseconds(name, now)


def _moment(date: re.Match[str], clock: tuple[int, ...]) -> datetime:
    year, month, day = (int(part) for part in date.group(1, 3, 4, 5, 6, 8, 9) if part)
    return datetime(year, month, day, *clock)  # type: ignore[arg-type]  # noqa: DTZ001


def _clock_behind(name: str, date: re.Match[str]) -> tuple[int, ...] | None:
    """Return hour, minute, second and microsecond behind `date`, nothing without a clock, None if its digits are no date."""
    if match := _CLOCK.match(name, date.end()):
        milliseconds = 0 if date[5] else int(match[5] or 0)  # a counter follows 2021_0506_123456
        return hour_of_day(int(match[1]), match[6] or ""), int(match[3]), int(match[4]), milliseconds * 1000
    if match := _WORDS_AND_CLOCK.match(name, date.end()):
        half = match["before"] or match["after"] or ""
        if match["second"] or half:
            is_second = half.lower().startswith(_SECOND_HALVES)
            hour = hour_of_day(int(match["hour"]), half and ("p" if is_second else "a"))
            return hour, int(match["minute"]), int(match["second"] or 0), 0
    return None if date[7] or name[date.end() : date.end() + 1].isdigit() else ()


def _from_milliseconds(name: str, now: datetime | None) -> Candidate | None:
    match = _MILLISECONDS.match(name)
    if match is None:
        return None
    moment = EPOCH + timedelta(milliseconds=int(match[1]))
    if now is not None and moment > now + timedelta(days=1):
        return None
    return Candidate("filename", "the file name", Stamp(moment, None, is_utc=True))
