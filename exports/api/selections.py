"""Photos that a person selected: what a download of them would be, and the download."""

from uuid import UUID

from django.http import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations.folders import check_folder
from exports.originals.selection import start_selection_export
from exports.selections.downloads import archive_of, serve_selection
from exports.selections.plan import MOST_PHOTOS, plan_download
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.running import AlreadyActive
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.views import ApiView, RequestBody, documented, made

from .destinations import own_destination, saying_refusals


class SelectionBody(RequestBody):
    """Which photos."""

    photo_ids = serializers.ListField(
        child=serializers.UUIDField(),
        allow_empty=False,
        max_length=MOST_PHOTOS,
        required=False,
        help_text="May be left out with `album`: then all of it.",
    )
    album = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="The album in which they are seen, if one does not see their libraries.",
    )

    def wish(self) -> tuple[list[UUID], UUID | None]:
        """Return ids and album. Raises ValidationError."""
        self.is_valid(raise_exception=True)
        photo_ids, album = self.validated_data.get("photo_ids", []), self.validated_data.get("album")
        if not photo_ids and album is None:
            raise serializers.ValidationError({"photo_ids": ["Name photos, an album, or both."]})
        return photo_ids, album


class SelectionExportBody(SelectionBody):
    """Which photos, and where to."""

    destination = serializers.UUIDField(help_text="One of one's own.")


class PlannedDownloadBody(BulkBody):
    """What the download would be; `errors` says of each photo that would not be in it why."""

    filename = serializers.CharField(help_text="What it would be called.")
    size_bytes = serializers.IntegerField(help_text="Of what would be sent.")


class PlanDownload(ApiView):
    """A look before a download."""

    @documented(
        "photos_download_plan",
        f"What a download of up to {MOST_PHOTOS:,} photos would be, and which of them it would lack. Nothing is read or changed.",
        {200: PlannedDownloadBody},
        errors=(400, 401, 404, 415, 422),
        request=SelectionBody,
    )
    def post(self, request: Request) -> Response:
        photo_ids, album = SelectionBody(data=request.data).wish()
        plan = plan_download(request.user, photo_ids, album)
        is_one = plan.is_one_file
        errors = [
            {"id": str(one.id), "error": f"{one.name}: {one.reason}" if one.name else one.reason}
            for one in plan.missing
        ]
        return Response(
            bulk_answer(
                len(plan.chosen),
                errors,
                filename=plan.chosen[0].original.target if is_one else f"{plan.name}.zip",
                size_bytes=plan.chosen[0].original.size_bytes if is_one else archive_of(plan).total_size,
            )
        )


class DownloadSelection(ApiView):
    """The files of selected photos."""

    @documented(
        "photos_download",
        f"The originals of up to {MOST_PHOTOS:,} photos as one ZIP, made while it is sent: `Content-Length` is exact, parts "
        "cannot be asked for. One photo alone is sent as it is. What cannot be had is named in `missing.txt` in the ZIP. "
        "Ten downloads of a user at once at most.",
        {200: bytes},
        errors=(400, 401, 404, 415, 422, 429, 503),
        request=SelectionBody,
        binary="*/*",
    )
    def post(self, request: Request) -> HttpResponseBase:
        photo_ids, album = SelectionBody(data=request.data).wish()
        return serve_selection(request._request, request.user, photo_ids, album)


class ExportSelection(ApiView):
    """Selected photos, copied to a destination."""

    @documented(
        "photos_export",
        f"Copy what a destination lacks of up to {MOST_PHOTOS:,} photos that one sees in libraries. 409 while an export to it is "
        "at work.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=SelectionExportBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        body = SelectionExportBody(data=request.data)
        photo_ids, album = body.wish()
        destination = own_destination(request, body.validated_data["destination"])
        try:
            with saying_refusals():
                check_folder(request.user, destination.folder, but=destination)
                operation = start_selection_export(request.user, destination, photo_ids, album)
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)
