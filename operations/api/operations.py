"""One's own operations: progress, results, and cancel, resume, retry."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.models import User
from accounts.requests import Request
from operations import control
from operations.api.idempotency import KEYED, idempotent
from operations.api.metrics import MetricsBody
from operations.api.results import by_kind
from operations.models import UNFINISHED, Operation, State
from operations.running import AlreadyActive
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import BadRequest, Conflict
from photolala.web.views import (
    PAGE_PARAMETERS,
    ApiView,
    RequestBody,
    documented,
    made,
    page_body,
    query,
    refuse_members,
)

NEWEST_FIRST = ("-created_at", "id")


class AnyOperation(serializers.Serializer[Any]):
    """One piece of long work: the members that all kinds have."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    subject = serializers.CharField(help_text="What it works on, in words.")
    state = serializers.ChoiceField(State.choices)
    phase = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True, help_text="null while unknown.")
    unit = serializers.CharField()
    fraction = serializers.FloatField(allow_null=True, help_text="0 to 1.")
    rate = serializers.FloatField(allow_null=True, help_text="Units per second, lately.")
    eta_seconds = serializers.FloatField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True, help_text="How long it has run, or ran.")
    can_resume = serializers.BooleanField()
    can_start_over = serializers.BooleanField()
    cancel_requested = serializers.BooleanField()
    superseded = serializers.BooleanField()
    error = serializers.CharField(help_text="A sentence for people.")
    error_code = serializers.CharField(help_text="`confirm_gone`: resume it with that confirmation.")
    params = serializers.DictField()
    metrics = MetricsBody()
    result = serializers.DictField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


KINDS_OF_OPERATION = by_kind(AnyOperation)


def OperationBody(**options: Any) -> PolymorphicProxySerializer:
    """Describe one piece of long work: its `kind` says which members `result` has."""
    return PolymorphicProxySerializer(
        component_name="Operation", serializers=KINDS_OF_OPERATION, resource_type_field_name="kind", **options
    )


class Answer(RequestBody):
    """A person's answer to what the operation asked."""

    confirm_gone = serializers.BooleanField(required=False)
    start_over = serializers.BooleanField(
        required=False, help_text="Throw away what it has read so far (`can_start_over`)."
    )


OperationPage = page_body("OperationPage", OperationBody)


def operation_json(operation: Operation) -> dict[str, Any]:
    """Return an operation as the API writes it."""
    return {
        "id": str(operation.pk),
        "kind": operation.kind,
        "subject": operation.subject,
        "state": operation.state,
        "phase": operation.phase,
        "done": operation.done,
        "total": operation.total,
        "unit": operation.unit,
        "fraction": operation.fraction,
        "rate": operation.rate,
        "eta_seconds": operation.eta_seconds,
        "seconds": operation.seconds,
        "can_resume": operation.can_resume,
        "can_start_over": control.can_start_over(operation),
        "cancel_requested": operation.cancel_requested,
        "superseded": operation.superseded,
        "error": operation.error,
        "error_code": operation.error_code,
        "params": operation.params,
        "metrics": operation.metrics,
        "result": operation.result,
        "created_at": utc_text(operation.created_at),
        "started_at": utc_text(operation.started_at),
        "updated_at": utc_text(operation.updated_at),
        "finished_at": utc_text(operation.finished_at),
    }


def already_active(running: AlreadyActive, user: User) -> Conflict:
    """Return the 409 that names the operation in the way: its id, and to others than its owner no more than that."""
    return Conflict(
        f"This is being done already (operation {running.operation.pk}). Wait for it, or cancel it.",
        "already_running",
        operation=str(running.operation.pk),
    )


def started(request: Request, begin: Callable[[], Operation]) -> Response:
    """Start what `begin` starts and return the 202 with the operation. Raises the 409 if it is being done already."""
    try:
        operation = begin()
    except AlreadyActive as running:
        raise already_active(running, request.user) from None
    return made(operation_json(operation), "operation", operation.pk, 202)


def _own(request: Request, operation_id: UUID) -> Operation:
    operation = Operation.objects.visible_to(request.user).filter(pk=operation_id).first()
    if operation is None:
        raise Http404
    return operation


class OperationList(ApiView):
    """The operations that the user started."""

    @documented(
        "operations_list",
        "One's own operations, newest first.",
        {200: OperationPage},
        errors=(400, 401),
        parameters=[
            query(
                "state",
                "`incomplete`: what still wants work or a decision.",
                enum=["incomplete", *State.values],
            ),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"state", "limit", "cursor"})
        own = Operation.objects.visible_to(request.user).defer("checkpoint", "error_detail")
        state = request.query_params.get("state", "")
        if state == "incomplete":
            own = own.filter(state__in=UNFINISHED, superseded=False)
        elif state:
            if state not in State.values:
                raise BadRequest(f"state must be incomplete or one of {', '.join(State.values)}.", "bad_state")
            own = own.filter(state=state)
        page = paginate(own, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [operation_json(row) for row in page.rows], request))


class OperationDetail(ApiView):
    """One operation of the user."""

    @documented("operations_retrieve", "Progress, figures, result.", {200: OperationBody}, errors=(401, 404))
    def get(self, request: Request, operation_id: UUID) -> Response:
        return Response(operation_json(_own(request, operation_id)))


class Cancel(ApiView):
    """Cancel an operation; what it has done so far is kept."""

    @documented(
        "operations_cancel",
        "Ask it to stop, which it does within one batch; what was done stays. 409 if it has ended.",
        {200: OperationBody},
        errors=(400, 401, 403, 404, 409, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, operation_id: UUID) -> Response:
        operation = _own(request, operation_id)
        refuse_members(request)
        try:
            control.cancel(operation)
        except control.NotPossible as reason:
            raise Conflict(str(reason), "not_possible") from None
        return Response(operation_json(operation))


class Resume(ApiView):
    """Resume an operation that waits for a person."""

    @documented(
        "operations_resume",
        "Set an interrupted, cancelled or failed operation to work again, from where it stood.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=Answer,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, operation_id: UUID) -> Response:
        operation = _own(request, operation_id)
        answer = Answer(data=request.data)
        answer.is_valid(raise_exception=True)
        try:
            answers = {name: value for name, value in answer.validated_data.items() if value}
            if answers.pop("start_over", False):
                control.start_over(operation)
            else:
                control.resume(operation, **answers)
        except control.NotPossible as reason:
            raise Conflict(str(reason), "not_possible") from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)


class Retry(Resume):
    """Start an operation that failed once more."""

    @documented(
        "operations_retry",
        "The same as resume: nothing that was done is done twice.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=Answer,
        parameters=KEYED,
    )
    def post(self, request: Request, operation_id: UUID) -> Response:
        return super().post(request, operation_id)
