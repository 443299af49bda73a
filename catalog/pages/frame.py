"""What all pages of one library share: the library itself, who asks, its running scan, the tab that is open."""

import uuid
from typing import Any

from django.http import Http404

from accounts.models import User
from accounts.requests import HttpRequest
from catalog.models import Library, Membership
from catalog.roots.told import told
from catalog.scanning.requests import last_scans, stopped_json


def library_frame(request: HttpRequest, library_id: uuid.UUID, tab: str) -> dict[str, Any]:
    """Return the context of templates/catalog/_library_head.html; two queries, three for a member.

    Raises Http404 for a library that is not there or not the user's to see.
    """
    library = Library.objects.visible_to(request.user).select_related("owner").filter(pk=library_id).first()
    if library is None:
        raise Http404("There is no such library, or it is not yours to see.")
    is_owner = library.owner_id == request.user.pk
    is_editor = is_owner or _is_editor(request, library)
    last = last_scans([library]).get(library.scan_key)
    library.warning = told(library, request.user, library.warning)
    return {
        "library": library,
        "tab": tab,
        "is_owner": is_owner,
        "can_edit": is_editor,
        "scan": last if last and last.is_active else None,
        "stopped": stopped_json(library, last, "owner" if is_owner else ""),
        "stopped_id": last.pk if last and not last.is_active else None,
    }


def owned_frame(request: HttpRequest, library_id: uuid.UUID, tab: str) -> dict[str, Any]:
    """Return the frame for pages that are the owner's alone. Raises Http404 for everybody else."""
    frame = library_frame(request, library_id, tab)
    if not frame["is_owner"]:
        raise Http404("Only the owner of a library may see and change its settings.")
    return frame


def _is_editor(request: HttpRequest, library: Library) -> bool:
    editor = Membership.Role.EDITOR
    user: User = request.user
    return Membership.objects.filter(library=library, user=user, role=editor).exists()
