"""Export destinations: folders for originals, what is recorded there, and exporting to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations import folders as verbs
from exports.destinations.naming import check_template
from exports.destinations.records import ledger_of
from exports.ledger.errors import LedgerFailed
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.ledger.records import RecordStatus
from exports.ledger.state import MonthStatus
from exports.models import ExportDestination
from exports.originals.months import month_summaries
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.models import ACTIVE, Operation
from operations.running import AlreadyActive
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, is_present, utc_text
from photolala.web.refusals import BadRequest, Conflict, NotThere, Unavailable, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, in_path, made, page_body, query

from .exports import find_library

BY_NAME = ("name", "id")
LONGEST_ASSET_ID = 400


class DestinationChange(RequestBody):
    """What may be changed. The folder may not: its records would stay behind."""

    name = serializers.CharField(max_length=200, required=False)
    template = serializers.CharField(
        max_length=200,
        required=False,
        help_text="Folders below it, of `{year}`, `{month}`, `{day}`, `{album}`, `{camera}`, "
        "`{library}`; with `{original_name}` in the last part that names the files.",
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
    created_at = serializers.DateTimeField()


class FolderExportRequest(RequestBody):
    """The library whose originals are to be copied."""

    library = serializers.UUIDField()


class RecordBody(serializers.Serializer[Any]):
    """An export record, as in `ExportRecords/` (the words are the files'); or with `?exported` only that member."""

    exported = serializers.BooleanField(help_text="Its status is `done`.")
    id = serializers.CharField(required=False)
    year = serializers.IntegerField(required=False)
    month = serializers.IntegerField(required=False)
    relPath = serializers.CharField(required=False)
    filename = serializers.CharField(required=False)
    status = serializers.ChoiceField([str(status) for status in RecordStatus], required=False)
    exportDate = serializers.CharField(required=False)
    lastError = serializers.CharField(required=False)


class MonthBody(serializers.Serializer[Any]):
    """How many files of a month were exported."""

    year = serializers.IntegerField()
    month = serializers.IntegerField()
    exported = serializers.IntegerField()
    total = serializers.IntegerField()
    status = serializers.ChoiceField([str(status) for status in MonthStatus])


class MonthList(serializers.Serializer[Any]):
    """Months of a destination, newest first."""

    results = MonthBody(many=True)


DestinationPage = page_body("DestinationPage", DestinationBody)


def _destination_json(destination: ExportDestination) -> dict[str, Any]:
    return {
        "id": str(destination.pk),
        "name": destination.name,
        "folder": destination.folder,
        "template": destination.template,
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
    """Answer 422 for what is refused, 503 for records that cannot be read."""
    try:
        yield
    except ExportRefused as refused:
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
            destination = verbs.add_destination(request.user, wanted["name"], wanted["folder"], wanted["template"])
        return made(_destination_json(destination), "export-destination", destination.pk)


class DestinationDetail(ApiView):
    """One export destination."""

    @documented("export_destinations_retrieve", "One destination.", {200: DestinationBody}, errors=(401, 404))
    def get(self, request: Request, destination_id: UUID) -> Response:
        return Response(_destination_json(own_destination(request, destination_id)))

    @documented(
        "export_destinations_update",
        "Change its name or template; what is there already stays where it is.",
        {200: DestinationBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=DestinationChange,
    )
    def patch(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = DestinationChange(data=request.data)
        body.is_valid(raise_exception=True)
        with saying_refusals():
            check_template(body.validated_data.get("template", destination.template))
        for name, value in body.validated_data.items():
            setattr(destination, name, value)
        if body.validated_data:
            destination.save(update_fields=list(body.validated_data))
        return Response(_destination_json(destination))

    @documented(
        "export_destinations_remove",
        "Forget the destination. Its files and records stay in the folder. 409 while an export to it is at work.",
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
        destination.delete()
        return Response(status=204)


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


class Record(ApiView):
    """What is recorded of one photo."""

    @documented(
        "export_destinations_record",
        "The record of one photo (`exportInfo`), 404 if there is none; with `?exported` only whether it is exported.",
        {200: RecordBody},
        errors=(400, 401, 404, 503),
        parameters=[
            in_path("asset_id", "The photo's id.", maxLength=LONGEST_ASSET_ID),
            query("exported", "Present: answer `{exported}` only (`isExported`), also without a record.", bool),
        ],
    )
    def get(self, request: Request, destination_id: UUID, asset_id: str) -> Response:
        check_parameters(request.query_params, {"exported"})
        if len(asset_id) > LONGEST_ASSET_ID:
            raise BadRequest(f"An asset's id has at most {LONGEST_ASSET_ID} characters.", "bad_text")
        with saying_refusals():
            record = ledger_of(own_destination(request, destination_id)).state.get(asset_id)
        is_exported = record is not None and record.status is RecordStatus.DONE
        if is_present(request.query_params, "exported"):
            return Response({"exported": is_exported})
        if record is None:
            raise NotThere("There is no record of that photo in this destination.", "no_record")
        return Response({"exported": is_exported, **record.to_json()})


class Months(ApiView):
    """How much of each month is there."""

    @documented(
        "export_destinations_months",
        "Per month: photos exported, photos there are in the libraries exported to it, and the status.",
        {200: MonthList},
        errors=(400, 401, 404, 503),
        parameters=[query("year", "Only that year's.", int, minimum=1, maximum=9999)],
    )
    def get(self, request: Request, destination_id: UUID) -> Response:
        check_parameters(request.query_params, {"year"})
        text = request.query_params.get("year", "")
        if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 9999):
            raise BadRequest("year must be a number such as 2024.", "bad_year")
        with saying_refusals():
            months = month_summaries(
                own_destination(request, destination_id), request.user, int(text) if text else None
            )
        rows = [
            {
                "year": month.year,
                "month": month.month,
                "exported": month.exported_count,
                "total": month.total_count,
                "status": str(month.status),
            }
            for month in months
        ]
        return Response({"results": rows})
