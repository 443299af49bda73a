"""The problems of a library: what is broken, damaged or missing, each with its reason."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.files.purge import CountDiffers, start_purge
from catalog.history.after_restore import ScanNeeded, not_in_restored, unsettled_since
from catalog.models import Photo
from operations.running import AlreadyActive
from photolala.web.keyset import paginate
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

from .frame import library_frame, owned_frame

STATES: dict[str, tuple[str, str]] = {
    Photo.State.BROKEN: ("Broken", "They cannot be shown. The files are untouched; the original can be downloaded."),
    Photo.State.DAMAGED: ("Damaged", "They can be read in part and are shown as far as that goes."),
    Photo.State.MISSING: (
        "Missing",
        "Their files are gone from the folder. Ratings, favourites and export history are kept; they come back by "
        "themselves when the files do.",
    ),
}
_AFTER_RESTORE = (
    "The catalog was restored. What it does not have is listed here until a scan has compared it with the folder: what lies "
    "there comes back with its ratings, favourites and export history. The scan starts by itself."
)
ORDER = ["directory", "filename"]  # unique within a library
FIELDS = (
    *ORDER,
    "id",
    "state",
    "problem",
    "size_bytes",
    "media_type",
    "photo_md5",
    "has_thumbnail",
    "missing_since",
)
PAGE_LENGTH = "100"


@login_required
@require_GET
@say_problems
def show_problems(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show one page of the photos in `?state=` (the first state that has any, if not given), by path."""
    frame = library_frame(request, library_id, "problems")
    photos = Photo.objects.filter(library=frame["library"], trash_item=None).with_problems()
    counts = {row["state"]: row["count"] for row in photos.values("state").annotate(count=Count("id")).order_by()}
    chosen = request.GET.get("state") or next((state for state in STATES if counts.get(state)), Photo.State.BROKEN)
    if chosen not in STATES:
        raise BadRequest("The state is one of broken, damaged and missing.")
    params = {"limit": PAGE_LENGTH, "cursor": request.GET.get("cursor", "")}
    page = paginate(photos.filter(state=chosen).values(*FIELDS), ORDER, params)
    context: dict[str, Any] = {
        **frame,
        "states": [(state, words[0], counts.get(state, 0)) for state, words in STATES.items()],
        "chosen": chosen,
        "explanation": STATES[chosen][1],
        "page": page,
        "has_any": bool(counts),
        "missing_count": counts.get(Photo.State.MISSING, 0),
        "restored_at": None,
    }
    restored_at = unsettled_since(frame["library"])
    if restored_at and chosen == Photo.State.MISSING:
        count = not_in_restored(frame["library"], restored_at).count()
        context |= {"restored_at": restored_at, "not_restored_count": count, "explanation": _AFTER_RESTORE}
    return render(request, "catalog/problems.html", context)


@login_required
@require_POST
def purge(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Start purging the missing photos, if as many are missing as the owner was shown, and the box was ticked."""
    library = owned_frame(request, library_id, "problems")["library"]
    count = request.POST.get("count", "")
    try:
        if request.POST.get("sure") != "1":
            messages.warning(request, "Tick the box to confirm. Nothing was changed.")
        elif count.isascii() and count.isdigit() and len(count) < 12:
            start_purge(library, request.user, int(count))
            messages.success(request, "The missing photos are being purged.")
        else:
            messages.warning(request, "Say how many. Nothing was changed.")
    except (CountDiffers, ScanNeeded) as refused:
        messages.warning(request, str(refused))
    except AlreadyActive:
        messages.info(request, "The library is being scanned or restored already. Try again after that.")
    return redirect(f"{reverse('catalog:library-problems', args=[library.pk])}?state=missing")
