"""Places in requests, and those of many photos."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.edits.places import MOST_AT_ONCE, set_places
from catalog.models import Photo
from operations.api.idempotency import KEYED, idempotent
from photolala.lib.places import LONGEST_TEXT, BadPlace, Place, checked_place, place_in
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.views import ApiView, RequestBody, documented

_DEGREES = {"latitude": {"type": "number"}, "longitude": {"type": "number"}}
_UNKNOWN = "There is no such photo that you may change."


@extend_schema_field(
    {
        "oneOf": [
            {"type": "object", "properties": _DEGREES, "required": list(_DEGREES), "additionalProperties": False},
            {"type": "string", "maxLength": LONGEST_TEXT},
        ],
        "example": {"latitude": 48.8583, "longitude": 2.2945},
        "nullable": True,
    }
)
class PlaceOfPhoto(serializers.Field[Any, Any, Any, Any]):
    """Latitude and longitude in degrees, or a text that says them: `48.8583, 2.2945`, a link of OpenStreetMap or Google Maps."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_internal_value(self, data: Any) -> Place:
        """Return it as it is kept."""
        try:
            if isinstance(data, str):
                return place_in(data)
            pair = [data.get(name) for name in _DEGREES] if isinstance(data, dict) else []
            if pair and all(type(one) in (int, float) for one in pair):
                return checked_place(pair[0] or 0.0, pair[1] or 0.0)
        except BadPlace as error:
            raise serializers.ValidationError(str(error)) from None
        raise serializers.ValidationError("A place has a latitude and a longitude in degrees.")

    def to_representation(self, value: Any) -> Any:
        """Never written back."""
        return value


class PlacesBody(RequestBody):
    """Where these photos were taken."""

    photo_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=MOST_AT_ONCE)
    place = PlaceOfPhoto(help_text="null takes the place away.")


class PhotoPlaces(ApiView):
    """Say where many photos were taken."""

    @documented(
        "photos_place",
        f"Give up to {MOST_AT_ONCE:,} photos that one may change one place, or take it away. It goes into the files as the "
        "library's setting says, and can be taken back photo by photo.",
        {200: BulkBody},
        errors=(400, 401, 403, 409, 415, 422, 429),
        request=PlacesBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        """Do it; say which photos could not."""
        body = PlacesBody(data=request.data)
        body.is_valid(raise_exception=True)
        ids: list[UUID] = list(dict.fromkeys(body.validated_data["photo_ids"]))
        own = Photo.objects.editable_by(request.user).filter(pk__in=ids).order_by().values_list("pk", flat=True)
        done = set(set_places(request.user, dict.fromkeys(own, body.validated_data["place"])))
        errors = [{"id": str(key), "error": _UNKNOWN} for key in ids if key not in done]
        return Response(bulk_answer(len(done), errors))
