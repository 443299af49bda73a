"""Turns what the verbs of albums refuse into problems of the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catalog.albums.refusals import Refused
from photolala.web.refusals import Conflict, Forbidden, NotThere, Problem, TooLarge, Unprocessable

_PROBLEMS: dict[str, tuple[type[Problem], str]] = {
    "not_found": (NotThere, "not_found"),
    "permission_denied": (Forbidden, "permission_denied"),
    "invalid": (Unprocessable, "invalid"),
    "missing_ref": (Unprocessable, "missing_ref"),
    "id_taken": (Conflict, "id_taken"),
    "conflict": (Conflict, "conflict"),
    "too_many": (Unprocessable, "too_many"),
    "quota": (TooLarge, "quota"),
    "too_large": (TooLarge, "too_large"),
}


@contextmanager
def told() -> Iterator[None]:
    """Raise the problem that says what a verb refused in the block."""
    try:
        yield
    except Refused as refused:
        kind, code = _PROBLEMS[refused.reason]
        members: dict[str, Any] = {"errors": {refused.field: [refused.detail]}} if refused.field else {}
        raise kind(refused.detail, code, **members) from None
