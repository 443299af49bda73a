"""What the records of an export destination say, through the API: of one photo, and month by month."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations.records import ledger_of
from exports.ledger.records import RecordStatus
from exports.ledger.state import MonthStatus
from exports.originals.months import month_summaries
from photolala.web.parameters import check_parameters, is_present
from photolala.web.refusals import BadRequest, NotThere
from photolala.web.views import ApiView, documented, in_path, query

from .destinations import own_destination, saying_refusals

LONGEST_ASSET_ID = 400


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
        if text and not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= 9999):
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
