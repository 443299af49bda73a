"""Export destinations: folders for originals, what is recorded there, and exporting to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations import folders as verbs
from exports.destinations.changing import DestinationChanges, change_destination, forget_destination
from exports.destinations.moving import move_destination
from exports.ledger.errors import LedgerFailed
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.models import ExportDestination
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.models import ACTIVE, Operation
from operations.running import AlreadyActive
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import Conflict, Unavailable, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, page_body

from .exports import find_library

BY_NAME = ("name", "id")


class DestinationChange(RequestBody):
    """What may be changed. The folder may not: its records would stay behind."""

    name = serializers.CharField(max_length=200, required=False)
    template = serializers.CharField(
        max_length=200,
        required=False,
        help_text="Folders below it, of `{year}`, `{month}`, `{day}`, `{album}`, `{camera}`, "
        "`{library}`; with `{original_name}` in the last part that names the files.",
    )

    schedule = serializers.ChoiceField(
        ExportDestination.Schedule.values, required=False, help_text="How often an export begins by itself."
    )
    schedule_hour = serializers.IntegerField(
        min_value=0, max_value=23, required=False, help_text="By the server's clock."
    )
    schedule_weekday = serializers.IntegerField(
        min_value=0, max_value=6, required=False, help_text="Of a weekly export; 0 is Monday."
    )
    with_companions = serializers.BooleanField(
        required=False, help_text="Copy also what is beside photos: XMP sidecars, Apple's edits (AAE), Takeout's JSON."
    )
    preview_px = serializers.ChoiceField(
        ExportDestination.Preview.choices,
        required=False,
        help_text="Put a JPEG of so many pixels (the longer edge) beside each copy, `NAME.preview.jpg`; 0: none.",
    )


class NewDestination(DestinationChange):
    """A folder that becomes a destination."""

    folder = serializers.CharField(
        max_length=4096,
        trim_whitespace=False,
        help_text="A plain name for a folder kept by the server, or an absolute path or s3://… below PHOTOLALA_ROOTS.",
    )


class DestinationBody(serializers.Serializer[Any]):
    """A folder into which originals are exported."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    folder = serializers.CharField()
    template = serializers.CharField()
    schedule = serializers.ChoiceField(ExportDestination.Schedule.values)
    schedule_hour = serializers.IntegerField()
    schedule_weekday = serializers.IntegerField()
    with_companions = serializers.BooleanField()
    preview_px = serializers.ChoiceField(ExportDestination.Preview.choices)
    refusal = serializers.CharField(help_text="Why the schedule could not begin an export; empty: it could.")
    refused_at = serializers.DateTimeField(allow_null=True, help_text="Since when that is so.")
    created_at = serializers.DateTimeField()


class FolderExportRequest(RequestBody):
    """The library whose originals are to be copied."""

    library = serializers.UUIDField()


class MovedTo(RequestBody):
    """Where a destination's folder is now."""

    folder = serializers.CharField(
        max_length=4096, trim_whitespace=False, help_text="An absolute path below PHOTOLALA_ROOTS."
    )


DestinationPage = page_body("DestinationPage", DestinationBody)


def _destination_json(destination: ExportDestination) -> dict[str, Any]:
    return {
        "id": str(destination.pk),
        "name": destination.name,
        "folder": destination.folder,
        "template": destination.template,
        "schedule": destination.schedule,
        "schedule_hour": destination.schedule_hour,
        "schedule_weekday": destination.schedule_weekday,
        "with_companions": destination.with_companions,
        "preview_px": destination.preview_px,
        "refusal": destination.refusal,
        "refused_at": utc_text(destination.refused_at) if destination.refused_at else None,
        "created_at": utc_text(destination.created_at),
    }


def own_destination(request: Request, destination_id: UUID) -> ExportDestination:
    """Return the user's destination of that id; Http404 if there is none."""
    destination = ExportDestination.objects.visible_to(request.user).filter(pk=destination_id).first()
    if destination is None:
        raise Http404
    return destination


