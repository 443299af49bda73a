"""Push, over HTTP."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from photolala.web.bodies import MOST_NAMED
from photolala.web.refusals import TooLarge
from photolala.web.views import ApiView, documented
from sync.protocol.limits import MOST_BYTES
from sync.protocol.messages import PushRequest
from sync.protocol.problems import ProtocolProblem
from sync.server.devices import require_device
from sync.server.push import push

from .asking import as_problem, repository_of
from .bodies import PushBody, PushReplyBody

_MEMBERS = frozenset(PushBody().fields)


class Push(ApiView):
    """The outbox of a device."""

    @documented(
        "sync_push",
        "Apply a batch of a device's mutations, each at most once, all in one commit. Sent again, it gets the same results. 403: "
        "the token is no device's, or another's; 409: mutations before these are missing, or a number was used for another one "
        "(`ackedThrough` says how far the device is); 410: another epoch; 413: more than 500 mutations or 1 MiB.",
        {200: PushReplyBody},
        errors=(400, 401, 403, 409, 410, 413, 415),
        request=PushBody,
    )
    def post(self, request: Request) -> Response:
        """Push."""
        pushed = _read(request)
        device = require_device(request.auth, pushed.device_id)
        return Response(push(repository_of(request), device, pushed).to_wire())


def _read(request: Request) -> PushRequest:
    """Return the batch. Raises TooLarge, BadRequest and ValidationError."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length[:19]) > MOST_BYTES:
        raise TooLarge(
            f"A push may have {MOST_BYTES:,} bytes at most. Nothing was applied; send fewer mutations at once."
        )
    body = request._request.body  # before the parser takes it
    said = request.data
    if isinstance(said, dict) and (unknown := sorted(said.keys() - _MEMBERS)):
        raise ValidationError({name: ["There is no such member."] for name in unknown[:MOST_NAMED]})
    try:
        return PushRequest.from_json(body)
    except ProtocolProblem as error:
        raise as_problem(error) from None
