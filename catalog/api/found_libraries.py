"""The library that an address names, if the user may do there what is asked."""

from uuid import UUID

from django.http import Http404
from rest_framework.exceptions import PermissionDenied

from accounts.requests import Request
from catalog.models import Library


def find_library(request: Request, library_id: UUID) -> Library:
    """Return the library if the user may see it, its owner loaded too; Http404 otherwise."""
    library = Library.objects.visible_to(request.user).select_related("owner").filter(pk=library_id).first()
    if library is None:
        raise Http404
    return library


def find_own_library(request: Request, library_id: UUID) -> Library:
    """Return the user's own library; 404 if it is not visible, 403 if it is somebody else's."""
    library = find_library(request, library_id)
    if library.owner_id != request.user.pk:
        raise PermissionDenied("Only the owner of a library may do that.")
    return library


def find_changeable_library(request: Request, library_id: UUID) -> Library:
    """Return a library whose photos the user may change; 404 if it is not visible, 403 to those who may only look."""
    library = find_library(request, library_id)
    if not Library.objects.editable_by(request.user).filter(pk=library_id).exists():
        raise PermissionDenied("You may look at this library, but not change it. Nothing was changed.")
    return library
