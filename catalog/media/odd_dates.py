"""Read dates in other ways than EXIF and ISO 8601 write them: dots and dashes, day first, AM and PM, names of months."""

from __future__ import annotations

import re

Parts = tuple[tuple[int, ...], str | None, str | None]
"""Year, month, day, hour, minute and second as written; the digits of the fraction; the zone."""

_CLOCK = (
    r"(?P<hour>\d{1,2})[:.\-hH ]\s?(?P<minute>\d{1,2})(?:[:.\-mM ]\s?(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?\s?[Mm]\b\.?)?"
)
_HALF = r"(?:(?P<before>上午|下午|午前|午後|오전|오후)\s*)"
_ZONE = r"\s*(?P<zone>Z|UTC?|GMT|[+\-]\d{1,2}(?::?\d{2})?)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_HALVES = {"上午": "a", "午前": "a", "오전": "a", "下午": "p", "午後": "p", "오후": "p"}
"""Halves of the day as phones in East Asia write them, before the hour."""
_WAYS = tuple(
    re.compile(rf"\s*{way}\s*\Z", re.ASCII | re.IGNORECASE)
    for way in (
        rf"(?P<year>\d{{4}})[:\-/. _]\s?(?P<month>\d{{1,2}})[:\-/. _]\s?(?P<day>\d{{1,2}})\.?[T ,_\-]+{_HALF}?{_CLOCK}{_ZONE}",
        rf"(?P<year>\d{{4}})\s?[年년]\s?(?P<month>\d{{1,2}})\s?[月월]\s?(?P<day>\d{{1,2}})\s?[日일](?:\s*{_HALF}?{_CLOCK}{_ZONE})?",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)"
        rf"(?:[T _\-]?(?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{{1,9}}))?)?{_ZONE})?",
        rf"(?P<first>\d{{1,2}})(?P<between>[:\-/. ])(?P<other>\d{{1,2}})(?P=between)(?P<year>\d{{4}})(?:[T ,]+{_CLOCK}{_ZONE})?",
        rf"(?:[a-z]{{3,9}},?\s+)?(?P<day>\d{{1,2}})[ \-]{_MONTH}[ ,\-]+(?P<year>\d{{4}})(?:[T ,]+{_CLOCK}{_ZONE})?",
        rf"(?:[a-z]{{3,9}},?\s+)?{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})(?:,?\s+{_CLOCK}{_ZONE})?",
        rf"(?:[a-z]{{3,9}},?\s+)?{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+{_CLOCK}(?:{_ZONE}|\s+[a-z]{{3,5}})\s+(?P<year>\d{{4}})",
    )
)


def read_odd_stamp(text: str) -> Parts | None:
    """Return what `text` says, or None if it is no date, or one of which nobody can tell day and month apart."""
    for way in _WAYS:
        match = way.match(text)
        if match is None:
            continue
        said = match.groupdict()
        day_and_month = _day_and_month(said)
        if day_and_month is None:
            return None
        day, month = day_and_month
        half = said.get("half") or _HALVES.get(said.get("before") or "", "")
        hour = hour_of_day(int(said.get("hour") or 0), half)
        clock = (hour, int(said.get("minute") or 0), int(said.get("second") or 0))
        zone = said.get("zone")
        return (int(said["year"]), month, day, *clock), said.get("fraction"), _offset(zone)
    return None


def hour_of_day(hour: int, half: str) -> int:
    """Return the hour as of 24; `half` begins with a or p if the clock counted to twelve, and is empty if not."""
    if not half or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half[0] in "Pp" else 0)


def _day_and_month(said: dict[str, str | None]) -> tuple[int, int] | None:
    if said.get("name"):
        return int(said["day"] or 0), _MONTHS.index((said["name"] or "").lower()) + 1
    if said.get("month"):
        return int(said["day"] or 0), int(said["month"] or 0)
    first, other = int(said["first"] or 0), int(said["other"] or 0)
    # Dots stand between day, month and year only where the day is first; with anything else it has to be clear.
    if said["between"] == "." or first > 12 or first == other:
        return first, other
    return (other, first) if other > 12 else None


def _offset(zone: str | None) -> str | None:
    return "Z" if zone and zone[0] not in "+-" else zone
