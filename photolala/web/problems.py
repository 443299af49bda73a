"""Errors of the API as RFC 9457 problem details: a sentence for people, a code for programs."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from .outages import outage_of
from .problem_types import problem_body
from .refusals import NotThere, Problem, TooLarge, Unavailable

CONTENT_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


def problem(
    status: int, sentence: str, code: str = "", headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """Return a response that carries a problem object; `members` that are None are left out."""
    return Response(
        problem_body(status, sentence, code, **members), status=status, headers=headers, content_type=CONTENT_TYPE
    )


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into a problem response; None for what is a fault of ours (it becomes a 500)."""
    if isinstance(error, Http404):
        error = NotThere("There is nothing here, or nothing that you may see.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        error = TooLarge("The body of this request is too large. Send less at once.")
    elif isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(
            error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
        )
    elif not isinstance(error, Problem | exceptions.APIException) and (outage := outage_of(error)):
        logger.warning("%s: %s (%s)", context.get("request"), outage.code, error)
        error = Unavailable(outage.sentence, outage.code, wait_seconds=outage.wait_seconds)
        error.status_code = outage.status
    if not isinstance(error, Problem | exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if seconds := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(seconds))
    if isinstance(error, Problem):
        return problem(error.status_code, error.detail, error.code, headers, **error.members)
    if isinstance(error, exceptions.ValidationError):
        return problem(400, "The request is not right; see errors.", "invalid", headers, errors=_field_errors(error))
    if isinstance(error, exceptions.NotAuthenticated):
        return problem(401, "Sign in, or send `Authorization: Token …` of a device.", "not_signed_in", headers)
    code = error.get_codes()
    return problem(error.status_code, str(error.detail), code if isinstance(code, str) else "", headers)


def _field_errors(error: exceptions.ValidationError) -> Any:
    return error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
