"""What the OpenAPI schema says beyond drf-spectacular: sizes of integers, bounds of lists and texts, closed bodies, headers."""

from collections.abc import Iterator, Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from .bodies import RequestBody

INT32 = range(-(2**31), 2**31)
VISIBLE = r"\S"
"""A text that is trimmed and may not be empty holds at least one character that is no space."""


class Schema(AutoSchema):
    """Declares what serializers enforce and drf-spectacular does not say."""

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]
        if direction == "request" and isinstance(schema, dict):
            if isinstance(field, serializers.ListField | serializers.ListSerializer):
                schema = {**schema, **_length_of_list(field)}
            elif schema.get("type") == "string" and "pattern" not in schema and _is_trimmed(field):
                schema = {**schema, "pattern": VISIBLE}
        return schema

    def _postprocess_serializer_schema(self, schema: Any, serializer: Any, direction: Any) -> Any:
        """Say that a body of a request has no other members."""
        schema = super()._postprocess_serializer_schema(schema, serializer, direction)  # type: ignore[no-untyped-call]
        if direction == "request" and isinstance(serializer, RequestBody) and isinstance(schema, dict):
            schema["additionalProperties"] = False
        return schema


def _length_of_list(field: Any) -> dict[str, int]:
    longest = getattr(field, "max_length", None)
    shortest = getattr(field, "min_length", None) or (0 if getattr(field, "allow_empty", True) else 1)
    return {**({"minItems": shortest} if shortest else {}), **({"maxItems": longest} if longest else {})}


def _is_trimmed(field: Any) -> bool:
    return (
        type(field) is not serializers.RegexField
        and isinstance(field, serializers.CharField)
        and not field.allow_blank
        and field.trim_whitespace
    )


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    """Give every object of an OpenAPI document, the outer ones first."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from walk(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from walk(value)


def size_integers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say of every integer how large it may become: generated clients take 32 bits where nothing is said.

    Only what is bounded to 32 bits, at both ends or by an enum, is `int32`.
    """
    for one in walk(result):
        if one.get("type") == "integer" and isinstance(one["type"], str):
            bounds = one.get("enum") or [one.get("minimum"), one.get("maximum")]
            is_small = all(isinstance(bound, int) and bound in INT32 for bound in bounds if bound is not None)
            one["format"] = "int32" if is_small and None not in bounds else "int64"
    return result


def header(
    name: str,
    description: str,
    statuses: list[int] | None = None,
    *,
    required: bool = False,
    kind: Mapping[str, Any] | None = None,
) -> OpenApiParameter:
    """Describe a header: of the answers with `statuses`, or of the request if there are none."""
    return OpenApiParameter(
        name,
        {"type": "string", **(kind or {})},
        OpenApiParameter.HEADER,
        required=required,
        description=description,
        response=statuses or False,
    )
