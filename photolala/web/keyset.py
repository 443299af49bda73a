"""Pages through long lists by key: as quick at the end as at the start, and rows that come or go shift nothing."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime

from .refusals import BadRequest

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1_000
LONGEST_CURSOR = 4_096


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and the cursor of what follows them (None at the end)."""

    rows: list[Any]
    next_cursor: str | None


def read_limit(params: Mapping[str, str], default: int = DEFAULT_LIMIT) -> int:
    """Return `?limit=`, 1 to 1,000. Raises BadRequest."""
    text = params.get("limit", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LARGEST_LIMIT):
        raise BadRequest(f"limit must be a number from 1 to {LARGEST_LIMIT:,}.", "bad_limit")
    return int(text)


def encode_cursor(order: Sequence[str], values: Sequence[Any]) -> str:
    """Return an opaque text that names the place right after a row with these `values` in a list of this `order`."""
    body = json.dumps([",".join(order), *[_to_json(value) for value in values]], separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, model: type[Model], order: Sequence[str]) -> list[Any]:
    """Return the values in `cursor`, as the fields of `model` want them. Raises BadRequest for any other text."""
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = json.loads(raw)
        if not isinstance(body, list) or len(body) != len(order) + 1 or body[0] != ",".join(order):
            raise ValueError
        return [_from_json(model, name, value) for name, value in zip(order, body[1:], strict=True)]
    except (ValueError, TypeError, RecursionError, binascii.Error, UnicodeError, ValidationError, OverflowError):
        raise BadRequest(
            "This cursor is not one that was given for this list. Start again without it.", "bad_cursor"
        ) from None


def after(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Return the condition for rows after `values`, with the redundant bound that lets an index be used."""
    rest = Q()
    equal = Q()
    for name, value in zip(order, values, strict=True):
        field, word = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        rest |= equal & Q(**{f"{field}__{word}": value})
        equal &= Q(**{field: value})
    first = order[0]
    bound = {f"{first[1:]}__lte": values[0]} if first.startswith("-") else {f"{first}__gte": values[0]}
    return Q(**bound) & rest


def paginate(queryset: QuerySet[Any], order: Sequence[str], params: Mapping[str, str]) -> Page:
    """Return the page that `params` (limit, cursor) asks for; `order` ends with a unique field. One query, no count.

    `queryset` gives model instances, or dicts (`values()`) that hold the order's fields. Raises BadRequest.
    """
    limit = read_limit(params)
    if params.get("cursor"):
        queryset = queryset.filter(after(order, decode_cursor(params["cursor"], queryset.model, order)))
    rows = list(queryset.order_by(*order)[: limit + 1])
    return cut(rows, order, limit)


def cut(rows: list[Any], order: Sequence[str], limit: int) -> Page:
    """Return the first `limit` of `rows`, and a cursor if there was one more."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    names = [name.lstrip("-") for name in order]
    values = [last[name] if isinstance(last, dict) else getattr(last, name) for name in names]
    return Page(rows[:limit], encode_cursor(order, values))


def envelope(page: Page, results: list[Any], request: Any, **more: Any) -> dict[str, Any]:
    """Return the body of a list answer: `results`, `next_cursor`, and `next`, the address of the next page."""
    following = None
    if page.next_cursor:
        query = request.GET.copy()
        query["cursor"] = page.next_cursor
        following = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
    return {**more, "results": results, "next_cursor": page.next_cursor, "next": following}


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value


def _from_json(model: type[Model], name: str, value: Any) -> Any:
    field = model._meta.get_field(name.lstrip("-"))
    kind = field.get_internal_type()
    if kind == "DateTimeField":
        moment = parse_datetime(value)
        if moment is None or moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)  # OverflowError for what is before the year 1 or after 9999 there
    if kind == "UUIDField":
        if not isinstance(value, str):
            raise ValueError
        return UUID(value)
    if kind in ("TextField", "CharField"):
        if not isinstance(value, str) or "\0" in value:
            raise ValueError
        value.encode()  # UnicodeError for lone surrogates, which no database takes
        return value
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise ValueError
    return value
