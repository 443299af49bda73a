"""Captions in requests."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from photolala.lib.captions import LONGEST_CAPTION, BadCaption, tidy_caption


@extend_schema_field({"type": "string", "maxLength": LONGEST_CAPTION, "example": "The harbour at dusk"})
class Caption(serializers.Field[Any, Any, Any, Any]):
    """A caption: any text of at most 10,000 characters; the empty one takes it away. Nothing is ever cut."""

    def to_internal_value(self, data: Any) -> str:
        """Return it in the form in which it is kept."""
        if not isinstance(data, str):
            raise serializers.ValidationError("A caption is a text.")
        try:
            return tidy_caption(data)
        except BadCaption as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: Any) -> Any:
        """Never written back."""
        return value
