"""Writing a note: a draft, saved as one types, published into albums."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST

from catalog.albums import drafts
from catalog.albums.refusals import Refused
from catalog.models import Album, Draft
from photolala.web.parameters import utc_text

from .album_frame import missing_is_404

MOST_ALBUMS = 200


@login_required
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Begin a draft."""
    user: Any = request.user
    return redirect("albums:draft", drafts.create(user, uuid.uuid4(), {}).pk)


@login_required
@require_http_methods(["GET", "POST"])
@ensure_csrf_cookie
@missing_is_404
def show_draft(request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
    """Show the editor; save, publish or delete what a browser sends."""
    user: Any = request.user
    draft = Draft.objects.of(user).filter(pk=draft_id).first()
    if draft is None:
        raise Http404("There is no such draft, or it is not yours.")
    if request.method == "GET":
        return _page(request, draft)
    wish = request.POST.get("do", "")
    try:
        if wish == "delete":
            drafts.delete(user, draft_id)
            messages.success(request, "The draft is in the trash for 30 days.")
            return redirect("albums:notes")
        drafts.patch(user, draft_id, _sent(request, draft))
        if wish != "publish":
            messages.success(request, "Kept as a draft.")
            return redirect("albums:notes")
        note = drafts.publish(user, draft_id)
    except Refused as refused:
        if refused.reason == "not_found":
            raise
        draft.refresh_from_db()
        return _page(request, draft, 422, error=refused.detail, text=request.POST.get("text", ""))
    messages.success(request, "Published.")
    return redirect("albums:note", note.pk)


def _sent(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    """Return the fields that the form holds: the albums, and, from a browser without scripts, one text."""
    fields: dict[str, Any] = {"albums": request.POST.getlist("albums")}
    if "text" in request.POST:
        text = request.POST["text"].replace("\r\n", "\n")
        texts = [block for block in draft.blocks if block["type"] == "text"]
        first = texts[0] if texts else {"id": str(uuid.uuid4()), "type": "text"}
        others = [block for block in draft.blocks if block["type"] != "text"]
        fields["blocks"] = [{**first, "text": text}, *others]
    return fields


def _page(request: HttpRequest, draft: Draft, status: int = 200, **words: str) -> HttpResponse:
    albums = (
        Album.objects.editable_by(request.user)
        .filter(query__isnull=True)
        .annotate(member_count=Count("memberships"))
        .order_by("title", "pk")
    )
    context: dict[str, Any] = {
        "draft": draft,
        "updated": utc_text(draft.updated_at),
        "blocks": draft.blocks,
        "text": "\n\n".join(block["text"] for block in draft.blocks if block["type"] == "text"),
        "media_url": "/api/v1/media/",
        "albums": [
            {
                "id": album.pk,
                "title": album.title,
                "is_chosen": str(album.pk) in draft.albums,
                "is_shared": bool(getattr(album, "member_count", 0)) or album.owner_id != request.user.pk,
            }
            for album in albums[:MOST_ALBUMS]
        ],
        **words,
    }
    return render(request, "albums/draft.html", context, status=status)
