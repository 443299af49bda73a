"""Fields that notes and the blocks of drafts have in common: moment, place, attachment."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.albums import attachments
from photolala.web.views import RequestBody

from .albums import Text


@extend_schema_field({"type": "string", "format": "date-time"})
class Moment(serializers.CharField):
    """A moment whose offset is kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, **options)


class PlaceBody(RequestBody):
    """A place."""

    latitude = serializers.FloatField(required=False, allow_null=True, min_value=-90, max_value=90)
    longitude = serializers.FloatField(required=False, allow_null=True, min_value=-180, max_value=180)
    name = Text(200, required=False)


class Attached(RequestBody):
    """Either `photo`, or `media_md5` of a file that was sent to `media/`, and its name."""

    photo = serializers.UUIDField(required=False)
    media_md5 = serializers.RegexField(r"^[0-9a-f]{32}\Z", max_length=32, required=False)
    name = Text(attachments.LONGEST_FILE_NAME, required=False)
