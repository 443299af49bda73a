"""Pages that say what is wrong: of problems that shared helpers raise (a bad cursor, a bad filter), of addresses of forms."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from photolala.web.answers import API
from photolala.web.refusals import Problem


def say_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer a Problem that `view` raises with its status and its sentence, as a page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            return render(request, "problem.html", {"sentence": str(problem.detail)}, status=problem.status_code)

    return wrapped


class FormAddressMiddleware:
    """Says on a page, instead of with an empty answer, that an address only takes what a form sends: one comes there by signing
    in again where a session had ended, or by the browser's history."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        response = self.get_response(request)
        is_refused = response.status_code == HTTPStatus.METHOD_NOT_ALLOWED and request.method == "GET"
        if not is_refused or request.path_info.startswith(API):
            return response
        sentence = "This address only takes what a form sends. Nothing was changed: begin again on its page."
        page = render(request, "problem.html", {"sentence": sentence}, status=HTTPStatus.METHOD_NOT_ALLOWED)
        page["Allow"] = response["Allow"]
        return page
