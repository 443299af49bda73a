"""What became of each photo in the exports to a destination, through the API."""

from typing import Any
from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.originals import report
from exports.originals.requests import runs_to
from operations.models import Operation, State
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.views import PAGE_PARAMETERS, ApiView, documented, page_body

from .destinations import own_destination

NEWEST_FIRST = ("-created_at", "id")


class FolderRunBody(serializers.Serializer[Any]):
    """One export to a destination."""

    operation = serializers.UUIDField()
    subject = serializers.CharField()
    state = serializers.ChoiceField(State.values)
    started_at = serializers.DateTimeField()
    copied = serializers.IntegerField(allow_null=True)
    skipped = serializers.IntegerField(allow_null=True)
    failed = serializers.IntegerField(allow_null=True)
    has_report = serializers.BooleanField()


FolderRunPage = page_body("FolderRunPage", FolderRunBody)


class Reports(ApiView):
    """The exports to a destination."""

    @documented(
        "export_destinations_reports",
        "Its exports, newest first; those with a report can be had photo by photo.",
        {200: FolderRunPage},
        errors=(400, 401, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, destination_id: UUID) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        runs = runs_to(own_destination(request, destination_id), request.user)
        page = paginate(runs, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [_run_json(run) for run in page.rows], request))


class CsvReport(ApiView):
    """What became of each photo, for spreadsheets."""

    @documented(
        "export_destinations_report_csv",
        "Each photo of that export: exported, already there, or failed with the reason. Spreadsheets run nothing of it.",
        {200: bytes},
        errors=(401, 404),
        binary="text/csv",
    )
    def get(self, request: Request, destination_id: UUID, operation_id: UUID) -> HttpResponseBase:
        return report.send_report(report_of(request, destination_id, operation_id), "csv")


class JsonReport(ApiView):
    """What became of each photo, for programs."""

    @documented(
        "export_destinations_report_json",
        "Each photo of that export: exported, already there, or failed with the reason.",
        {200: bytes},
        errors=(401, 404),
        binary="application/json",
    )
    def get(self, request: Request, destination_id: UUID, operation_id: UUID) -> HttpResponseBase:
        return report.send_report(report_of(request, destination_id, operation_id), "json")


def report_of(request: Request, destination_id: UUID, operation_id: UUID) -> Operation:
    """Return the run if it is one to the user's destination, and has a report; Http404 otherwise."""
    run = runs_to(own_destination(request, destination_id), request.user).filter(pk=operation_id).first()
    if run is None:
        raise Http404
    return run


def _run_json(run: Operation) -> dict[str, Any]:
    result = run.result or {}
    return {
        "operation": str(run.pk),
        "subject": run.subject,
        "state": run.state,
        "started_at": utc_text(run.created_at),
        **{name: result.get(name) for name in ("copied", "skipped", "failed")},
        "has_report": report.has_report(run),
    }
