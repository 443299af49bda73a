"""Takes requests from the web server without a thread: bodies as they arrive, answers as clients take them.

Django's code runs in threads, of which there are few. A thread that waited for a slow body, or for a reader who paused, would be
lost to everybody else, so a request gets its thread only when its body is here, and gives it back between two blocks of a long
answer. The question whether the process lives is answered without one. What clients may keep open instead costs a task and a
socket:

- a body that makes no progress is answered with 408, one too large with 413, too many at once with 503;
- a file that is being sent (tus) is handed on in pieces as it arrives, so what came before a connection broke stays, and no
  connection holds an upload while it is silent. A piece with a checksum counts as a whole or not at all, so it is kept aside
  until it is complete.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from .incoming import (
    Disconnected,
    Incoming,
    Receive,
    Refused,
    Scope,
    Send,
    header_of,
    is_piece,
    length_of,
    piece_of,
)
from .sending import send_alive, send_answer, send_problem
from .wsgi_calls import Answer, WsgiApplication, call_application

MIB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """What clients may keep open, and for how long."""

    address_bytes: int = 32 * 1024
    """The longest address with its query: below what the server itself cuts off, without a word, at 64 KiB."""
    header_bytes: int = 64 * 1024
    """The most that names and values of all headers together may have."""
    body_bytes: int = 32 * MIB
    """The largest body that is no piece of a file."""
    in_memory_bytes: int = MIB
    """A larger body is written to a temporary file."""
    bodies: int = 512
    """So many bodies may be under way at once."""
    idle_seconds: float = 10.0
    """A body that brings nothing for so long is given up."""
    grace_seconds: float = 20.0
    """After so long a body must have kept `least_bytes_a_second`."""
    least_bytes_a_second: int = 500
    uploads: int = 256
    """So many files may be under way at once."""
    upload_idle_seconds: float = 60.0
    flush_seconds: float = 5.0
    """What has come of a file is handed on at least so often."""
    piece_bytes: int = 8 * MIB
    pieces_bytes: int = 64 * MIB
    """All pieces in memory together; with many files under way each gets a share."""
    checksum_bytes: int = 256 * MIB
    """The largest piece with a checksum."""


@dataclass
class Receiver:
    """An ASGI application that serves `application` (WSGI) with `threads`, and `events` (ASGI) at the addresses `is_event`."""

    application: WsgiApplication
    threads: int
    events: Callable[[Any, Any, Any], Awaitable[None]]
    is_event: Callable[[str], bool]
    temporary: Path
    bounds: Bounds = field(default_factory=Bounds)
    release: Callable[[], None] = lambda: None
    """Called in the thread in which a long answer was begun, to give back what belongs to that thread."""
    live: str = ""
    """The address of the probe that says that this process takes requests; it is answered at once, without a thread."""
    at_end: Callable[[], None] = lambda: None
    """Called when the server ends."""

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="request")
        self._bodies = self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or take part in the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            if self.is_event(scope["path"]):
                await self.events(scope, receive, send)
                return
            try:
                await self._serve(scope, receive, send)
            except Refused as refused:
                await send_problem(send, scope, refused)
            except Disconnected:
                return

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._pool.shutdown(wait=False, cancel_futures=True)
                self.at_end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check_head(scope)
        length = length_of(scope)
        if length == 0 and self._is_probe(scope):
            await send_alive(send)
            return
        if length == 0:
            await self._answer(scope, receive, BytesIO(), send)
            return
        incoming = Incoming(receive)
        try:
            await self._serve_body(scope, incoming, length, send)
        finally:
            incoming.close()

    def _is_probe(self, scope: Scope) -> bool:
        """True for the plain question whether this process lives; what a web page of another origin asks, Django answers."""
        return scope["method"] == "GET" and scope["path"] == self.live and not header_of(scope, b"origin")

    def _check_head(self, scope: Scope) -> None:
        """Raise Refused for an address or headers that are too long."""
        if (
            len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
            > self.bounds.address_bytes
        ):
            raise Refused(414, "The address is too long. Ask for less at once.", "address_too_long")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self.bounds.header_bytes:
            raise Refused(431, "The headers of the request are too long.", "headers_too_large")

    async def _serve_body(self, scope: Scope, incoming: Incoming, length: int | None, send: Send) -> None:
        if is_piece(scope):
            with self._counted("_uploads", self.bounds.uploads, "files are being sent"):
                if header_of(scope, b"upload-checksum"):
                    limit, idle = self.bounds.checksum_bytes, self.bounds.upload_idle_seconds
                    with await self._whole_body(incoming, length, limit, idle) as body:
                        await self._answer(scope, incoming.receive, body, send)
                else:
                    await self._take_pieces(scope, incoming, send)
        else:
            with self._counted("_bodies", self.bounds.bodies, "requests are on their way"):
                body = await self._whole_body(incoming, length, self.bounds.body_bytes, self.bounds.idle_seconds)
            with body:
                await self._answer(scope, incoming.receive, body, send)

    @contextmanager
    def _counted(self, name: str, most: int, what: str) -> Iterator[None]:
        """Count one more while the block runs. Raises Refused if there are too many."""
        if getattr(self, name) >= most:
            raise Refused(503, f"Too many {what} just now. Try again in a moment.", "busy", retry_seconds=5)
        setattr(self, name, getattr(self, name) + 1)
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) - 1)

    # -- bodies -------------------------------------------------------------------------------------------------------

    async def _whole_body(self, incoming: Incoming, length: int | None, limit: int, idle: float) -> BinaryIO:
        """Return the complete body, at its beginning. Raises Refused, Disconnected."""
        if length is not None and length > limit:
            raise _too_large(limit)
        spool = tempfile.SpooledTemporaryFile(max_size=self.bounds.in_memory_bytes, dir=str(self.temporary))  # noqa: SIM115
        body = cast(BinaryIO, spool)
        begun, size = time.monotonic(), 0
        try:
            while True:
                chunk = await incoming.next(idle)
                if chunk is None:
                    raise _too_slow()
                if chunk.is_broken:
                    raise Disconnected
                size += len(chunk.data)
                if size > limit:
                    raise _too_large(limit)
                if size > self.bounds.in_memory_bytes:
                    await self._in_thread(body.write, chunk.data)
                else:
                    body.write(chunk.data)
                if chunk.is_last:
                    body.seek(0)
                    return body
                late = time.monotonic() - begun - self.bounds.grace_seconds
                if late > 0 and size < late * self.bounds.least_bytes_a_second:
                    raise _too_slow()
        except BaseException:
            body.close()
            raise

    async def _take_pieces(self, scope: Scope, incoming: Incoming, send: Send) -> None:
        """Hand a file's piece on in smaller ones as it arrives; the last of them, or the first that fails, is answered."""
        offset = header_of(scope, b"upload-offset")
        if not re.fullmatch(r"[0-9]{1,15}", offset):  # the application says what is wrong
            await self._answer(scope, incoming.receive, BytesIO(), send, is_unread=True)
            return
        position, held, flushed = int(offset), bytearray(), time.monotonic()
        answer: Answer | None = None
        while True:
            wait = self.bounds.flush_seconds if held else self.bounds.upload_idle_seconds
            chunk = await incoming.next(wait)
            if chunk is None and not held:
                raise _too_slow()
            held += chunk.data if chunk else b""
            is_over = chunk is not None and (chunk.is_last or chunk.is_broken)
            share = min(self.bounds.piece_bytes, max(256 * 1024, self.bounds.pieces_bytes // max(1, self._uploads)))
            is_due = answer is None or len(held) >= share or time.monotonic() - flushed >= self.bounds.flush_seconds
            if not is_over and not (held and (chunk is None or is_due)):
                continue
            if held or answer is None:  # else the end has come alone, and the last piece may have made the file whole
                if answer is not None:
                    answer.close()
                answer = await self._called(piece_of(scope, position, held), BytesIO(held))
            if is_over or answer.status != 204:
                is_unread = chunk is None or not chunk.is_last
                await send_answer(scope, incoming.receive, answer, send, self._in_thread, is_unread=is_unread)
                return
            position, held, flushed = position + len(held), bytearray(), time.monotonic()

    # -- answers ------------------------------------------------------------------------------------------------------

    async def _called(self, scope: Scope, body: BinaryIO) -> Answer:
        answer: Answer = await self._in_thread(call_application, self.application, scope, body, self.release)
        return answer

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _answer(
        self, scope: Scope, receive: Receive, body: BinaryIO, send: Send, *, is_unread: bool = False
    ) -> None:
        answer = await self._called(scope, body)
        await send_answer(scope, receive, answer, send, self._in_thread, is_unread=is_unread)


def _too_slow() -> Refused:
    return Refused(408, "The request came too slowly, so it was given up. Nothing was changed; send it again.", "slow")


def _too_large(limit: int) -> Refused:
    return Refused(413, f"A body may hold {limit // MIB} MiB at most. Nothing was changed.", "too_large")
