"""What all answers have in common: private unless they say otherwise, errors of the API are problems."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.utils.http import escape_leading_slashes

from .problem_types import problem_body

API = "/api/"
PROBLEM = "application/problem+json"
_SAFE = ("GET", "HEAD", "OPTIONS")
_SENTENCES = {
    400: "The request is not right: it names no host that this server answers to, or cannot be read.",
    404: "There is nothing here, or nothing that you may see.",
    416: "The file has no such range; Content-Range says how long it is.",
}
_UNEXPECTED = "Something unexpected went wrong. What was done before stays; the server's log says more."
_OF_OTHER_BODY = ("Content-Length", "Content-Disposition", "Content-Encoding", "ETag", "Last-Modified")


def problem_response(status: int, sentence: str) -> HttpResponse:
    """Return a problem object, for code that no view of the web framework answers for."""
    response = HttpResponse(json.dumps(problem_body(status, sentence)), status=status, content_type=PROBLEM)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Token"
    return response


class ApiProblemsMiddleware:
    """Turns errors below `/api/` that no view described (wrong host, unknown version, 416, 500) into problem details.

    The outermost middleware: what the others refuse passes it, too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        response = self.get_response(request)
        kind = response.get("Content-Type", "").partition(";")[0]
        is_described = kind in (PROBLEM, "application/json")
        if response.status_code < 400 or is_described or not request.path_info.startswith(API):
            return response
        if not isinstance(response, HttpResponse):
            return response
        status = response.status_code
        sentence = _SENTENCES.get(status, _UNEXPECTED if status >= 500 else HTTPStatus(status).description + ".")
        body = problem_body(status, sentence)
        for name in _OF_OTHER_BODY:
            if response.has_header(name):
                del response[name]
        response.content = json.dumps(body).encode()  # the same response, so that it ends as it would have
        response["Content-Type"] = PROBLEM
        return response


class PrivateMiddleware:
    """Lets no cache keep an answer that does not say how long it may be kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response


class SlashMiddleware(CommonMiddleware):
    """Leads to the address with its last slash; a request that changes something stays the request that it was (308)."""

    async_capable = False

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        """Return the address, whatever the verb."""
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        response = cast(HttpResponseBase, super().__call__(request))
        if response.status_code == HTTPStatus.MOVED_PERMANENTLY and request.method not in _SAFE:
            response.status_code = HTTPStatus.PERMANENT_REDIRECT
        return response
