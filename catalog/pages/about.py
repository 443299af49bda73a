"""The facts of a library: where it is, what is in it, and the history of its catalog snapshots."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import Count, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.browsing.photo_lists import KEEP_SECONDS
from catalog.cache.hashes import library_hashes
from catalog.history import retention
from catalog.history.compare import MOST_COMPARED, diff_kept
from catalog.history.copies import SnapshotNotKept, opened
from catalog.history.restore import start_restore
from catalog.models import Library, Membership, Photo, Snapshot
from catalog.roots.told import told
from catalog.scanning.rebuild import start_rebuild
from operations.running import AlreadyActive

from .frame import library_frame, owned_frame

MOST_SNAPSHOTS = 50
_ALONE = "Members’ favourites and what is in the trash are in Photolala’s database alone: only a backup keeps them."
_IN_SNAPSHOTS = {
    Library.Ratings.DATABASE: "Your stars and dates are in no photo file: they are in the database and in these snapshots.",
    Library.Ratings.SIDECAR: "Your stars are in XMP files beside the photos, your dates in the database and in these snapshots.",
    Library.Ratings.FILE: "Your stars and dates are in the photo files, and in these snapshots.",
}
MOST_KINDS = 20


@login_required
@require_GET
def show_about(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show the library's policy, counts by kind of file and snapshots; to its owner also root and members."""
    frame = library_frame(request, library_id, "about")
    library = frame["library"]
    context = {
        **frame,
        "kinds": kinds_in(library),
        "hashes": library_hashes(library),
        "snapshots": list(Snapshot.objects.filter(library=library)[:MOST_SNAPSHOTS]),
        "retention": retention.rule(),
        "where_things_lie": f"{_IN_SNAPSHOTS[Library.Ratings(library.ratings)]} {_ALONE}",
        "memberships": list(Membership.objects.filter(library=library).select_related("user"))
        if frame["is_owner"]
        else [],
    }
    return render(request, "catalog/about.html", context)


def kinds_in(library: Library) -> list[dict[str, Any]]:
    """Return the most frequent kinds of files, each with `media_type`, `count` and `size_bytes`; kept per revision."""
    key = f"kinds:{library.pk}:{library.revision}"
    kinds: list[dict[str, Any]] | None = cache.get(key)
    if kinds is None:
        present = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).values("media_type")
        counted = present.annotate(count=Count("*"), size_bytes=Sum("size_bytes"))
        kinds = [dict(row) for row in counted.order_by("-count", "media_type")[:MOST_KINDS]]
        cache.set(key, kinds, KEEP_SECONDS)
    return kinds


@login_required
@require_GET
def show_difference(request: HttpRequest, library_id: uuid.UUID, md5: str) -> HttpResponse:
    """Show what the current snapshot has other than an earlier one; its owner can go back to that."""
    frame = library_frame(request, library_id, "about")
    library = frame["library"]
    snapshot = _snapshot(library, md5)
    context = {**frame, "snapshot": snapshot, "difference": None, "problem": "", "can_restore": True}
    current = Snapshot.objects.filter(library=library, md5=library.snapshot_md5).first()
    if current is None:
        context["problem"] = "The library has no current snapshot to compare with. Scan it first."
    elif current.entry_count + snapshot.entry_count > MOST_COMPARED:
        context["problem"] = "These snapshots are too large to be compared here; use the command “snapshots diff”."
    else:
        try:
            context["difference"] = diff_kept(library, snapshot.md5, current.md5)
        except SnapshotNotKept as error:
            context |= {"problem": told(library, request.user, str(error)), "can_restore": _is_kept(snapshot)}
    return render(request, "catalog/difference.html", context)


@login_required
@require_POST
def restore(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Start putting the catalog back to the snapshot `md5`; the owner's alone."""
    library = owned_frame(request, library_id, "about")["library"]
    snapshot = _snapshot(library, request.POST.get("md5", ""))
    if request.POST.get("sure") != "1":
        messages.warning(request, "Tick the box to confirm. Nothing was changed.")
        return redirect("catalog:library-snapshot", library.pk, snapshot.md5)
    if request.POST.get("current", "") != library.snapshot_md5:
        messages.warning(request, "The catalog was changed since these counts were shown. Look again, then confirm.")
        return redirect("catalog:library-snapshot", library.pk, snapshot.md5)
    try:
        start_restore(library, request.user, snapshot.md5)
    except AlreadyActive:
        messages.info(request, "The library is being scanned or restored already. Try again after that.")
    return redirect("catalog:library-about", library.pk)


@login_required
@require_POST
def rebuild(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Start rebuilding the catalog from the files; the owner's alone."""
    library = owned_frame(request, library_id, "about")["library"]
    try:
        start_rebuild(library, request.user, full=bool(request.POST.get("full")))
    except AlreadyActive:
        messages.info(request, "The library is being scanned, restored or rebuilt already. Try again after that.")
    return redirect("catalog:library-about", library.pk)


def _is_kept(snapshot: Snapshot) -> bool:
    """Tell whether the snapshot itself can be had, whatever it was to be compared with."""
    try:
        with opened(snapshot.library, snapshot.md5):
            return True
    except SnapshotNotKept:
        return False


def _snapshot(library: Library, md5: str) -> Snapshot:
    found = Snapshot.objects.filter(library=library, md5=md5).first() if "\x00" not in md5 else None
    if found is None:
        raise Http404("The library has no such snapshot.")
    return found
