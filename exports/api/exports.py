"""Exports of catalogs: ask for one, see how far it is, download it, delete it."""

from datetime import date
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.models import Library
from exports.catalogs import requests as verbs
from exports.catalogs.downloads import serve_export
from exports.models import Export
from exports.refusals import ExportRefused
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import already_active
from operations.models import EXPORT_JOB_WORDS
from operations.running import AlreadyActive
from photolala.web.file_headers import CONDITIONS
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import Conflict, Unavailable, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, answers_head, documented, made, page_body

from .filter_field import FilterField

NEWEST_FIRST = ("-created_at", "id")
WORDS = list(dict.fromkeys(EXPORT_JOB_WORDS.values()))


@extend_schema_field({"type": "string", "format": "date"})
class Day(serializers.CharField):
    """A day of the calendar."""


class ExportDays(RequestBody):
    """Days of the wall clock, both of them included."""

    start_date = Day(max_length=10, required=False, allow_null=True, help_text="As 2024-05-01.")
    end_date = Day(max_length=10, required=False, allow_null=True, help_text="To the end of that day.")


class NewExport(RequestBody):
    """Which photos to export, and in what format."""

    format = serializers.ChoiceField(Export.Format.choices)
    library = serializers.UUIDField(required=False, help_text="May be left out by who sees one library only.")
    date_range = ExportDays(required=False, allow_null=True)
    filter = FilterField(required=False, help_text="As in `photos/`: `media_type`, `rating` …; `album` is an id.")
    include_media = serializers.BooleanField(default=False, help_text="With the original files.")


class ExportProgress(serializers.Serializer[Any]):
    """Progress of an export."""

    photos_processed = serializers.IntegerField()
    photos_total = serializers.IntegerField(allow_null=True, help_text="Counted once, at the start.")
    media_copied = serializers.IntegerField()
    media_total = serializers.IntegerField(allow_null=True)
    percent = serializers.FloatField(allow_null=True, help_text="Of the present phase.")
    phase = serializers.CharField()
    rate = serializers.FloatField(allow_null=True, help_text="Units per second, lately.")
    eta_seconds = serializers.FloatField(allow_null=True)


