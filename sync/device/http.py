"""The transport over HTTP, with the standard library and a device's token."""

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import IO, TypeVar

from sync.protocol.messages import ChangesReply, ChangesRequest, DigestReply, Info, PushReply, PushRequest
from sync.protocol.problems import PROBLEMS, Malformed, OutOfSequence, ProtocolProblem, StartOver, TooLarge

from .transport import NotAllowed, NotThere, ServerFault, Unavailable, Unreachable

T = TypeVar("T")
MOST_REPLY_BYTES = 256 * 1024 * 1024
"""A reply that is longer is none of this protocol: pages have 1,000 rows, and texts 100,000 characters."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow nothing: a redirect would take the token along to another host."""


class HttpTransport:
    """A server at `url` (such as https://photos.example.org), reached with the token of a device."""

    def __init__(
        self, url: str, token: str, *, timeout_seconds: float = 60, context: ssl.SSLContext | None = None
    ) -> None:
        """`context` decides which certificates count; default: those of the system. ValueError for what is no URL or token."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is not the address of a server: give it as https://photos.example.org.")
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("The token has characters that no token has. Copy it anew.")
        self._base = url.rstrip("/") + "/api/v1/sync/"
        self._token = token
        self._timeout_seconds = timeout_seconds
        handlers = [urllib.request.HTTPSHandler(context=context)] if context else []
        self._opener = urllib.request.build_opener(_NoRedirects, *handlers)

    def info(self) -> Info:
        """GET info."""
        return _read(Info.from_json, self._send("info/"))

    def push(self, request: PushRequest) -> PushReply:
        """POST push."""
        return _read(PushReply.from_json, self._send("push/", request.to_json().encode()))

    def changes(self, request: ChangesRequest) -> ChangesReply:
        """GET changes."""
        body = self._send("changes/?" + urllib.parse.urlencode(request.to_query()))
        return _read(lambda text: ChangesReply.from_json(text, request.scope), body)

    def digest(self, scope: str) -> DigestReply:
        """GET digest."""
        return _read(DigestReply.from_json, self._send("digest/?" + urllib.parse.urlencode({"scope": scope})))

    def _send(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Token {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self._base + path, data=body, headers=headers)  # noqa: S310 (scheme checked)
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as reply:
                text: bytes = reply.read(MOST_REPLY_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(getattr(error, "reason", error)) or repr(error)) from error
        if len(text) > MOST_REPLY_BYTES:
            raise ServerFault("The server's reply is longer than any of this protocol.")
        return text


def _read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except Malformed as problem:
        raise ServerFault(f"The server's reply cannot be read. {problem.sentence}") from None


def _problem(error: urllib.error.HTTPError) -> Exception:
    members = _members(error)
    code = str(members.get("type", "")).rsplit(":", 1)[-1]
    sentence = str(members.get("detail") or f"The server replied {error.code} {error.reason}.")
    if error.code in {401, 403}:
        return NotAllowed(sentence)
    if error.code == 404:
        return NotThere(sentence)
    if error.code in {429, 503}:
        seconds = error.headers.get("Retry-After", "")
        return Unavailable(
            sentence, int(seconds) * 1000 if seconds.isascii() and seconds.isdecimal() and len(seconds) < 7 else None
        )
    kind: type[ProtocolProblem] | None = PROBLEMS.get(code)
    if kind is OutOfSequence:
        acked = members.get("ackedThrough")
        return OutOfSequence(sentence, acked) if isinstance(acked, int) else ServerFault(sentence)
    if kind is not None and kind.status == error.code:
        return kind(sentence)
    by_status: dict[int, type[ProtocolProblem]] = {410: StartOver, 413: TooLarge}
    return by_status[error.code](sentence) if error.code in by_status else ServerFault(sentence)


def _members(error: urllib.error.HTTPError) -> dict[str, object]:
    try:
        members = json.loads(error.read(1_000_000))
    except (ValueError, OSError, http.client.HTTPException, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}
