"""Bodies of requests that are packed are refused: nothing here unpacks them, so that none grows, and none is stored as it is."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from .problem_types import problem_body
from .problems import CONTENT_TYPE

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_SENTENCE = "The body is packed (Content-Encoding), which is not taken here. Send it as it is. Nothing was changed."


class EncodedBodyMiddleware:
    """Answers 415 to a body with a Content-Encoding."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity") or request.method in _WITHOUT_BODY:
            return self.get_response(request)
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        response: HttpResponse
        if request.path_info.startswith("/api/"):
            body = problem_body(status, _SENTENCE, "unsupported_media_type")
            response = JsonResponse(body, status=status, content_type=CONTENT_TYPE)
        else:
            response = HttpResponse(_SENTENCE, status=status, content_type="text/plain")
        response["Accept-Encoding"] = "identity"
        return response
