"""Similar pictures: have them found, and read the groups."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.browsing.similar import Similar, similar_groups
from catalog.duplicates.similar import start_finding
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, started
from photolala.web.keyset import Page, envelope, read_limit
from photolala.web.parameters import check_parameters
from photolala.web.refusals import BadRequest
from photolala.web.views import PAGE_PARAMETERS, ApiView, documented, page_body, refuse_members


class SimilarPictureBody(serializers.Serializer[Any]):
    """A picture of a group."""

    id = serializers.UUIDField()
    library = serializers.UUIDField()
    directory = serializers.CharField()
    filename = serializers.CharField()
    media_type = serializers.CharField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    size_bytes = serializers.IntegerField()
    can_change = serializers.BooleanField(help_text="Whether it can be moved to the trash by this user.")
    pair = serializers.CharField(help_text="The file name of its RAW or JPEG, or of its short video; else empty.")


class SimilarGroupBody(serializers.Serializer[Any]):
    """Pictures that look alike, the largest first."""

    number = serializers.IntegerField(help_text="Its place in the list until the pictures are compared again.")
    photos = SimilarPictureBody(many=True)
    differences = serializers.ListField(child=serializers.CharField(), help_text="In what they differ, for people.")


SimilarPage = page_body("SimilarPage", SimilarGroupBody)


class SimilarPictures(ApiView):
    """Groups of pictures that look alike, among all that one sees."""

    @documented(
        "photos_similar",
        "The groups that were found when the user last asked for them, as far as their pictures are still there. To keep some, "
        "move the others to the trash (`photos/trash/`).",
        {200: SimilarPage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        cursor = request.query_params.get("cursor", "")
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise BadRequest(
                "This cursor is not one that was given for this list. Start again without it.", "bad_cursor"
            )
        groups, more = similar_groups(request.user, int(cursor or 0), read_limit(request.query_params))
        page = Page(groups, str(more) if more else None)
        return Response(envelope(page, [_json(group) for group in groups], request))

    @documented(
        "photos_similar_find",
        "Compare all pictures that the user sees, and replace the groups. 409 with the running operation's id if that is being "
        "done.",
        {202: OperationBody},
        errors=(400, 401, 403, 409, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        refuse_members(request)
        return started(request, lambda: start_finding(request.user))


def _json(group: Similar) -> dict[str, Any]:
    photos = [
        {
            "id": str(one["id"]),
            "library": str(one["library_id"]),
            **{name: one[name] for name in ("directory", "filename", "media_type", "width", "height", "size_bytes")},
            "can_change": one["can_change"],
            "pair": one["pair"],
        }
        for one in group.pictures
    ]
    return {"number": group.number, "photos": photos, "differences": group.differences}
