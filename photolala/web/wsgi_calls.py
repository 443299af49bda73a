"""Call a WSGI application for an ASGI request, and take the beginning of its answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from .incoming import Headers, Scope

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Answer:
    """What the WSGI application answered: `rest` yields what did not fit into `first`, None if that is all."""

    status: int
    headers: Headers
    first: bytes
    rest: Iterator[bytes] | None
    close: Callable[[], None]


def call_application(application: WsgiApplication, scope: Scope, body: BinaryIO, release: Callable[[], None]) -> Answer:
    """Let the application answer, in this thread; `release` gives back what belongs to it when a long answer has begun."""
    begun: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
        begun["status"] = int(status.split(" ", 1)[0])
        begun["headers"] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return lambda data: None

    result = application(_environ(scope, body), start_response)
    close = getattr(result, "close", lambda: None)
    try:
        blocks, first, is_whole = iter(result), bytearray(), False
        for block in blocks:
            first += block
            if len(first) >= 256 * 1024:
                break
        else:
            is_whole = True
    except BaseException:
        close()
        raise
    if is_whole:
        close()
        return Answer(begun["status"], begun["headers"], bytes(first), None, lambda: None)
    release()
    return Answer(begun["status"], begun["headers"], bytes(first), blocks, close)


def _environ(scope: Scope, body: BinaryIO) -> dict[str, Any]:
    """Return what PEP 3333 wants to know of the request."""
    raw = scope.get("raw_path")
    path = unquote_to_bytes(bytes(raw).partition(b"?")[0]) if raw else scope["path"].encode()
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # could pass itself off as another header
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{text}" if key in environ else text
    return environ
