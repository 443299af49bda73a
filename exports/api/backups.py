"""Backups: ask for one, see how far it is, download it, verify it, delete it; and look for some in a bucket."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.urls import reverse
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.backup import requests as verbs
from exports.backup.downloads import serve_backup
from exports.models import Backup, ExportDestination, Scope
from exports.refusals import ExportRefused
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.models import EXPORT_JOB_WORDS
from operations.running import AlreadyActive
from photolala.web.file_headers import CONDITIONS
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import Conflict, Forbidden, Unavailable, Unprocessable
from photolala.web.views import (
    PAGE_PARAMETERS,
    ApiView,
    RequestBody,
    answers_head,
    documented,
    made,
    page_body,
    refuse_members,
)

from .destinations import own_destination

NEWEST_FIRST = ("-created_at", "id")
WORDS = list(dict.fromkeys(EXPORT_JOB_WORDS.values()))
LONGEST_RECIPIENT = 200


class NewBackup(RequestBody):
    """Whose things to back up, and whether to encrypt them."""

    scope = serializers.ChoiceField(Scope.choices, default=Scope.PERSON, help_text="`server` is for administrators.")
    recipient = serializers.CharField(
        max_length=LONGEST_RECIPIENT, required=False, help_text="age's public key to encrypt for: `age1…`."
    )
    destination = serializers.UUIDField(
        required=False, allow_null=True, help_text="A destination in a bucket that is to keep it; null: this server."
    )


class BackupProgress(serializers.Serializer[Any]):
    """Progress of a backup."""

    fraction = serializers.FloatField(allow_null=True, help_text="0 to 1, by its phases.")
    phase = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)


class BackupBody(serializers.Serializer[Any]):
    """A backup."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(WORDS)
    scope = serializers.ChoiceField(Scope.choices)
    name = serializers.CharField()
    is_encrypted = serializers.BooleanField()
    is_scheduled = serializers.BooleanField()
    was_found = serializers.BooleanField(
        help_text="It was found in the bucket: another server made it, or this one before it was set up anew."
    )
    destination = serializers.UUIDField(allow_null=True, help_text="In whose bucket it is; null: on this server.")
    address = serializers.CharField(
        allow_null=True,
        help_text="Of one in a bucket or written by a command: where it is; null: this server keeps it.",
    )
    key_file = serializers.CharField(
        help_text="The identity that opens it, encrypted by your passphrase; empty if there is none."
    )
    progress = BackupProgress()
    error = serializers.CharField(help_text="A sentence for people.")
    album_count = serializers.IntegerField()
    note_count = serializers.IntegerField()
    draft_count = serializers.IntegerField()
    rating_count = serializers.IntegerField(help_text="Photos of which somebody said something.")
    media_count = serializers.IntegerField()
    issue_count = serializers.IntegerField(help_text="What could not be read; issues.txt names it.")
    size_bytes = serializers.IntegerField()
    operation = serializers.UUIDField(allow_null=True)
    download = serializers.CharField(allow_null=True, help_text="Where to get it, once it is complete.")
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True, help_text="When all of it was last read and right.")
    problem = serializers.CharField(help_text="What the last verification found; empty: nothing.")


BackupPage = page_body("BackupPage", BackupBody)


def backup_json(backup: Backup) -> dict[str, Any]:
    """Return a backup as the API writes it."""
    operation = backup.operation
    return {
        "id": str(backup.pk),
        "status": backup.word,
        "scope": backup.scope,
        "name": backup.name,
        "is_encrypted": backup.is_encrypted,
        "is_scheduled": backup.is_scheduled,
        "was_found": backup.was_found,
        "destination": str(backup.destination_id) if backup.destination_id else None,
        "address": None if backup.is_kept_here else backup.address,
        "key_file": backup.key_file,
        "progress": {
            "fraction": operation.metrics.get("fraction") if operation else None,
            "phase": operation.phase if operation else "",
            "done": operation.done if operation else 0,
            "total": operation.total if operation else None,
        },
        "error": operation.error if operation else "",
        **{name: getattr(backup, name) for name in COUNTS},
        "operation": str(backup.operation_id) if backup.operation_id else None,
        "download": reverse("api:backup-download", args=[backup.pk]) if backup.can_be_downloaded else None,
        "created_at": utc_text(backup.created_at),
        "completed_at": utc_text(backup.completed_at),
        "verified_at": utc_text(backup.verified_at),
        "problem": backup.problem,
    }


