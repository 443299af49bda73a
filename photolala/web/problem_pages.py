"""Turn problems that shared helpers raise (a bad cursor, a bad filter) into a page that says what is wrong."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

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
