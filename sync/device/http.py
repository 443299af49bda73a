"""The transport over HTTP, with the standard library and a device's token."""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import IO, TypeVar

from sync.protocol.messages import ChangesReply, ChangesRequest, DigestReply, Info, PushReply, PushRequest
from sync.protocol.problems import PROBLEMS, Malformed, OutOfSequence, ProtocolProblem, StartOver, TooLarge

from .media import MediaRefused
from .transport import NotAllowed, NotThere, ServerFault, Unavailable, Unreachable

T = TypeVar("T")
_BLOCK_BYTES = 1 << 20
_NEVER = frozenset({400, 413, 415, 422})
"""Answers to a file that are the same the next time."""
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
        self._api = url.rstrip("/") + "/api/v1/"
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

    # Files

    def begin_media(self, md5: str, media_type: str, size_bytes: int) -> int:
        """POST media/uploads (tus creation)."""
        said = {"md5": md5, "media_type": media_type}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
        headers = {"Upload-Length": str(size_bytes), "Upload-Metadata": metadata}
        return self._tus("POST", "media/uploads/", headers, b"")

    def send_piece(self, md5: str, offset: int, piece: bytes) -> int:
        """PATCH media/uploads/{md5} (tus)."""
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return self._tus("PATCH", f"media/uploads/{md5}/", headers, piece)

    def fetch_media(self, note: str, md5: str, offset: int) -> Iterator[bytes]:
        """GET notes/{id}/media/{md5}, or media/{md5}, from a byte on."""
        address = f"{self._api}notes/{note}/media/{md5}/" if note else f"{self._api}media/{md5}/"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._open("GET", address, headers) as reply:
            if offset and reply.status != 206:
                raise ServerFault("The server does not send the rest of a file alone.")
            while block := reply.read(_BLOCK_BYTES):
                yield block

    def _tus(self, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
        with self._open(method, self._api + path, {"Tus-Resumable": "1.0.0", **headers}, body) as reply:
            offset = reply.headers.get("Upload-Offset", "")
        if not (offset.isascii() and offset.isdecimal() and len(offset) < 16):
            raise ServerFault("The server does not say how far a file has come.")
        return int(offset)

    def _send(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with self._open("GET" if body is None else "POST", f"{self._api}sync/{path}", headers, body) as reply:
            text: bytes = reply.read(MOST_REPLY_BYTES + 1)
        if len(text) > MOST_REPLY_BYTES:
            raise ServerFault("The server's reply is longer than any of this protocol.")
        return text

    @contextmanager
    def _open(
        self, method: str, address: str, headers: dict[str, str], body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask, and give the reply while the block runs; what goes wrong, also while it is read, is a TransportError."""
        said = {"Authorization": f"Token {self._token}", **headers}
        request = urllib.request.Request(address, data=body, headers=said, method=method)  # noqa: S310 (scheme checked)
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as reply:
                yield reply
        except urllib.error.HTTPError as error:
            raise _problem(error, is_media="Tus-Resumable" in headers) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(getattr(error, "reason", error)) or repr(error)) from error


def _read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except Malformed as problem:
        raise ServerFault(f"The server's reply cannot be read. {problem.sentence}") from None


def _problem(error: urllib.error.HTTPError, *, is_media: bool = False) -> Exception:
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
    if is_media:  # of the rest none is about rows: a file that is gone over there is begun anew
        is_final = error.code == 413 or (error.code in _NEVER and code not in ("", "too_many"))
        return MediaRefused(sentence, code) if is_final else ServerFault(sentence)
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
