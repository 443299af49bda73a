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
    r"|([-_.])(0?[1-9]|1[0-2])\7(0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|\s?[年년]\s?(0?[1-9]|1[0-2])\s?[月월]\s?(0?[1-9]|[12]\d|3[01])\s?[日일])"
)
_YEAR_LAST = re.compile(
    r"(?:(?P<telegram>@)|(?<![\d.@vV])(?<!\d-))(?P<first>\d{1,2})(?P<between>[-.])(?P<other>\d{1,2})(?P=between)(?P<year>(?:19|20)\d\d)(?!\d)"
)
_IOS_RECORDING = "ScreenRecording_"
"""What iOS calls recordings of the screen, in whatever language: `ScreenRecording_12-31-2024 10-11-12_1.MP4`."""
_CLOCK = re.compile(
    r"(?:[-_ T.@]|--| - | at |, |)([01]\d|2[0-3])([-_.: ]?)([0-5]\d)\2([0-5]\d)(?:[-_.]?(\d{3}))?(?!\d)"
    r"(?:[\s_]*([AaPp])\.?\s?[Mm]\b)?"
)
"""With two digits for the hour: `_030405`, ` at 03.04.05 PM`."""
_WITH_LETTERS = re.compile(r"[-_ T,]{0,2}([01]?\d|2[0-3])\s?[h时時시]\s?([0-5]\d)\s?[m分분]\s?([0-5]\d)(?!\d)")
"""`03h04m05s`, `15时04分05秒`."""
_UTC = re.compile(r"(?:[ _]?UTC|Z)(?![^\W_])")
_NAMED_IN_UTC = re.compile(r"PXL_|GMT(?=\d{8}-\d{6})")
"""How names of Pixel's cameras and of Zoom's recordings begin."""
_WORDS_AND_CLOCK = re.compile(
    r"(?:\s-\s)?[\s,_]*(?:[^\W\d_]{1,7}(?:\(s\))?\.?[\s\-]*){0,3}?(?P<before>AM|PM|[ap]\.\s?m\.|上午|下午|晚上|傍晚|中午|午前|午後|오전|오후|ÖÖ|ÖS)?[\s_]*"
    r"(?P<hour>\d{1,2})(?P<between>[.:\-hｈ])(?P<minute>[0-5]\d)(?:(?P=between)(?P<second>[0-5]\d))?(?!\d)"
    r"(?:[\s_]*(?P<after>[ap]\.?\s?m\b|[πμ]\.?μ\b|[مص](?!\w)))?",
    re.IGNORECASE,
)
"""Screenshots say `at`, `um`, `à`, `a las`, `kello`, `в` …, some with one digit for the hour, some with a half of the day."""
_SECOND_HALVES = ("p", "下午", "晚上", "傍晚", "中午", "午後", "오후", "ös", "μμ", "μ.μ", "م")
_MILLISECONDS = re.compile(r"(?:[^\W\d]|[- ])*(1\d{12})(?![^\W_])")
"""Since 1970, at the beginning of the name or after nothing but letters: `mmexport1546398245123`."""
_SECONDS = re.compile(r"RPReplay_Final(1\d{9})(?!\d)")
"""Since 1970, of recordings of the screen by earlier iOS."""


def from_name(name: str, now: datetime | None = None) -> Candidate | None:
    """Return the date in a file name: IMG_20190102_030405, 2019-01-02 3.04.05 PM, IMG-20190102-WA0001 (midnight), PXL_… (UTC).

    Milliseconds since 1970 count if they are not after `now` (naive UTC).
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)  # macOS takes accents and syllables apart
    position = 0
    while match := _DATE.search(name, position):
        position = match.start() + 1
        day = tuple(int(part) for part in match.group(1, 3, 4, 5, 6, 8, 9, 10, 11) if part)
        is_bare = match[7] is None
        if found := _with_clock(name, day, match.end(), is_bare=is_bare, is_counted=match[5] is not None):
            return found
    for match in _YEAR_LAST.finditer(name):
        if (month_and_day := _month_and_day(name, match)) and (
            found := _with_clock(name, (int(match["year"]), *month_and_day), match.end())
        ):
            return found
    return _from_unix(name, now)


def _with_clock(
    name: str, day: tuple[int, ...], end: int, *, is_bare: bool = True, is_counted: bool = False
) -> Candidate | None:
    """Return the moment of `day` (year, month, day), which ends at `end`, and the time behind it; None if that is no moment.

    A day counts alone, at midnight, if `is_bare`. With `is_counted` a number of three digits behind the time is a counter.
    """
    clock, end = _clock_behind(name, end, is_counted=is_counted)
    if not clock and not (is_bare and not name[end : end + 1].isdigit()):
        return None
    try:
        local = datetime(*day, *clock)  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    # Some name their files in UTC, and some say so; everyone else uses the wall clock.
    is_utc = bool(clock) and bool(_NAMED_IN_UTC.match(name) or _UTC.match(name, end))
    return Candidate("filename", "the file name", Stamp(local, None, is_utc=is_utc))


def _month_and_day(name: str, match: re.Match[str]) -> tuple[int, int] | None:
    """Return month and day where it is clear which is which: dots, a day above 12, and programs that are known."""
    first, other = int(match["first"]), int(match["other"])
    if name.startswith(_IOS_RECORDING) or other > 12:
        return first, other
    return (other, first) if match["between"] == "." or match["telegram"] or first > 12 or first == other else None


def _clock_behind(name: str, end: int, *, is_counted: bool) -> tuple[tuple[int, ...], int]:
    """Return hour, minute, second and microsecond behind the place `end` of a name, nothing without a clock; and its end."""
    if match := _CLOCK.match(name, end):
        milliseconds = 0 if is_counted else int(match[5] or 0)  # a counter follows 2021_0506_123456
        return (
            hour_of_day(int(match[1]), match[6] or ""),
            int(match[3]),
            int(match[4]),
            milliseconds * 1000,
        ), match.end()
    if match := _WITH_LETTERS.match(name, end):
        return (int(match[1]), int(match[2]), int(match[3]), 0), match.end()
    if match := _WORDS_AND_CLOCK.match(name, end):
        half = match["before"] or match["after"] or ""
        if match["second"] or half:
            is_second = half.lower().startswith(_SECOND_HALVES)
            hour = hour_of_day(int(match["hour"]), half and ("p" if is_second else "a"))
            return (hour, int(match["minute"]), int(match["second"] or 0), 0), match.end()
    return (), end


def _from_unix(name: str, now: datetime | None) -> Candidate | None:
    if match := _MILLISECONDS.match(name):
        moment = EPOCH + timedelta(milliseconds=int(match[1]))
    elif match := _SECONDS.match(name):
        moment = EPOCH + timedelta(seconds=int(match[1]))
    else:
        return None
    if now is not None and moment > now + timedelta(days=1):
        return None
    return Candidate("filename", "the file name", Stamp(moment, None, is_utc=True))
