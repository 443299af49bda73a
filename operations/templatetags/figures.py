"""Numbers for people: thousands separated, sizes, ages, durations and rates, always with their unit."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

register = template.Library()

MINUTE, HOUR, DAY, MONTH, YEAR = 60, 3600, 86_400, 2_629_800, 31_557_600
BYTE_UNITS = ("kB", "MB", "GB", "TB", "PB")


@register.filter
def number(value: Any) -> str:
    """Return a whole number with its thousands separated (12340 -> "12,340"); "" for what is no number."""
    try:
        return f"{int(value):,}"
    except (TypeError, ValueError):
        return ""


@register.filter
def counted(value: Any, words: str = "photo,photos") -> str:
    """Return the number with its noun, `words` being "singular,plural" (1 -> "1 photo", 12340 -> "12,340 photos")."""
    singular, _, plural = words.partition(",")
    text = number(value)
    if not text:
        return ""
    return f"{text} {singular if int(value) == 1 else plural or singular + 's'}"


@register.filter
def in_units(value: Any, unit: str) -> str:
    """Return the number with an operation's unit, which is a plural (1, "files" -> "1 file")."""
    if not unit:
        return number(value)
    singular = f"{unit.removesuffix('ies')}y" if unit.endswith("ies") else unit.removesuffix("s")
    return counted(value, f"{singular},{unit}")


@register.filter
def file_size(value: Any) -> str:
    """Return bytes as people read them, in powers of 1,000 (41_234_567_890 -> "41.2 GB")."""
    try:
        size = float(value)
    except (TypeError, ValueError):
        return ""
    if size < 1000:
        return counted(int(size), "byte,bytes")
    for unit in BYTE_UNITS:
        size /= 1000
        if size < 999.5 or unit == BYTE_UNITS[-1]:
            break
    return f"{size:,.0f} {unit}" if size >= 100 else f"{size:.1f} {unit}"


def duration_words(seconds: float) -> str:
    """Return a length of time in at most two units (3725 -> "1 h 2 min")."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    if whole < DAY:
        hours, rest = divmod(whole, HOUR)
        return f"{hours} h {rest // MINUTE} min" if rest >= MINUTE else f"{hours} h"
    days, rest = divmod(whole, DAY)
    return f"{counted(days, 'day,days')} {rest // HOUR} h" if rest >= HOUR else counted(days, "day,days")


@register.filter
def duration(seconds: Any) -> str:
    """Return seconds as "42 s", "3 min 20 s", "1 h 2 min"; "" for None."""
    return "" if seconds is None else duration_words(float(seconds))


@register.filter
def age(moment: datetime | None) -> str:
    """Return how long ago `moment` was ("just now", "3 minutes ago", "2 years ago"); "never" for None."""
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    if seconds < 45:
        return "just now"
    for size, words in (
        (YEAR, "year,years"),
        (MONTH, "month,months"),
        (DAY, "day,days"),
        (HOUR, "hour,hours"),
        (MINUTE, "minute,minutes"),
    ):
        if seconds >= size:
            return f"{counted(seconds // size, words)} ago"
    return "1 minute ago"


@register.filter
def ago(moment: datetime | None) -> str:
    """Return how long ago `moment` was as an element whose title is the full time; "never" for None."""
    if moment is None:
        return "never"
    full = date_format(timezone.localtime(moment), "Y-m-d H:i e")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), full, age(moment))


@register.filter
def rate(units_per_second: Any, unit: str = "photos") -> str:
    """Return a rate ("312 photos/s", "4.2 photos/s", "18 photos/min"); "" while it is unknown."""
    if not units_per_second or units_per_second < 0:
        return ""
    if units_per_second < 1:
        return f"{units_per_second * 60:.0f} {unit}/min"
    return f"{units_per_second:,.0f} {unit}/s" if units_per_second >= 10 else f"{units_per_second:.1f} {unit}/s"


@register.filter
def percent(fraction: Any) -> str:
    """Return a fraction of 1 as whole percent, rounded down so that only the end says 100 % ("37 %"); "" for None."""
    return "" if fraction is None else f"{int(float(fraction) * 100)} %"


@register.filter
def words_of(name: Any) -> str:
    """Return a name of code as words ("cache_hits" -> "cache hits")."""
    return str(name).replace("_", " ")


COUNT_NAMES = {
    "seconds": "Time",
    "size_bytes": "Size",
    "cache_hits": "Known, not read",
    "cache_misses": "Read",
    "files_read_by_assistants": "Read by other workers",
    "later_columns_filled": "Completed from their files",
    "mended": "Can be shown now",
    "recognised": "Known again",
    "duplicate": "Already in the library",
    "rejected": "Not imported",
    "skipped": "Already there",
    "adopted": "Already there, without a record",
    "whole": "As exported",
    "without_digest": "Without a checksum",
    "purged": "Forgotten",
    "freed_bytes": "Freed",
}
"""What people call counts whose names in results are those of the code."""


@register.filter
def count_name(name: Any) -> str:
    """Return the name of a metric for people, without the unit that its value says ("survey_seconds" -> "Survey")."""
    if str(name) in COUNT_NAMES:
        return COUNT_NAMES[str(name)]
    text = words_of(str(name).removesuffix("_seconds").removesuffix("_bytes").removeprefix("bytes_") or name)
    return text[:1].upper() + text[1:]


@register.filter
def count_value(value: Any, name: Any) -> str:
    """Return a metric's value with the unit that its name tells (`…_seconds`, `…_bytes`, `bytes_…`)."""
    if str(name).endswith("seconds"):
        return f"{value:.1f} s" if value < 10 else duration_words(float(value))
    if str(name).endswith("bytes") or str(name).startswith("bytes_"):
        return file_size(value)
    return number(value) if float(value).is_integer() else f"{value:,.2f}"


@register.filter
def clock(milliseconds: Any) -> str:
    """Return the length of a video as "0:07", "12:34" or "1:02:03"; "" for None."""
    if milliseconds is None:
        return ""
    minutes, seconds = divmod(max(1, round(int(milliseconds) / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
