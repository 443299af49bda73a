"""Sends answers to clients: what a WSGI application answered block by block, and what is answered without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from .incoming import Headers, Receive, Refused, Scope, Send
from .problem_types import problem_body
from .wsgi_calls import Answer


async def send_answer(
    scope: Scope,
    receive: Receive,
    answer: Answer,
    send: Send,
    in_thread: Callable[..., Awaitable[Any]],
    *,
    is_unread: bool = False,
) -> None:
    """Send what the application answered, block by block; no thread is held while the client takes its time.

    `in_thread` runs a function in a thread of the pool and returns its result. With `is_unread` the body was not read to its
    end, so the connection is closed.
    """
    headers = answer.headers
    if is_unread and scope["http_version"].startswith("1"):
        headers = [*headers, (b"connection", b"close")]
    if answer.rest is None:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.first, "more_body": False})
        return
    gone = asyncio.ensure_future(_until_gone(receive))  # servers do not tell it where one waits to send
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        block: bytes | None = answer.first
        while block is not None:
            sending = asyncio.ensure_future(send({"type": "http.response.body", "body": block, "more_body": True}))
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():  # else a server would continue taking blocks for nobody
                sending.cancel()
                return
            await sending
            block = await in_thread(next, answer.rest, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        await in_thread(answer.close)


async def send_alive(send: Send) -> None:
    """Answer as the application does, which would have to wait for a thread."""
    body = b'{"status":"ok"}'
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"private, no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _until_gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_problem(send: Send, scope: Scope, refused: Refused) -> None:
    """Answer with problem details and close the connection, whose next bytes are not a request."""
    body = json.dumps({**problem_body(refused.status, str(refused), refused.code), "code": refused.code})
    headers: Headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if refused.retry_seconds:
        headers.append((b"retry-after", str(refused.retry_seconds).encode()))
    if scope["http_version"].startswith("1"):
        headers.append((b"connection", b"close"))
    with suppress(OSError, RuntimeError):  # who was too slow may be gone
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode(), "more_body": False})
