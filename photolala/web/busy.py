"""Tells people that the database is busy, where a page would else be an error of the server."""

import logging

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

WAIT_SECONDS = 5
SENTENCE = "The database is busy with a long piece of work just now. Nothing was changed. Try again in a moment."
logger = logging.getLogger(__name__)


def is_locked(error: Exception) -> bool:
    """Return whether `error` says that others held the database's lock for too long."""
    return isinstance(error, OperationalError) and "locked" in str(error)


class BusyDatabaseMiddleware(MiddlewareMixin):
    """Answers 503 with a sentence and Retry-After."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the page for a locked database; None for all else."""
        if not is_locked(exception):
            return None
        logger.warning("The database was locked for too long: %s %s", request.method, request.path)
        answer = render(request, "problem.html", {"sentence": SENTENCE}, status=503)
        answer["Retry-After"] = str(WAIT_SECONDS)
        return answer