@contextmanager
def saying_refusals() -> Iterator[None]:
    """Answer 422 for what is refused (409 while it is at work), 503 for records that cannot be read."""
    try:
        yield
    except ExportRefused as refused:
        if refused.code == "at_work":
            raise Conflict(str(refused), refused.code) from None
        raise Unprocessable(str(refused), refused.code) from None
    except LedgerFailed as failed:
        raise Unavailable(str(failed), "records_unreadable", wait_seconds=60) from None


class DestinationList(ApiView):
    """The user's export destinations."""

    @documented(
        "export_destinations_list",
        "One's own destinations, by name.",
        {200: DestinationPage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        page = paginate(ExportDestination.objects.visible_to(request.user), BY_NAME, request.query_params)
        return Response(envelope(page, [_destination_json(row) for row in page.rows], request))

    @documented(
        "export_destinations_create",
        "Make a folder of the server a destination for folder exports.",
        {201: DestinationBody},
        errors=(400, 401, 403, 415, 422),
        request=NewDestination,
    )
    def post(self, request: Request) -> Response:
        body = NewDestination(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = {"name": "", "template": DEFAULT_TEMPLATE, **body.validated_data}
        with saying_refusals():
            destination = verbs.add_destination(
                request.user, wanted.pop("name"), wanted.pop("folder"), wanted.pop("template")
            )
            change_destination(destination, cast(DestinationChanges, wanted))
        return made(_destination_json(destination), "export-destination", destination.pk)


class DestinationDetail(ApiView):
    """One export destination."""

    @documented("export_destinations_retrieve", "One destination.", {200: DestinationBody}, errors=(401, 404))
    def get(self, request: Request, destination_id: UUID) -> Response:
        return Response(_destination_json(own_destination(request, destination_id)))

    @documented(
        "export_destinations_update",
        "Change its name, template or schedule; what is there already stays where it is.",
        {200: DestinationBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=DestinationChange,
    )
    def patch(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = DestinationChange(data=request.data)
        body.is_valid(raise_exception=True)
        with saying_refusals():
            change_destination(destination, cast(DestinationChanges, body.validated_data))
        return Response(_destination_json(destination))

    @documented(
        "export_destinations_remove",
        "Forget the destination. Its files and records stay in the folder. 409 while an export to it is at work, or a schedule "
        "makes backups there.",
        {204: "It is forgotten."},
        errors=(401, 403, 404, 409),
    )
    def delete(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        running = Operation.objects.filter(active_key=destination.active_key, state__in=ACTIVE).first()
        if running is not None:
            raise Conflict(
                "An export to this destination is at work. Cancel it first. Nothing was changed.",
                "at_work",
                operation=str(running.pk),
            )
        try:
            forget_destination(destination)
        except ExportRefused as refused:
            raise Conflict(str(refused), refused.code) from None
        return Response(status=204)


class MoveDestination(ApiView):
    """The destination's disk is mounted elsewhere."""

    @documented(
        "export_destinations_move",
        "Say that what the destination had is in another folder now: its disk is mounted elsewhere. The folder must have its "
        "records. Nothing is copied.",
        {200: DestinationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=MovedTo,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = MovedTo(data=request.data)
        body.is_valid(raise_exception=True)
        with saying_refusals():
            moved = move_destination(request.user, destination, body.validated_data["folder"])
        return Response(_destination_json(moved))


class StartFolderExport(ApiView):
    """Copy to the destination what it lacks."""

    @documented(
        "export_destinations_export",
        "Copy the originals of a library that are not there yet. 409 if an export to this destination is under way.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=FolderExportRequest,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = FolderExportRequest(data=request.data)
        body.is_valid(raise_exception=True)
        library = find_library(request, body.validated_data["library"])
        try:
            with saying_refusals():
                verbs.check_folder(request.user, destination.folder, but=destination)
                operation = start_folder_export(request.user, library, destination)
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)
