"""Tells people that disk or database cannot be used, where a page would else be an error of the server."""

import json
import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils.deprecation import MiddlewareMixin
from django.utils.html import escape
from django.views.defaults import server_error

from .outages import Outage, outage_of
from .problem_types import problem_body

API_PREFIX = "/api/"
PROBLEM_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


class OutageMiddleware(MiddlewareMixin):
    """Answers 503 or 507 with a sentence and Retry-After for what views raise."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer for a disk or database that cannot be used; None for all else."""
        outage = outage_of(exception)
        if outage is None:
            return None
        logger.warning("%s %s: %s (%s)", request.method, request.path, outage.code, exception)
        return answer_for(request, outage)


def server_error_or_outage(request: HttpRequest) -> HttpResponse:
    """Answer for what went wrong anywhere, also before and after the view: in sessions, in templates."""
    error = sys.exc_info()[1]
    outage = outage_of(error) if error is not None else None
    return server_error(request) if outage is None else answer_for(request, outage)


def _page(sentence: str) -> str:
    """Return the page; without style where the list of static files cannot be read either."""
    try:
        return loader.render_to_string("outage.html", {"sentence": sentence})
    except (OSError, ValueError):
        logger.exception("The page for an outage could not be drawn")
        return f"<!doctype html><title>Photolala</title><h1>That did not work</h1><p>{escape(sentence)}</p>"


def answer_for(request: HttpRequest, outage: Outage) -> HttpResponse:
    """Return problem details below /api/, else a short page; neither asks the database anything."""
    if request.path.startswith(API_PREFIX):
        body = problem_body(outage.status, outage.sentence, outage.code)
        answer = HttpResponse(json.dumps(body), status=outage.status, content_type=PROBLEM_TYPE)
    else:
        answer = HttpResponse(_page(outage.sentence), status=outage.status)
    answer["Retry-After"] = str(outage.wait_seconds)
    answer["Cache-Control"] = "no-store"
    return answer
