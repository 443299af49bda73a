"""Hints, over HTTP: by long poll from the web process."""

from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from photolala.web.parameters import check_parameters, read_number
from photolala.web.schema import header
from photolala.web.views import ApiView, documented, query
from sync.server.hints import LONGEST_WAIT_SECONDS, Hints, wait_for_change

from .asking import user_of
from .bodies import HintsBody

ASK_AGAIN_SECONDS = 10
_waiting = BoundedSemaphore(max(1, settings.WEB_THREADS // 4))
"""Threads that may wait for changes; the others answer what people look at."""


class Events(ApiView):
    """Where all scopes stand."""

    @documented(
        "sync_events",
        "Where the scopes that one may see stand, as soon as that is not what it was at `after`; 204 if it still is after `wait` "
        "seconds. As Server-Sent Events with `Accept: text/event-stream`, where the server speaks ASGI.",
        {200: HintsBody, 204: "All is as it was."},
        errors=(400, 401),
        parameters=[
            query("after", "`cursor` of the answer before; leave it out for an answer at once.", maxLength=100),
            query(
                "wait", "Seconds to wait.", int, minimum=0, maximum=LONGEST_WAIT_SECONDS, default=LONGEST_WAIT_SECONDS
            ),
            header("Retry-After", "Seconds to wait: so many wait already that this was answered at once.", [204]),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return it."""
        after, wait = read_question(request.query_params)
        may_wait = wait > 0 and _waiting.acquire(blocking=False)
        try:
            hints = wait_for_change(user_of(request), after, wait if may_wait else 0)
        finally:
            if may_wait:
                _waiting.release()
        if hints is None:
            return Response(status=204, headers={} if may_wait or not wait else {"Retry-After": str(ASK_AGAIN_SECONDS)})
        return Response(hints_json(hints))


def read_question(params: Any) -> tuple[str, int]:
    """Return cursor and seconds of a question for hints. Raises BadRequest."""
    check_parameters(params, {"after", "wait"})
    wait = params.get("wait", str(LONGEST_WAIT_SECONDS))
    return params.get("after", ""), read_number(wait, "wait", 0, LONGEST_WAIT_SECONDS)


def hints_json(hints: Hints) -> dict[str, Any]:
    """Return hints as they are sent."""
    return {
        "cursor": hints.cursor,
        "scopes": [scope.to_wire() for scope in hints.scopes],
        "ended": list(hints.ended),
    }
