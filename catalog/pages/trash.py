"""The trash of a library: what was deleted, bring it back, empty it."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.duplicates import keeping
from catalog.files import trash, trash_empty
from catalog.files.purge import CountDiffers
from catalog.models import TrashItem
from operations.running import AlreadyActive
from photolala.web.keyset import paginate
from photolala.web.problem_pages import say_problems

from .frame import library_frame, owned_frame

ORDER = ["-trashed_at", "id"]
FIELDS = (
    "id",
    "directory",
    "filename",
    "size_bytes",
    "trashed_at",
    "state",
    "user__username",
    "photo_id",
    "photo__photo_md5",
    "photo__has_thumbnail",
    "handed_over",
)


@login_required
@require_GET
@say_problems
def show_trash(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show one page of what is in the trash."""
    frame = _frame(request, library_id)
    items = TrashItem.objects.deleted().filter(library=frame["library"])
    page = paginate(items.values(*FIELDS), ORDER, {"limit": "100", "cursor": request.GET.get("cursor", "")})
    context: dict[str, Any] = {
        **frame,
        "page": page,
        "rows": [_row(row) for row in page.rows],
        "count": items.filter(state=TrashItem.State.TRASHED).count(),
        "size_bytes": items.aggregate(sum=Sum("size_bytes"))["sum"] or 0,
    }
    return render(request, "catalog/trash.html", context)


@login_required
@require_POST
def restore(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Bring the ticked photos back."""
    library = _frame(request, library_id)["library"]
    try:
        keys = [uuid.UUID(text) for text in request.POST.getlist("item")[: trash.MOST_AT_ONCE]]
    except ValueError:
        keys = []
    if not keys:
        messages.warning(request, "Tick the photos that are to come back.")
        return redirect("catalog:library-trash", library_id)
    try:
        done, stays = keeping.restore_items(request.user, library, keys)
    except trash.TrashRefused as refused:
        messages.error(request, str(refused))
        return redirect("catalog:library-trash", library_id)
    if done.count:
        words = "The photo is" if done.count == 1 else f"{done.count:,} photos are"
        messages.success(request, f"{words} back where they lay." if done.count > 1 else f"{words} back where it lay.")
    for sentence in [*stays, *(error["error"] for error in done.errors)][:5]:
        messages.warning(request, sentence)
    return redirect("catalog:library-trash", library_id)


@login_required
@require_POST
def empty(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Start deleting for good, if as much is there as the owner was shown, and the box was ticked."""
    library = owned_frame(request, library_id, "trash")["library"]
    count = request.POST.get("count", "")
    try:
        if request.POST.get("sure") != "1":
            messages.warning(request, "Tick the box to confirm. Nothing was changed.")
        elif count.isascii() and count.isdigit() and len(count) < 12:
            trash_empty.start_emptying(library, request.user, int(count))
            messages.success(request, "What lay in the trash is being deleted.")
        else:
            messages.warning(request, "Say how many. Nothing was changed.")
    except CountDiffers as differs:
        messages.warning(request, str(differs))
    except AlreadyActive:
        messages.info(request, "The trash is being emptied already.")
    return redirect("catalog:library-trash", library_id)


def _frame(request: HttpRequest, library_id: uuid.UUID) -> dict[str, Any]:
    frame = library_frame(request, library_id, "trash")
    if not frame["can_edit"]:
        raise Http404("Only owner and editors see what was deleted.")
    return frame


def _row(row: dict[str, Any]) -> dict[str, Any]:
    photo = {"id": row["photo_id"], "photo_md5": row["photo__photo_md5"], "has_thumbnail": row["photo__has_thumbnail"]}
    return {**row, "photo": photo, "by": row["user__username"], "has_kept_copy": bool(row["handed_over"])}
