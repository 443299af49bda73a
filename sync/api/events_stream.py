"""Hints from the process that speaks ASGI: by Server-Sent Events or long poll, and no thread waits for either."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from accounts.authentication import person_behind
from accounts.models import User
from photolala.web.answers import problem_response
from photolala.web.refusals import BadRequest
from sync.server.hints import Hints, hints_for

from .events import hints_json, read_question

LOOK_EVERY_SECONDS = 2.0
STILL_THERE_EVERY_SECONDS = 15.0
ASK_AGAIN_WHO_EVERY_SECONDS = 60.0
MOST_LISTENERS = 1_000
_listeners = 0


@csrf_exempt  # nothing is changed here, and every other verb is refused
@require_GET
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Answer as `sync.api.events` does; with `Accept: text/event-stream` go on telling as long as somebody listens."""
    user = await sync_to_async(person_behind)(request)
    if user is None:
        return problem_response(401, "Sign in, or send `Authorization: Token …` of a device.")
    try:
        after, wait = read_question(request.GET)
    except BadRequest as error:
        return problem_response(400, error.detail)
    if _listeners >= MOST_LISTENERS:
        return problem_response(503, "Too many listen already. Ask again in a minute.")
    if "text/event-stream" not in request.headers.get("Accept", ""):
        return await _polled(user, after, wait)
    response = StreamingHttpResponse(
        _events(request, user, request.headers.get("Last-Event-ID", "") or after), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _polled(user: User, after: str, wait: int) -> HttpResponse:
    global _listeners
    end = time.monotonic() + wait
    _listeners += 1
    try:
        while True:
            hints = await sync_to_async(_hints)(user)
            if hints.cursor != after:
                return JsonResponse(hints_json(hints), headers={"Cache-Control": "no-store"})
            left = end - time.monotonic()
            if left <= 0:
                return HttpResponse(status=204)
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, left))
    finally:
        _listeners -= 1


async def _events(request: HttpRequest, user: User, after: str) -> AsyncIterator[bytes]:
    global _listeners
    _listeners += 1
    said = asked = time.monotonic()
    try:
        while True:
            hints = await sync_to_async(_hints)(user)
            now = time.monotonic()
            if hints.cursor != after:
                after, said = hints.cursor, now
                yield _event(hints_json(hints))
            elif now - said > STILL_THERE_EVERY_SECONDS:
                said = now
                yield b": still there\n\n"
            if now - asked > ASK_AGAIN_WHO_EVERY_SECONDS:
                if await sync_to_async(person_behind)(request) != user:
                    return  # signed out, or the device was revoked
                asked = now
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        _listeners -= 1


def _event(hints: dict[str, Any]) -> bytes:
    return f"id: {hints['cursor']}\ndata: {json.dumps(hints)}\n\n".encode()


def _hints(user: User) -> Hints:
    close_old_connections()
    return hints_for(user)
