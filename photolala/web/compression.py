"""Compresses text for clients that take it, with the coding that they like best; photos and videos are compressed already.

BREACH reads a secret out of the lengths of compressed answers that also hold text of the attacker's choice. Against it: tokens
against forged requests are masked anew in each answer (Django), answers that hold passwords or tokens are not compressed at
all (`NEVER`), and every compressed private answer carries a header of random length.
"""

import gzip
import re
import secrets
from collections.abc import Callable

import brotli
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

NEVER = ("/api/v1/auth/",)
"""Answers below these addresses hold tokens."""
LEAST_BYTES = 200
PADDING = 64
"""Up to so many letters are added to the headers of a compressed answer."""
_TEXT = re.compile(r"text/(html|css|javascript|plain|csv)|application/(json|javascript|[\w.-]+\+json)|image/svg\+xml")
_KNOWN = ("br", "gzip")
"""From the best to the worst."""
_WEAK = re.compile(r'(^|,)(\s*)W/(?=")')


def best_coding(accepted: str) -> str:
    """Return which of our codings an Accept-Encoding header wants most, "" for none. `*` alone asks for nothing."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name.removeprefix("x-")] = _weight(parameters)
    best = max(_KNOWN, key=lambda name: weights.get(name, 0.0))  # of equals the first
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else ""


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


class CompressionMiddleware:
    """Compresses whole answers of text, and tells the server of static files which of its compressed copies is wanted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        coding = best_coding(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        request.META["HTTP_ACCEPT_ENCODING"] = coding  # WhiteNoise takes any that is named, whatever its weight
        if known := request.META.get("HTTP_IF_NONE_MATCH"):
            request.META["HTTP_IF_NONE_MATCH"] = _WEAK.sub(r"\1\2", known)  # it is compared weakly in any case
        response = self.get_response(request)
        if isinstance(response, HttpResponse) and not response.streaming and _may_be_compressed(request, response):
            patch_vary_headers(response, ("Accept-Encoding",))
            if coding and len(response.content) >= LEAST_BYTES:
                _compress(response, coding)
        _weaken(response)
        return response


def _may_be_compressed(request: HttpRequest, response: HttpResponse) -> bool:
    kind = response.get("Content-Type", "").partition(";")[0].strip()
    is_plain = not response.has_header("Content-Encoding") and not response.has_header("Content-Range")
    is_kept_as_it_is = "no-transform" in response.get("Cache-Control", "")
    return bool(_TEXT.fullmatch(kind)) and is_plain and not is_kept_as_it_is and not request.path_info.startswith(NEVER)


def _compress(response: HttpResponse, coding: str) -> None:
    plain = response.content
    if coding == "br":
        packed = brotli.compress(plain, mode=brotli.MODE_TEXT, quality=5)
    else:
        packed = gzip.compress(plain, 6, mtime=0)
    if len(packed) >= len(plain):
        return
    response.content = packed
    response["Content-Length"] = str(len(packed))
    response["Content-Encoding"] = coding
    response["X-Padding"] = "x" * secrets.randbelow(PADDING)


def _weaken(response: HttpResponseBase) -> None:
    """Let no coding pass itself off as the very bytes of another (RFC 9110, 8.8.1)."""
    tag = response.get("ETag", "")
    if response.has_header("Content-Encoding") and tag.startswith('"'):
        response["ETag"] = f"W/{tag}"