class ExportBody(serializers.Serializer[Any]):
    """A catalog export."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(WORDS)
    format = serializers.ChoiceField(Export.Format.choices)
    library = serializers.UUIDField(allow_null=True, help_text="null if it was forgotten since.")
    library_name = serializers.CharField()
    date_range = serializers.DictField(allow_null=True)
    filter = FilterField()
    include_media = serializers.BooleanField()
    folder = serializers.CharField(help_text="The name of its folder in the ZIP.")
    progress = ExportProgress()
    queue_place = serializers.IntegerField(
        allow_null=True, help_text="While it is queued: how many exports of this user come before it. Else null."
    )
    error = serializers.CharField(help_text="A sentence for people.")
    photo_count = serializers.IntegerField()
    media_count = serializers.IntegerField()
    missing_count = serializers.IntegerField(help_text="Photos whose file could not be exported; see the operation.")
    size_bytes = serializers.IntegerField()
    operation = serializers.UUIDField(allow_null=True)
    download = serializers.CharField(allow_null=True, help_text="Where to get it, once it is complete.")
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When its files are deleted; null if they are not."
    )


ExportPage = page_body("ExportPage", ExportBody)


def export_json(export: Export) -> dict[str, Any]:
    """Return an export as the API writes it."""
    return {
        "id": str(export.pk),
        "status": export.word,
        "format": export.format,
        "library": str(export.library_id) if export.library_id else None,
        "library_name": export.library_name,
        "date_range": export.date_range,
        "filter": export.filter,
        "include_media": export.include_media,
        "folder": export.folder_name,
        "progress": _progress(export),
        "queue_place": export.place,
        "error": export.operation.error if export.operation else "",
        "photo_count": export.photo_count,
        "media_count": export.media_count,
        "missing_count": export.missing_count,
        "size_bytes": export.size_bytes,
        "operation": str(export.operation_id) if export.operation_id else None,
        "download": reverse("api:export-download", args=[export.pk]) if export.can_be_downloaded else None,
        "created_at": utc_text(export.created_at),
        "completed_at": utc_text(export.completed_at),
        "expires_at": utc_text(export.expires_at),
    }


def _progress(export: Export) -> dict[str, Any]:
    operation = export.operation
    metrics = operation.metrics if operation else {}
    fraction = operation.fraction if operation else (1.0 if export.completed_at else None)
    return {
        "photos_processed": metrics.get("photos_processed", export.photo_count),
        "photos_total": metrics.get("photos_total"),
        "media_copied": metrics.get("media_copied", export.media_count),
        "media_total": metrics.get("media_total"),
        "percent": None if fraction is None else round(100 * fraction, 1),
        "phase": operation.phase if operation else "",
        "rate": operation.rate if operation else None,
        "eta_seconds": operation.eta_seconds if operation else None,
    }


def own_export(request: Request, export_id: UUID) -> Export:
    export = Export.objects.visible_to(request.user).with_place().filter(pk=export_id).first()
    if export is None:
        raise Http404
    return export


class ExportList(ApiView):
    """The user's catalog exports."""

    @documented(
        "exports_list",
        "One's own exports, newest first.",
        {200: ExportPage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        """Return a page. One query."""
        check_parameters(request.query_params, {"limit", "cursor"})
        own = Export.objects.visible_to(request.user).with_place()
        page = paginate(own, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [export_json(row) for row in page.rows], request))

    @documented(
        "exports_create",
        "Ask for an export. One of a user is at work, the others wait in order: `queue_place`. 409 with the operation's "
        "id if the same export is at work or waits, and 409 `queue_full` if twenty are.",
        {202: ExportBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=NewExport,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        body = NewExport(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        days = wanted.get("date_range") or {}
        wishes = verbs.Wishes(
            format=wanted["format"],
            start_date=_day(days.get("start_date"), "start_date"),
            end_date=_day(days.get("end_date"), "end_date"),
            filter=wanted.get("filter") or {},
            include_media=wanted["include_media"],
        )
        try:
            export = verbs.start_export(request.user, _library(request, wanted.get("library")), wishes)
        except ExportRefused as refused:
            kind = Conflict if refused.code == "queue_full" else Unprocessable
            raise kind(str(refused), refused.code) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(export_json(export), "export", export.pk, 202)


class ExportDetail(ApiView):
    """One catalog export."""

    @documented("exports_retrieve", "Progress and counts.", {200: ExportBody}, errors=(401, 404))
    def get(self, request: Request, export_id: UUID) -> Response:
        return Response(export_json(own_export(request, export_id)))

    @documented(
        "exports_delete",
        "Delete it with its files. 409 while it is at work: cancel its operation first.",
        {204: "It is deleted."},
        errors=(401, 403, 404, 409, 503),
    )
    def delete(self, request: Request, export_id: UUID) -> Response:
        try:
            verbs.delete_export(own_export(request, export_id))
        except ExportRefused as refused:
            raise Conflict(str(refused), refused.code) from None
        except OSError as error:
            raise Unavailable(
                f"Its files cannot be deleted now: {error.strerror}.", "not_deleted", wait_seconds=60
            ) from None
        return Response(status=204)


@answers_head
class ExportDownload(ApiView):
    """The files of an export as one ZIP."""

    @documented(
        "exports_download",
        "All its files as one ZIP, streamed; `Range` and `If-Range` let a broken download go on. Ten of a user at once at "
        "most; 429 says when to try again.",
        {
            200: bytes,
            206: bytes,
            304: "The client has it already (If-None-Match).",
        },
        errors=(401, 404, 409, 416, 429, 503),
        parameters=CONDITIONS,
        binary="application/zip",
    )
    def get(self, request: Request, export_id: UUID) -> HttpResponseBase:
        return serve_export(request._request, own_export(request, export_id))


def find_library(request: Request, library_id: UUID) -> Library:
    """Return the library if the user may see it; Http404 otherwise."""
    library = Library.objects.visible_to(request.user).filter(pk=library_id).first()
    if library is None:
        raise Http404
    return library


def _library(request: Request, library_id: UUID | None) -> Library:
    if library_id is not None:
        return find_library(request, library_id)
    visible = list(Library.objects.visible_to(request.user)[:2])
    if len(visible) != 1:
        raise Unprocessable("Say which library: an export is of one. Nothing was started.", "which_library")
    return visible[0]


def _day(text: str | None, name: str) -> date | None:
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise Unprocessable(f"{name} must be a day as 2024-05-01. Nothing was started.", "bad_range") from None
