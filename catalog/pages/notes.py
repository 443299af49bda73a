"""Notes: the list of one's own, and one of them."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.albums import access, notes
from catalog.albums.refusals import Refused
from catalog.models import Draft, Note
from photolala.web.keyset import paginate
from photolala.web.problem_pages import say_problems

from .album_frame import missing_is_404
from .album_notes import excerpt, shown

ORDER = ("-noted_at", "id")
MOST_DRAFTS = 50


@login_required
@require_GET
@say_problems
def list_notes(request: HttpRequest) -> HttpResponse:
    """Show the user's drafts, and their notes, newest first."""
    user: Any = request.user
    own = Note.objects.of(user).select_related("owner")
    page = paginate(own, ORDER, {"limit": "30", "cursor": request.GET.get("cursor", "")})
    drafts = [
        {
            "id": draft.pk,
            "excerpt": excerpt(" ".join(block["text"] for block in draft.blocks)),
            "updated_at": draft.updated_at,
        }
        for draft in Draft.objects.of(user)[:MOST_DRAFTS]
    ]
    rows = {"rows": shown(page.rows, user), "next_cursor": page.next_cursor}
    return render(request, "albums/notes.html", {"page": rows, "drafts": drafts})


@login_required
@require_http_methods(["GET", "POST"])
@missing_is_404
def show_note(request: HttpRequest, note_id: uuid.UUID) -> HttpResponse:
    """Show a note of the user's own, or one that an album shows them; save the words of one's own."""
    user: Any = request.user
    note = access.note_seen_by(user, note_id)
    is_own = note.owner_id == user.pk
    if request.method == "GET":
        return _page(request, note, is_own, note)
    if not is_own:
        raise Http404("Only who wrote a note may change it.")
    fields = {name: request.POST.get(name, "").replace("\r\n", "\n") for name in ("content", "caption")}
    try:
        notes.patch(user, note_id, fields)
    except Refused as refused:
        return _page(request, note, is_own, fields, 422, error=refused.detail)
    messages.success(request, "Saved.")
    return redirect("albums:note", note_id)


@login_required
@require_POST
@missing_is_404
def delete(request: HttpRequest, note_id: uuid.UUID) -> HttpResponse:
    """Move a note of the user's own to the trash."""
    user: Any = request.user
    notes.delete(user, note_id)
    messages.success(request, "The note is in the trash for 30 days.")
    return redirect("albums:notes")


def _page(request: HttpRequest, note: Note, is_own: bool, form: Any, status: int = 200, **words: str) -> HttpResponse:
    context = {"note": shown([note], request.user)[0], "is_own": is_own, "form": form, **words}
    return render(request, "albums/note.html", context, status=status)
