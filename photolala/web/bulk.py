"""The one shape in which all addresses that do something to many things answer."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers


class BulkError(serializers.Serializer[Any]):
    """Why it was not done to one."""

    id = serializers.CharField(help_text="As it was sent.")
    error = serializers.CharField(help_text="A sentence for people.")


class BulkBody(serializers.Serializer[Any]):
    """To how many it was done, and why not to the others."""

    success_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    errors = BulkError(many=True)  # type: ignore[assignment]


def bulk_answer(success_count: int, errors: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """Return the body of such an answer; `more` are members of this address alone, or former names."""
    return {**more, "success_count": success_count, "error_count": len(errors), "errors": list(errors)}