COUNTS = ("album_count", "note_count", "draft_count", "rating_count", "media_count", "issue_count", "size_bytes")


def _own(request: Request, backup_id: UUID) -> Backup:
    backup = Backup.objects.visible_to(request.user).select_related("operation").filter(pk=backup_id).first()
    if backup is None:
        raise Http404
    return backup


def destination_named(request: Request, key: UUID | None) -> ExportDestination | None:
    """Return the user's destination of that id; None for this server, Http404 if it is not theirs."""
    return own_destination(request, key) if key is not None else None


def backup_refusal(refused: ExportRefused) -> Exception:
    """Return the answer for what was refused."""
    kinds: dict[str, Any] = {
        "administrators_only": Forbidden,
        "too_many_backups": Conflict,
        "at_work": Conflict,
        "not_finished": Conflict,
    }
    error: Exception = kinds.get(refused.code, Unprocessable)(str(refused), refused.code)
    return error


class BackupList(ApiView):
    """The user's backups."""

    @documented(
        "backups_list",
        "Your backups, newest first.",
        {200: BackupPage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        own = Backup.objects.visible_to(request.user).select_related("operation")
        page = paginate(own, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [backup_json(row) for row in page.rows], request))

    @documented(
        "backups_create",
        "Ask for a backup. One of a user is at work at a time. 409 with the operation's id if the same is at work or waits.",
        {202: BackupBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=NewBackup,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        body = NewBackup(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        destination = destination_named(request, wanted.get("destination"))
        try:
            backup = verbs.start_backup(
                request.user, wanted["scope"], destination=destination, recipient=wanted.get("recipient", "")
            )
        except ExportRefused as refused:
            raise backup_refusal(refused) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(backup_json(backup), "backup", backup.pk, 202)


class FindBackups(ApiView):
    """Backups that a destination's bucket has and this server does not list."""

    @documented(
        "export_destinations_find_backups",
        "Look in a destination's bucket for backups that are not listed here, such as those of an earlier server. They are "
        "listed as not verified.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        refuse_members(request)
        try:
            operation = verbs.start_finding(request.user, destination)
        except ExportRefused as refused:
            raise backup_refusal(refused) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)


class BackupDetail(ApiView):
    """One backup."""

    @documented("backups_retrieve", "Progress and counts.", {200: BackupBody}, errors=(401, 404))
    def get(self, request: Request, backup_id: UUID) -> Response:
        return Response(backup_json(_own(request, backup_id)))

    @documented(
        "backups_delete",
        "Delete it with its files. 409 while it is at work: cancel its operation first.",
        {204: "It is deleted."},
        errors=(401, 403, 404, 409, 503),
    )
    def delete(self, request: Request, backup_id: UUID) -> Response:
        try:
            verbs.delete_backup(_own(request, backup_id))
        except ExportRefused as refused:
            raise backup_refusal(refused) from None
        except OSError as error:
            raise Unavailable(
                f"Its files cannot be deleted now: {error.strerror}.", "not_deleted", wait_seconds=60
            ) from None
        return Response(status=204)


class VerifyBackup(ApiView):
    """Read all of a backup again."""

    @documented(
        "backups_verify",
        "Read all of it again, and note whether it is whole. 409 while that is under way, or it is not finished.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, backup_id: UUID) -> Response:
        backup = _own(request, backup_id)
        refuse_members(request)
        try:
            operation = verbs.start_verification(backup)
        except ExportRefused as refused:
            raise backup_refusal(refused) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)


@answers_head
class BackupDownload(ApiView):
    """The files of a backup as one file."""

    @documented(
        "backups_download",
        "All of it as one ZIP, or the encrypted ZIP; `Range` and `If-Range` let a broken download go on. Ten of a user at "
        "once at most; 429 says when to try again.",
        {200: bytes, 206: bytes, 304: "The client has it already (If-None-Match)."},
        errors=(401, 404, 409, 416, 429, 503),
        parameters=CONDITIONS,
        binary="application/zip",
    )
    def get(self, request: Request, backup_id: UUID) -> HttpResponseBase:
        return serve_backup(request._request, _own(request, backup_id))
