"""Values of fields as clients send them, checked: a dict of camelCase names to columns. Nothing is ever cut.

Each reader takes (value, name of the field) and returns what the column holds, or raises Refused("invalid").
"""

import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from catalog.albums.refusals import Refused

Reader = Callable[[Any, str], Any]
LONGEST_NAME = 200


def invalid(name: str, sentence: str) -> Refused:
    """Return the refusal of one field's value."""
    return Refused("invalid", f"{sentence} Nothing was changed.", name)


def read(fields: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the checked values by field. Raises Refused for a field that there is not, and for the first bad value."""
    unknown = sorted(set(fields) - set(readers))
    if unknown:
        raise invalid(unknown[0], f"There is no field {unknown[0][:40]} that could be set here.")
    return {name: readers[name](value, name) for name, value in fields.items()}


def text(longest: int, *, least: int = 0) -> Reader:
    """Return the reader of a text of `least` to `longest` characters: NFC, without NUL."""

    def read_text(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise invalid(name, f"{name} must be a text.")
        if "\0" in value:
            raise invalid(name, f"{name} contains the character NUL, which no text may have.")
        clean = unicodedata.normalize("NFC", value)
        try:
            clean.encode()
        except UnicodeError:
            raise invalid(name, f"{name} contains half a character (a lone surrogate).") from None
        if len(clean) > longest:
            raise invalid(name, f"{name} may have {longest:,} characters at most; this has {len(clean):,}.")
        if len(clean.strip()) < least:
            raise invalid(name, f"{name} must not be empty.")
        return clean

    return read_text


def choice(values: list[str]) -> Reader:
    """Return the reader of one of `values`."""

    def read_choice(value: Any, name: str) -> str:
        if value not in values or not isinstance(value, str):
            raise invalid(name, f"{name} must be one of {', '.join(values)}.")
        return value

    return read_choice


def flag(value: Any, name: str) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise invalid(name, f"{name} must be true or false.")
    return value


def key(value: Any, name: str) -> UUID:
    """Return an id."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise invalid(name, f"{name} must be an id (a UUID).") from None


def key_or_none(value: Any, name: str) -> UUID | None:
    """Return an id, or None."""
    return None if value is None else key(value, name)


def moment(value: Any, name: str) -> datetime:
    """Return a moment with its offset, from RFC 3339 text."""
    found = value if isinstance(value, datetime) else None
    if isinstance(value, str) and len(value) <= LONGEST_NAME:
        try:
            found = parse_datetime(value)
        except ValueError:
            found = None
    if found is None or found.tzinfo is None:
        raise invalid(name, f"{name} must be a time with its offset, as 2024-05-17T12:30:00+02:00.")
    try:
        if found.astimezone(UTC).year < 1 or found.utcoffset() is None:
            raise OverflowError
    except OverflowError:
        raise invalid(name, f"{name} is beyond the ends of the calendar.") from None
    return found


def place(value: Any, name: str) -> dict[str, Any] | None:
    """Return a place: latitude and longitude in degrees (both or neither) and a name, or None."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not set(value) <= {"latitude", "longitude", "name"}:
        raise invalid(name, f"{name} has latitude, longitude and name, or is null.")
    latitude, longitude = _degrees(value, "latitude", 90, name), _degrees(value, "longitude", 180, name)
    if (latitude is None) != (longitude is None):
        raise invalid(name, f"{name} needs both latitude and longitude, or neither.")
    called = text(LONGEST_NAME)(value.get("name") or "", f"{name}.name")
    if latitude is None and not called:
        return None
    return {"latitude": latitude, "longitude": longitude, "name": called}


def _degrees(value: Mapping[str, Any], part: str, most: float, name: str) -> float | None:
    number = value.get(part)
    if number is None:
        return None
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not math.isfinite(number)
        or abs(number) > most
    ):
        raise invalid(name, f"{name}.{part} must be a number from -{most} to {most}.")
    return float(number)
