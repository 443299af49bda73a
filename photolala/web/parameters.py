"""Reads query parameters, with clear words for bad ones, and writes instants as the API does. Free of the web framework."""

from collections.abc import Mapping
from datetime import UTC, datetime
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


def read_flag(text: str, name: str) -> bool:
    """Return a yes-or-no parameter. Raises BadRequest."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise BadRequest(f"{name} must be true or false.", "bad_flag")
