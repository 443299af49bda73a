"""Reads query parameters, with clear words for bad ones, and writes instants as the API does. Free of the web framework."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .refusals import BadRequest


def check_parameters(params: Mapping[str, str], known: set[str]) -> None:
    """Raise BadRequest if there is a query parameter that means nothing here: a misspelt filter must not match all."""
    unknown = sorted(set(params) - known)
    if unknown:
        raise BadRequest(
            f"Unknown parameter{'s' if len(unknown) > 1 else ''} {', '.join(name[:40] for name in unknown[:5])}. "
            f"Known here: {', '.join(sorted(known))}.",
            "unknown_parameter",
        )


def check_bounds(params: Any, declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BadRequest for a parameter that is given too often, or is longer than the schema says.

    `params` is a QueryDict; `declared` holds the schemas of the parameters by name.
    """
    for name, schema in declared.items():
        values = params.getlist(name)
        is_list = schema.get("type") == "array"
        most = schema.get("maxItems", len(values)) if is_list else 1
        if len(values) > most:
            times = "once" if most == 1 else f"{most:,} times"
            raise BadRequest(f"{name} may be given {times} at most.", "repeated_parameter")
        longest = (schema.get("items", {}) if is_list else schema).get("maxLength")
        if longest is not None and any(len(value) > longest for value in values):
            raise BadRequest(f"{name} must be a text of at most {longest:,} characters.", "bad_text")


def utc_text(moment: datetime | None) -> str | None:
    """Return an instant as RFC 3339 in UTC with `Z`; fractions only where there are any."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def read_uuid(text: str, name: str) -> UUID:
    """Return the UUID in a query parameter. Raises BadRequest."""
    try:
        return UUID(text)
    except ValueError:
        raise BadRequest(f"{name} must be an id (a UUID).", "bad_id") from None


def read_number(text: str, name: str, least: int, most: int) -> int:
    """Return a whole number in a query parameter. Raises BadRequest."""
    if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise BadRequest(f"{name} must be a number from {least:,} to {most:,}.", "bad_number")


def is_present(params: Mapping[str, str], name: str) -> bool:
    """Return a parameter that is true when it is there without a value (`?download`). Raises BadRequest."""
    text = params.get(name)
    return text is not None and (not text or read_flag(text, name))


def read_flag(text: str, name: str) -> bool:
    """Return a yes-or-no parameter. Raises BadRequest."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise BadRequest(f"{name} must be true or false.", "bad_flag")
