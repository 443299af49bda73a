"""What the API's schema says of the filter of a catalog export: one value for each name that the photo list's address knows."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.browsing.filters import LONGEST_FOLDER
from exports.reading.rows import EXPORT_NAMES

_TEXT: dict[str, Any] = {"type": "string", "maxLength": LONGEST_FOLDER}
_FLAG: dict[str, Any] = {"oneOf": [{"type": "boolean"}, _TEXT]}
_STARS: dict[str, Any] = {"oneOf": [{"type": "integer", "minimum": 0, "maximum": 5, "format": "int32"}, _TEXT]}
_WORDS: dict[str, Any] = {"oneOf": [_TEXT, {"type": "number"}, {"type": "boolean"}]}
_FLAGS = frozenset({"recursive", "favourite", "favorite", "has_gps", "duplicates"})
FILTER_NAMES = EXPORT_NAMES
"""The library is a member of its own."""


def _value_of(name: str) -> dict[str, Any]:
    if name in _FLAGS:
        return {**_FLAG, "deprecated": True} if name == "favorite" else _FLAG
    return _STARS if name in ("rating", "min_rating", "min_favourite") else _WORDS


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _value_of(name) for name in sorted(FILTER_NAMES)},
    }
)
class FilterField(serializers.DictField):
    """The filter; each value may also be the text that the address would have. `exports.reading` checks it."""
