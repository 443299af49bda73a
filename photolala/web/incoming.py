"""What comes from a client: a request's headers, the parts of its body, and why it may be refused before Django sees it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

UPLOAD = re.compile(r"/api/v1/(media/)?uploads/[0-9a-f-]{32,36}/?")


class Refused(Exception):
    """The request is answered without Django; the connection is closed after it, for its body was not read."""

    def __init__(self, status: int, sentence: str, code: str, *, retry_seconds: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.code, self.retry_seconds = status, code, retry_seconds


class Disconnected(Exception):
    """The client went away before its body was complete."""


class Chunk(NamedTuple):
    """A part of a body; `is_last` if it is complete with it, `is_broken` if the client went away."""

    data: bytes
    is_last: bool
    is_broken: bool = False


class Incoming:
    """A body on its way. Waiting for a part can end without it: the part then comes with the next call, none is lost."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self._task: asyncio.Future[Message] | None = None

    async def next(self, seconds: float) -> Chunk | None:
        """Return the next part, None if there is none in time."""
        if self._task is None:
            self._task = asyncio.ensure_future(self.receive())
        done, _ = await asyncio.wait({self._task}, timeout=seconds)
        if not done:
            return None
        message, self._task = self._task.result(), None
        if message["type"] == "http.disconnect":
            return Chunk(b"", is_last=False, is_broken=True)
        return Chunk(message.get("body", b""), not message.get("more_body", False))

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._task is not None:
            self._task.cancel()


def header_of(scope: Scope, wanted: bytes) -> str:
    """Return the value of a header by its lower-case name, "" if it is not there."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def length_of(scope: Scope) -> int | None:
    """Return the length that the body claims, None if it comes in chunks of unknown number."""
    if header_of(scope, b"transfer-encoding"):
        return None
    text = header_of(scope, b"content-length")
    if text.isdigit():
        return int(text[:19])
    return 0 if scope["http_version"].startswith("1") or scope["method"] in ("GET", "HEAD", "OPTIONS") else None


def is_piece(scope: Scope) -> bool:
    """True for a piece of a file that is being sent (tus)."""
    method = header_of(scope, b"x-http-method-override") or scope["method"]
    return method.upper() == "PATCH" and UPLOAD.fullmatch(scope["path"]) is not None


def piece_of(scope: Scope, position: int, data: bytearray) -> Scope:
    """Return the request of a smaller piece that begins at `position` and holds `data`."""
    changed = (b"upload-offset", b"content-length", b"transfer-encoding")
    kept = [(name, value) for name, value in scope["headers"] if name not in changed]
    said = [(b"upload-offset", str(position).encode()), (b"content-length", str(len(data)).encode())]
    return {**scope, "headers": [*kept, *said]}
