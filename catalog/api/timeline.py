"""The timeline: months with their counts, and what one needs to draw them."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.api.filter_parameters import PARAMETERS
from catalog.browsing import photo_lists
from catalog.browsing.filters import NAMES, PhotoFilters
from catalog.browsing.timeline import MOST_BUCKETS
from photolala.web.parameters import check_parameters
from photolala.web.views import ApiView, documented, query

BUCKET = r"^(undated|[0-9]{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)$"


class BucketBody(serializers.Serializer[Any]):
    """A month, or a day of a large month."""

    bucket = serializers.CharField(help_text="`2024-05`, `2024-05-17`, or `undated`.")
    count = serializers.IntegerField()


@extend_schema_serializer(deprecate_fields=["favorite"])
class BucketPhotosBody(serializers.Serializer[Any]):
    """The photos as arrays of one length, newest first."""

    id = serializers.ListField(child=serializers.UUIDField())
    ratio = serializers.ListField(child=serializers.FloatField(), help_text="Width / height; 1.5 while unknown.")
    placeholder = serializers.ListField(child=serializers.CharField(), help_text="#rrggbb, or empty.")
    favourite = serializers.ListField(child=serializers.BooleanField(), help_text="One's own.")
    favorite = serializers.ListField(child=serializers.BooleanField(), help_text="The former name of `favourite`.")
    stars = serializers.ListField(child=serializers.IntegerField(), help_text="One's own stars, 0 to 5.")
    taken_at = serializers.ListField(
        child=serializers.DateTimeField(allow_null=True), help_text="UTC; null for the undated."
    )
    taken_local = serializers.ListField(child=serializers.CharField(allow_null=True), help_text="The wall clock.")
    media_type = serializers.ListField(child=serializers.CharField())
    duration = serializers.ListField(child=serializers.IntegerField(allow_null=True), help_text="Milliseconds.")
    state = serializers.ListField(child=serializers.CharField())
    thumbnail = serializers.ListField(child=serializers.BooleanField(), help_text="It is made already.")
    version = serializers.ListField(child=serializers.CharField(), help_text="For `?v=` of the pictures' addresses.")
    live = serializers.ListField(
        child=serializers.CharField(), help_text="The same for picture and video of one Live Photo; else empty."
    )
    can_edit = serializers.ListField(
        child=serializers.BooleanField(),
        help_text="One may change the photo itself: its rating, its date, its caption.",
    )
    motion = serializers.ListField(
        child=serializers.BooleanField(), help_text="A short video is in the picture's file: `photos/{id}/motion/`."
    )


class Buckets(ApiView):
    """The months of the timeline with their counts."""

    @documented(
        "timeline_buckets",
        "Months with photos, newest first; those above 1,000 by day; last the undated, and those of which only the file's own "
        "time is known.",
        {200: BucketBody(many=True)},
        errors=(400, 401, 422),
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, NAMES)
        return Response(photo_lists.timeline_buckets(request.user, PhotoFilters.from_query(request.query_params)))


class Bucket(ApiView):
    """The photos of some months."""

    @documented(
        "timeline_bucket",
        "The photos of one or several months, newest first, as a struct of arrays.",
        {200: BucketPhotosBody},
        errors=(400, 401, 422),
        parameters=[
            query(
                "bucket",
                "A bucket's name; may be repeated.",
                many=True,
                required=True,
                minItems=1,
                maxItems=MOST_BUCKETS,
                pattern=BUCKET,
                format="bucket",
            ),
            *PARAMETERS,
        ],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, NAMES | {"bucket"})
        filters = PhotoFilters.from_query(request.query_params)
        arrays = photo_lists.timeline_bucket(request.user, filters, request.query_params.getlist("bucket"))
        return Response({**arrays, "favourite": arrays["favorite"]})
