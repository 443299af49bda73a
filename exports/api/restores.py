"""Restores: send a backup, see what it would change, put it back."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404, HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.models import Backup, Restore
from exports.refusals import ExportRefused
from exports.restore import requests as verbs
from exports.restore.expiry import KEPT_DAYS
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import already_active
from operations.models import EXPORT_JOB_WORDS
from operations.running import AlreadyActive
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, read_uuid, utc_text
from photolala.web.raw_bodies import AnyFile
from photolala.web.refusals import BadRequest, Conflict, NotThere, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, documented, made, page_body, query, refuse_members

NEWEST_FIRST = ("-created_at", "id")
WORDS = list(dict.fromkeys(EXPORT_JOB_WORDS.values()))
_BLOCK = 1 << 20
_FLAGS = {"true": True, "false": False}


class RestoreBody(serializers.Serializer[Any]):
    """A backup that is compared with what is here, or put back."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(WORDS, help_text="Of what is being done with it now, or was last.")
    mode = serializers.ChoiceField(Restore.Mode.choices)
    dry_run = serializers.BooleanField(help_text="Nothing is changed by it; confirm it to put it back.")
    name = serializers.CharField(help_text="Of the file that was sent.")
    exported_at = serializers.DateTimeField(allow_null=True, help_text="When the backup was made.")
    counts = serializers.DictField(help_text="By kind of thing, by what becomes of it: docs/formats.md, Restoring.")
    difference_count = serializers.IntegerField()
    differences = serializers.ListField(help_text="The first thousand; all of them are in `report/`.")
    problem_count = serializers.IntegerField(help_text="What in the backup cannot be used.")
    problems = serializers.ListField(help_text="The first thousand.")
    waiting_count = serializers.IntegerField(help_text="Photos that it speaks of and that are not here yet.")
    error = serializers.CharField(help_text="A sentence for people.")
    operation = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    compared_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True, help_text="When it was put back.")


RestorePage = page_body("RestorePage", RestoreBody)


def restore_json(restore: Restore) -> dict[str, Any]:
    """Return a restore as the API writes it. One query, for what waits."""
    return {
        "id": str(restore.pk),
        "status": restore.word,
        "mode": restore.mode,
        "dry_run": restore.is_dry_run,
        "name": restore.source_name,
        "exported_at": utc_text(restore.exported_at),
        "counts": restore.counts,
        "difference_count": restore.difference_count,
        "differences": restore.differences,
        "problem_count": restore.problem_count,
        "problems": restore.problems,
        "waiting_count": restore.waiting.count(),
        "error": restore.operation.error if restore.operation else "",
        "operation": str(restore.operation_id) if restore.operation_id else None,
        "created_at": utc_text(restore.created_at),
        "compared_at": utc_text(restore.compared_at),
        "completed_at": utc_text(restore.completed_at),
    }


class RestoreList(ApiView):
    """The user's restores."""

    parser_classes = [AnyFile]

    @documented(
        "restores_list",
        "One's own restores, newest first.",
        {200: RestorePage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        check_parameters(request.query_params, {"limit", "cursor"})
        own = Restore.objects.visible_to(request.user).select_related("operation")
        page = paginate(own, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [restore_json(row) for row in page.rows], request))

    @documented(
        "restores_create",
        f"Send a backup as a ZIP of at most {verbs.LARGEST_SENT_BYTES >> 20} MiB, as one's own. It is checked and compared "
        "with what is here; with `dry_run=false` it is put back at once: all of it, or nothing. What is not put back within "
        f"{KEPT_DAYS} days is forgotten.",
        {202: RestoreBody},
        errors=(400, 401, 403, 404, 409, 413, 415, 422, 503, 507),
        request={"application/zip": bytes},
        parameters=[
            query("mode", "What becomes of what is here.", enum=Restore.Mode.values),
            query("dry_run", "Only compare: as if it was left out.", enum=list(_FLAGS)),
            query("name", "Of the file.", maxLength=255),
            query("backup", "The id of a backup that the server keeps, instead of a body.", format="uuid"),
        ],
    )
    def post(self, request: Request) -> Response:
        check_parameters(request.query_params, {"mode", "dry_run", "name", "backup"})
        mode = request.query_params.get("mode", Restore.Mode.MERGE)
        if mode not in Restore.Mode.values:
            raise BadRequest("mode must be merge or replace.", "mode")
        is_dry_run = _FLAGS.get(request.query_params.get("dry_run", "true"))
        if is_dry_run is None:
            raise BadRequest("dry_run must be true or false.", "dry_run")
        backup = self._backup(request)
        chunks: Iterator[bytes] = iter(partial(request._request.read, _BLOCK), b"")
        name = request.query_params.get("name") or "backup.zip"
        try:
            if backup is not None:
                restore = verbs.start_of_backup(request.user, backup, str(mode), is_dry_run=is_dry_run)
            else:
                restore = verbs.start_sent(request.user, chunks, name, str(mode), is_dry_run=is_dry_run)
        except ExportRefused as refused:
            kind = Conflict if refused.code == "too_many" else Unprocessable
            raise kind(str(refused), refused.code) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(restore_json(restore), "restore", restore.pk, 202)

    def _backup(self, request: Request) -> Backup | None:
        """Return the backup that is named; Http404 if it is not there, or not the user's."""
        text = request.query_params.get("backup")
        if not text:
            return None
        found = Backup.objects.visible_to(request.user).filter(pk=read_uuid(text, "backup")).first()
        if found is None:
            raise Http404
        return found


class RestoreDetail(ApiView):
    """One restore."""

    @documented("restores_retrieve", "What it would change, or changed.", {200: RestoreBody}, errors=(401, 404))
    def get(self, request: Request, restore_id: UUID) -> Response:
        return Response(restore_json(_own(request, restore_id)))

    @documented(
        "restores_delete",
        "Take it off the list, with the ZIP that was sent. What it put back stays. 409 while it is at work.",
        {204: "It is deleted."},
        errors=(401, 403, 404, 409),
    )
    def delete(self, request: Request, restore_id: UUID) -> Response:
        try:
            verbs.forget(_own(request, restore_id))
        except ExportRefused as refused:
            raise Conflict(str(refused), refused.code) from None
        return Response(status=204)


class RestoreConfirm(ApiView):
    """Put back what was compared."""

    @documented(
        "restores_confirm",
        "Put the backup back that was compared: all of it, or nothing. 409 unless it was compared, and is not at work.",
        {202: RestoreBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, restore_id: UUID) -> Response:
        restore = _own(request, restore_id)
        refuse_members(request)
        try:
            return Response(restore_json(verbs.confirm(restore)), status=202)
        except ExportRefused as refused:
            raise Conflict(str(refused), refused.code) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None


class RestoreReport(ApiView):
    """All differences."""

    @documented(
        "restores_report",
        "All differences, one JSON object a line. 404 before it was compared.",
        {200: bytes},
        errors=(401, 404),
        binary="application/jsonl",
    )
    def get(self, request: Request, restore_id: UUID) -> HttpResponseBase:
        restore = _own(request, restore_id)
        try:
            file = restore.report_file.open("rb")
        except FileNotFoundError:
            raise NotThere("There is no report of this restore yet.") from None
        return FileResponse(file, content_type="application/jsonl", as_attachment=True, filename="report.jsonl")


def _own(request: Request, restore_id: UUID) -> Restore:
    restore = Restore.objects.visible_to(request.user).select_related("operation").filter(pk=restore_id).first()
    if restore is None:
        raise Http404
    return restore
