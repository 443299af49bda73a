"""Checks of an export destination through the API: its records, and its copies."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations.folders import check_folder
from exports.originals import checks as verbs
from exports.originals.requests import start_rebuild
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.running import AlreadyActive
from photolala.web.views import ApiView, RequestBody, documented, made

from .destinations import own_destination, saying_refusals
from .exports import find_library


class VerificationRequest(RequestBody):
    """How the copies are to be checked."""

    repair = serializers.BooleanField(default=False, help_text="Copy bad ones again, beside what is there.")


class RebuildRequest(RequestBody):
    """The library whose photos are looked for, and whether what is found is recorded."""

    library = serializers.UUIDField()
    apply = serializers.BooleanField(default=False, help_text="Record what is found; else only tell.")


class FoundDamageBody(serializers.Serializer[Any]):
    """What was wrong with the records when they were opened."""

    found_at = serializers.DateTimeField()
    bad_lines = serializers.IntegerField(help_text="Lines of the log that could not be used.")
    missing_numbers = serializers.IntegerField(help_text="Changes that are in neither file.")
    problems = serializers.ListField(child=serializers.CharField(), help_text="A sentence for each, up to a hundred.")


class DamageBody(serializers.Serializer[Any]):
    """The condition of a destination's records."""

    record_count = serializers.IntegerField()
    is_whole = serializers.BooleanField(help_text="Nothing is known to be wrong.")
    now = FoundDamageBody(allow_null=True)
    before = FoundDamageBody(many=True, help_text="What exports found earlier, newest first.")
    set_aside = serializers.ListField(child=serializers.CharField(), help_text="Names of broken files that were kept.")


class StartVerification(ApiView):
    """Read every copy in the destination."""

    @documented(
        "export_destinations_verify",
        "Read every copy and preview and compare it with what was exported; with `repair` make bad ones again, beside what is "
        "there. "
        "409 while other work on this destination is under way.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=VerificationRequest,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = VerificationRequest(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            with saying_refusals():
                check_folder(request.user, destination.folder, but=destination)
                operation = verbs.start_verification(request.user, destination, repair=body.validated_data["repair"])
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)


class StartRebuild(ApiView):
    """Record again what is in the destination."""

    @documented(
        "export_destinations_rebuild",
        "Find out which photos of a library the files in `YYYY/MM/` are, by name and content, and tell it; with `apply` "
        "record them. No file there is changed. 409 while other work on this destination is under way.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=RebuildRequest,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, destination_id: UUID) -> Response:
        destination = own_destination(request, destination_id)
        body = RebuildRequest(data=request.data)
        body.is_valid(raise_exception=True)
        library = find_library(request, body.validated_data["library"])
        try:
            with saying_refusals():
                check_folder(request.user, destination.folder, but=destination)
                apply = body.validated_data["apply"]
                operation = start_rebuild(request.user, library, destination, apply=apply)
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)


class Damage(ApiView):
    """What is wrong with the records of a destination."""

    @documented(
        "export_destinations_damage",
        "What is wrong with the records of a destination, now and as exports found it earlier. 503 if they cannot be read.",
        {200: DamageBody},
        errors=(401, 404, 503),
    )
    def get(self, request: Request, destination_id: UUID) -> Response:
        with saying_refusals():
            condition = verbs.condition_of(own_destination(request, destination_id))
        return Response(
            {
                "record_count": condition.record_count,
                "is_whole": condition.is_whole,
                "now": condition.now.to_json() if condition.now else None,
                "before": [found.to_json() for found in condition.before],
                "set_aside": condition.set_aside,
            }
        )

    @documented(
        "export_destinations_damage_dismiss",
        "Tell no more what exports found earlier. The broken files and the note of it stay in the destination.",
        {204: "It is told no more."},
        errors=(401, 403, 404, 422),
    )
    def delete(self, request: Request, destination_id: UUID) -> Response:
        with saying_refusals():
            verbs.dismiss(own_destination(request, destination_id))
        return Response(status=204)
