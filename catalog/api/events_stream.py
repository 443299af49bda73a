"""Change notifications as Server-Sent Events, for the process of their own that speaks ASGI.

Four questions a second to the database tell whether anything at all has changed, however many listen; only then each
listener is told what that means for them, in the words of `events/poll`.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections
from django.db.models import Count, Max, Q, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from accounts.authentication import person_behind
from accounts.models import User
from catalog.models import Favourite, Library, Membership
from operations.models import ACTIVE, Operation
from photolala.web.answers import problem_response
from photolala.web.outages import outage_of
from photolala.web.refusals import BadRequest

from .events import SHOWN, changes_since, star_facts

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 1.0
KEEPALIVE_EVERY_SECONDS = 15.0
ASK_AGAIN_WHO_EVERY_SECONDS = 60.0
MOST_LISTENERS = 1_000


class ChangeCounter:
    """Counts how often anything was seen to have changed: asks the database once a second while somebody listens."""

    def __init__(self) -> None:
        self.listeners = 0
        self.changes = 0
        self._seen: Any = None
        self._looked = 0.0
        self._lock = asyncio.Lock()

    async def _ask(self) -> Any:
        """Return the signature; what was seen before, if the database cannot be asked just now."""
        try:
            return await sync_to_async(_signature)()
        except Error as error:
            logger.warning("The database could not be asked whether anything changed: %s", error)
            return self._seen

    async def look(self) -> int:
        """Return a number that grows when something has changed."""
        async with self._lock:
            if time.monotonic() - self._looked >= LOOK_EVERY_SECONDS:
                seen = await self._ask()
                self._looked = time.monotonic()
                if seen != self._seen:
                    self._seen = seen
                    self.changes += 1
        return self.changes


counter = ChangeCounter()


@csrf_exempt  # nothing is changed here, and every other verb is refused
@require_GET
async def stream(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Tell what changed as long as somebody listens: `data:` holds what `events/poll?after=` would answer."""
    user = await sync_to_async(person_behind)(request)
    if user is None:
        return problem_response(401, "Sign in, or send `Authorization: Token …` of a device.")
    if counter.listeners >= MOST_LISTENERS:
        return problem_response(503, "Too many listen already; use events/poll.")
    cursor = request.headers.get("Last-Event-ID", "") or request.GET.get("after", "")
    try:
        first = await sync_to_async(_changes)(user, cursor)
    except BadRequest as error:
        return problem_response(400, str(error.detail))
    response = StreamingHttpResponse(_events(request, user, first), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(request: HttpRequest, user: User, first: dict[str, Any]) -> AsyncIterator[bytes]:
    counter.listeners += 1
    try:
        known = await counter.look()
        yield _event(first)
        cursor, sent, asked = first["cursor"], time.monotonic(), time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            now = await counter.look()
            if time.monotonic() - asked > ASK_AGAIN_WHO_EVERY_SECONDS:
                if await sync_to_async(person_behind)(request) != user:
                    return  # signed out, or the device was revoked
                asked = time.monotonic()
            if now != known:
                known = now
                changes = await sync_to_async(_changes)(user, cursor)
                cursor = changes["cursor"]
                if any(changes[name] for name in ("libraries", "gone", "favorites_changed", "operations")):
                    sent = time.monotonic()
                    yield _event(changes)
            if time.monotonic() - sent > KEEPALIVE_EVERY_SECONDS:
                sent = time.monotonic()
                yield b": still there\n\n"
    finally:
        counter.listeners -= 1


def _event(changes: dict[str, Any]) -> bytes:
    return f"id: {changes['cursor']}\ndata: {json.dumps(changes, default=str)}\n\n".encode()


def _changes(user: User, cursor: str) -> dict[str, Any]:
    close_old_connections()
    return changes_since(user, cursor)


def _signature() -> tuple[Any, ...]:
    """Return what differs whenever a library, a star or an operation has changed."""
    close_old_connections()
    libraries = hash(tuple(map(repr, Library.objects.order_by("pk").values_list("pk", *SHOWN))))
    editors = Count("pk", filter=Q(role=Membership.Role.EDITOR))
    members = Membership.objects.aggregate(count=Count("pk"), newest=Max("pk"), editors=editors)
    # Not by the time alone, which a clock that was set back does not let grow.
    operations = Operation.objects.aggregate(
        count=Count("pk"),
        updated=Max("updated_at"),
        claims=Sum("token"),
        done=Sum("done"),
        active=Count("pk", filter=Q(state__in=ACTIVE)),
    )
    return (libraries, *star_facts(Favourite.objects.all()), *members.values(), *operations.values())


def failed(request: HttpRequest) -> HttpResponse:
    """Say that this went wrong, without a page."""
    error = sys.exc_info()[1]
    outage = outage_of(error) if error is not None else None
    if outage is not None:
        return problem_response(outage.status, outage.sentence)
    return problem_response(500, "Something unexpected went wrong; the log says more.")


async def nothing(request: HttpRequest) -> HttpResponse:
    """Say that this process serves nothing else."""
    return problem_response(404, "There is nothing here but /api/v1/events/.")
