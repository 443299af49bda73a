"""Status and conflicts, over HTTP."""

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import BadRequest
from photolala.web.views import PAGE_PARAMETERS, ApiView, documented, page_body, query
from sync.models import Conflict
from sync.server.conflict_decisions import ShownConflict, decide, shown
from sync.server.status import DeviceStatus, conflicts_count, status_of

from .asking import repository_of, user_of
from .bodies import ConflictBody, DecisionBody, StatusBody

NEWEST_FIRST = ("-made_at", "id")
ConflictPage = page_body("ConflictPage", ConflictBody)


class Status(ApiView):
    """How one's devices stand."""

    @documented(
        "sync_status",
        "How all of one's devices stand: what waits, when they pushed and pulled last, and what was refused, with what to do.",
        {200: StatusBody},
    )
    def get(self, request: Request) -> Response:
        """Return it."""
        check_parameters(request.query_params, set())
        token = getattr(request.auth, "pk", None)
        devices = [_device_json(one, token) for one in status_of(request.user)]
        return Response({"devices": devices, "conflicts": conflicts_count(request.user)})


class ConflictList(ApiView):
    """What a person has to decide, and what was decided."""

    @documented(
        "sync_conflicts_list",
        "Conflicts of one's own things, newest first. Decided ones keep what did not come to count.",
        {200: ConflictPage},
        errors=(400, 401),
        parameters=[
            query("state", "Only those.", enum=[state.value for state in Conflict.State]),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        params = request.query_params
        check_parameters(params, {"state", "limit", "cursor"})
        rows = Conflict.objects.visible_to(request.user).select_related("device")
        if state := params.get("state", ""):
            if state not in Conflict.State.values:
                raise BadRequest("state must be open or decided.", "bad_state")
            rows = rows.filter(state=state)
        page = paginate(rows, NEWEST_FIRST, params)
        found = shown(repository_of(request), request.user, page.rows)
        return Response(envelope(page, [conflict_json(one) for one in found], request))


class DecideConflict(ApiView):
    """A person's decision."""

    @documented(
        "sync_conflicts_decide",
        "Decide a conflict: keep what the device pushed, what the server had, or both (joined, or in a copy). 409 if it is "
        "decided already.",
        {200: ConflictBody},
        errors=(400, 401, 403, 404, 409, 415, 422),
        request=DecisionBody,
    )
    def post(self, request: Request, conflict_id: UUID) -> Response:
        """Decide."""
        if not Conflict.objects.visible_to(request.user).filter(pk=conflict_id).exists():
            raise Http404
        body = DecisionBody(data=request.data)
        body.is_valid(raise_exception=True)
        repository = repository_of(request)
        conflict = decide(repository, user_of(request), conflict_id, body.validated_data["decision"])
        (found,) = shown(repository, request.user, [conflict])
        return Response(conflict_json(found))


def conflict_json(one: ShownConflict) -> dict[str, Any]:
    """Return a conflict as it is sent."""
    row = one.conflict
    return {
        "id": str(row.pk),
        "type": row.kind,
        "objectId": str(row.object_id),
        "field": row.field,
        "title": one.title,
        "mine": {
            "value": one.mine,
            "isMine": one.is_mine,
            "device": row.device_name,
            "at": utc_text(row.mine_at),
        },
        "theirs": {
            "value": one.theirs,
            "isMine": one.is_theirs_mine,
            "device": one.other_device,
            "at": utc_text(row.theirs_at),
        },
        "current": one.current,
        "state": row.state,
        "decision": row.decision,
        "mayKeepBoth": one.may_keep_both,
        "madeAt": utc_text(row.made_at),
        "decidedAt": utc_text(row.decided_at),
        "copyId": None if row.copy_id is None else str(row.copy_id),
    }


def _device_json(one: DeviceStatus, token: Any) -> dict[str, Any]:
    return {
        "deviceId": str(one.device.pk),
        "name": one.device.name,
        "current": token is not None and one.device.token_id == token,
        "ackedThrough": one.acked_through,
        "lastPushAt": utc_text(one.last_push_at),
        "lastPullAt": utc_text(one.last_pull_at),
        "toPush": one.to_push,
        "toPull": one.to_pull,
        "scopesBehind": one.scopes_behind,
        "errors": [
            {
                "mid": failure.mid,
                "type": failure.kind,
                "id": failure.id,
                "at": failure.at,
                "reason": failure.reason,
                "detail": failure.detail,
                "advice": failure.advice,
            }
            for failure in one.failures
        ],
    }
