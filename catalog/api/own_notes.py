"""The notes and drafts of who asks, and 404 for all others."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request

from catalog.models import Draft, Note
from photolala.web.refusals import NotThere

from .albums import is_trashed


def own_rows(model: type[Note] | type[Draft], request: Request) -> Any:
    """Return the notes or drafts of who asks: those in the trash with `?trashed=true`, else the others."""
    rows: Any = model.objects
    return rows.in_trash_of(request.user) if is_trashed(request.query_params) else rows.of(request.user)


def require_own(model: type[Note] | type[Draft], request: Request, key: UUID) -> None:
    """Raise NotThere (404) if who asks has no such note or draft."""
    if not model.objects.filter(pk=key, owner=request.user.pk).exists():
        raise nothing(model._meta.model_name or "")


def nothing(what: str) -> NotThere:
    """Return the same words for what is not there and what is another person's."""
    return NotThere(f"There is no such {what}, or none that you may see.")
