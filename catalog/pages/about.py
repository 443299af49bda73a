"""The facts of a library: where it lies, what is in it, and the history of its catalog snapshots."""

import uuid

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.models import Membership, Photo, Snapshot

from .frame import library_frame

MOST_SNAPSHOTS = 50
MOST_KINDS = 20


@login_required
@require_GET
def show_about(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show the library's policy, counts by kind of file and snapshots; to its owner also root and members."""
    frame = library_frame(request, library_id, "about")
    library = frame["library"]
    kinds = (
        Photo.objects.filter(library=library)
        .exclude(state=Photo.State.MISSING)
        .values("media_type")
        .annotate(count=Count("id"), size_bytes=Sum("size_bytes"))
        .order_by("-count", "media_type")[:MOST_KINDS]
    )
    context = {
        **frame,
        "kinds": list(kinds),
        "snapshots": list(Snapshot.objects.filter(library=library)[:MOST_SNAPSHOTS]),
        "memberships": list(Membership.objects.filter(library=library).select_related("user"))
        if frame["is_owner"]
        else [],
    }
    return render(request, "catalog/about.html", context)
