"""Keywords in requests, and those of many photos."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.edits.keywords import MOST_AT_ONCE, change_keywords
from catalog.models import Photo
from operations.api.idempotency import KEYED, idempotent
from photolala.lib.keywords import LONGEST_KEYWORD, MOST_KEYWORDS, BadKeyword, tidy_keywords
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.refusals import BadRequest
from photolala.web.views import ApiView, RequestBody, documented

_UNKNOWN = "There is no such photo that you may change."


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "maxLength": LONGEST_KEYWORD},
        "maxItems": MOST_KEYWORDS,
        "example": ["Rome", "family"],
    }
)
class Keywords(serializers.Field[Any, Any, Any, Any]):
    """Keywords: at most 500, each of at most 200 characters, and once. Nothing is ever cut."""

    def to_internal_value(self, data: Any) -> list[str]:
        """Return them in the form in which they are kept."""
        if not isinstance(data, list) or not all(isinstance(word, str) for word in data):
            raise serializers.ValidationError("Keywords are a list of texts.")
        try:
            return tidy_keywords(data)
        except BadKeyword as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: Any) -> Any:
        """Never written back."""
        return value


class KeywordsBody(RequestBody):
    """Which keywords these photos are to have, too, and which not any more."""

    photo_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=MOST_AT_ONCE)
    add = Keywords(required=False)
    remove = Keywords(required=False)


class PhotoKeywords(ApiView):
    """Give many photos keywords, and take others away."""

    @documented(
        "photos_keywords",
        f"Give up to {MOST_AT_ONCE:,} photos that one may change keywords, and take others away; each keeps what else it has. "
        "They go into the files as the library's setting says, and can be taken back photo by photo.",
        {200: BulkBody},
        errors=(400, 401, 403, 409, 415, 422, 429),
        request=KeywordsBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        """Do it; say which photos could not."""
        body = KeywordsBody(data=request.data)
        body.is_valid(raise_exception=True)
        add, remove = body.validated_data.get("add", []), body.validated_data.get("remove", [])
        if not add and not remove:
            raise BadRequest("Say which keywords: `add`, `remove`, or both.", "missing")
        ids: list[UUID] = list(dict.fromkeys(body.validated_data["photo_ids"]))
        own = set(Photo.objects.editable_by(request.user).filter(pk__in=ids).values_list("pk", flat=True))
        done, refused = change_keywords(request.user, own, add, remove)
        known = {*done, *refused}
        errors = [
            {"id": str(key), "error": refused.get(key, _UNKNOWN)} for key in ids if key in refused or key not in known
        ]
        return Response(bulk_answer(len(done), errors))
