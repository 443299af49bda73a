"""Bodies of requests: unknown members and values of another JSON type are refused, each by its name."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

MOST_NAMED = 20
_Kind = type["serializers.Field[Any, Any, Any, Any]"]
_TYPES: tuple[tuple[_Kind | tuple[_Kind, ...], tuple[type, ...], str], ...] = (
    (serializers.BooleanField, (bool,), "true or false"),
    (serializers.IntegerField, (int,), "a whole number"),
    (serializers.FloatField, (int, float), "a number"),
    (
        (serializers.CharField, serializers.UUIDField, serializers.DateTimeField, serializers.DateField),
        (str,),
        "a text",
    ),
)


class RequestBody(serializers.Serializer[Any]):
    """The body of a request. A member that it does not know is refused by name: a slip of the pen is no other wish.

    So is a value of another JSON type than the schema says: `"5"` is no number, `1` is not true, `0` is no text.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Return what the body says. Raises ValidationError."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such member."] for name in unknown[:MOST_NAMED]})
            wrong = {
                name: [f"This must be {expected}."]
                for name, field in self.fields.items()
                if name in data and (expected := _expected(field, data[name]))
            }
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


def _expected(field: Any, value: Any) -> str:
    """Return what should stand there instead of `value`; nothing if its type is right, or not ours to judge."""
    if value is None:
        return ""
    if isinstance(field, serializers.ListField):
        if not isinstance(value, list):
            return ""
        wrong = (_expected(field.child, one) for one in value)
        return next((f"a list, each of it {expected}" for expected in wrong if expected), "")
    if isinstance(field, serializers.ChoiceField):
        kinds = {type(key) for key in field.choices} | ({str} if field.allow_blank else set())
        is_known = any(_is_a(value, (int if issubclass(kind, int) else str,)) for kind in kinds)
        return "" if is_known else "one of the values that the schema names"
    for fields, types, expected in _TYPES:
        if isinstance(field, fields):
            return "" if _is_a(value, types) else expected
    return ""


def _is_a(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, float) and types == (int,):
        return value.is_integer()  # 5.0 is a whole number in JSON
    return isinstance(value, types)
