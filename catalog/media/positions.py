"""Positions on the globe, as EXIF and XMP write them."""

from __future__ import annotations

import re
from typing import Any

from catalog.media.exif import clean_text, number
from catalog.media.found import Found

_XMP_DEGREES = re.compile(
    r"([+-]?\d{1,3}(?:\.\d+)?)(?:,\s?(\d+(?:\.\d+)?))?(?:,\s?(\d+(?:\.\d+)?))?\s?([NSEW])?", re.IGNORECASE
)

_ISO6709 = re.compile(r"([+-])(\d{1,7})(\.\d+)?([+-])(\d{1,7})(\.\d+)?")


def checked_place(latitude: float, longitude: float, found: Found) -> tuple[float | None, float | None]:
    """Return the position, or nothing with a note for 0/0 (what a receiver without a fix writes) and for degrees outside
    the globe."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        found.note(f"The GPS position {latitude:.5f}, {longitude:.5f} is not on the globe and was ignored.")
        return None, None
    if latitude == 0 and longitude == 0:
        found.note("The GPS position 0, 0 was ignored: receivers without a fix write it.")
        return None, None
    return round(latitude, 8), round(longitude, 8)


def exif_degrees(value: Any, reference: str, letters: str) -> float | None:
    """Return an EXIF coordinate in degrees, negative in the south and west; `letters` are those that its reference may be."""
    if isinstance(value, bytes):
        parts: list[float | None] = []
        for text in re.split(r"[\s,;°'\"]+", clean_text(value)):
            try:
                parts.append(float(text))
            except ValueError:
                continue
    elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
        parts = [number(part) for part in value[:3]]
    else:
        parts = [number(value)]
    if not parts or parts[0] is None or not reference or reference[0].upper() not in letters:
        return None
    degrees = sum((part or 0.0) / scale for part, scale in zip(parts, (1, 60, 3600), strict=False))
    return -degrees if reference[0].upper() in "SW" else degrees


def xmp_degrees(text: str, reference: str, letters: str) -> float | None:
    """Return an XMP coordinate, such as 52,31.2N, in degrees; None if it is none.

    Other programs write it as degrees with a sign or a letter, or the letter, one of `letters`, into the `reference`.
    """
    match = _XMP_DEGREES.fullmatch(text.strip())
    if not match:
        return None
    letter = (match[4] or reference[:1]).upper()
    if letter not in letters or (match[2] and not letter):
        return None
    degrees = abs(float(match[1])) + float(match[2] or 0) / 60 + float(match[3] or 0) / 3600
    return -degrees if (letter and letter in "SW") or match[1].startswith("-") else degrees


def iso6709(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude of ISO 6709: +27.5916+086.5640/, or with minutes (+2735.5), or with seconds, too."""
    match = _ISO6709.match(text)
    if not match:
        return None
    latitude = _sexagesimal(match[2], match[3] or "", 2)
    longitude = _sexagesimal(match[5], match[6] or "", 3)
    return -latitude if match[1] == "-" else latitude, -longitude if match[4] == "-" else longitude


def _sexagesimal(digits: str, fraction: str, degree_digits: int) -> float:
    """Return degrees; what is longer than `degree_digits` ends with two digits of minutes, or of minutes and of seconds."""
    if len(digits) <= degree_digits + 1 or (len(digits) - degree_digits) % 2:
        return float(digits + fraction)
    parts = [digits[:degree_digits], *(digits[at : at + 2] for at in range(degree_digits, len(digits), 2))]
    parts[-1] += fraction
    return sum(float(part) / 60**power for power, part in enumerate(parts))
