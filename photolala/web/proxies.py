"""Believes forwarded headers from the proxies that PHOTOLALA_PROXIES names, and from nobody else."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from photolala.lib.files import atomic_write
from photolala.lib.peers import origin_behind, plain_address

logger = logging.getLogger(__name__)
FORWARDED = (
    *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT"),
    *("HTTP_X_REAL_IP", "HTTP_FORWARDED"),
)
IS_UNNAMED = "photolala.is_unnamed"
"""In `request.META`: forwarded headers came from somebody who is not named, so the address is perhaps a proxy's."""
NOTE_EVERY_SECONDS = 3600.0
NOTE_ANY_SECONDS = 60.0
"""Whoever has many addresses in this network must not fill the log."""
KEEP_SECONDS = 7 * 24 * 3600.0
_noted: dict[str, float] = {}


@dataclass(frozen=True)
class Unnamed:
    """A neighbour that handed requests on and is not named: its address ("" for a Unix socket), and when that was last noted."""

    address: str
    seen_at: float


class ProxyMiddleware:
    """The first middleware: afterwards address, scheme and host of the request are the client's, and no header says otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        believe(request)
        return self.get_response(request)


def believe(request: HttpRequest) -> None:
    """Take over what a named proxy tells of the client, and remove all forwarded headers, whoever sent them."""
    said = {name: request.META.pop(name, "") for name in FORWARDED}
    peer = request.META.get("REMOTE_ADDR", "")
    forwarded_for, scheme, host = (said[name] for name in FORWARDED[:3])
    if peer in settings.PROXIES:
        origin = origin_behind(peer, forwarded_for, scheme, host, settings.PROXIES.__contains__)
    elif settings.BEHIND_TLS and not settings.PROXIES:  # as before proxies could be named: whoever asks is the proxy
        origin = origin_behind(peer, forwarded_for, scheme, "")
        request.META[IS_UNNAMED] = True
    else:
        request.META["REMOTE_ADDR"] = plain_address(peer) or peer
        if any(said.values()):
            request.META[IS_UNNAMED] = True
            _note(peer)
        return
    request.META["REMOTE_ADDR"] = origin.address
    if origin.host:
        request.META["HTTP_HOST"] = origin.host
    if origin.scheme:
        if isinstance(request, ASGIRequest):
            request.scope = {**request.scope, "scheme": origin.scheme}
        request.META["wsgi.url_scheme"] = origin.scheme


def client_address(request: HttpRequest) -> str:
    """Return the client's address; empty if it came through a Unix socket whose proxy told none."""
    return str(request.META.get("REMOTE_ADDR", ""))


def unnamed_proxy() -> Unnamed | None:
    """Return who handed requests on lately without being named."""
    try:
        kept = json.loads(_file().read_text())
        found = Unnamed(str(kept["address"]), float(kept["seen_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_old = time.time() - found.seen_at > KEEP_SECONDS
    return None if is_old or found.address in settings.PROXIES else found


def _note(peer: str) -> None:
    """Keep for `check` and `doctor` that a neighbour handed a request on.

    Of strangers in the Internet nothing is noted: they may send any header, and nobody should be advised to trust them.
    """
    known = plain_address(peer)
    if peer and not (known and ip_address(known).is_private):
        return
    now = time.monotonic()
    last = max(_noted.values(), default=-NOTE_EVERY_SECONDS)
    if now - last < NOTE_ANY_SECONDS or now - _noted.get(known, -NOTE_EVERY_SECONDS) < NOTE_EVERY_SECONDS:
        return
    if len(_noted) > 100:
        _noted.clear()
    _noted[known] = now
    logger.warning(
        "A request came with forwarded headers from %s, which PHOTOLALA_PROXIES does not name: they were ignored.",
        known or "a Unix socket",
    )
    with suppress(OSError):
        atomic_write(_file(), json.dumps({"address": known, "seen_at": time.time()}).encode(), durable=False)


def _file() -> Path:
    return Path(settings.DATA_DIR) / "unnamed_proxy.json"
