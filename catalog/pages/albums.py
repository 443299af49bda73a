"""Albums: the list, one of them, a photo in it, and what was deleted."""

import uuid
from contextlib import suppress
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods

from accounts.requests import HttpRequest as SignedInRequest
from catalog.albums import access, albums, drafts, notes, smart
from catalog.albums.refusals import Refused
from catalog.browsing import album_cards, album_lists, smart_cards
from catalog.browsing.smart_cards import SmartCard
from catalog.models import Album, AlbumItem, Draft, Library, Note, Photo
from photolala.web.problem_pages import say_problems

from .album_frame import album_frame, missing_is_404, picture_url
from .album_notes import excerpt
from .timeline import timeline_context

NO_ID = uuid.UUID(int=0)
PAGE_LENGTH = "100"
CARDS = "60"
_KINDS: dict[str, Any] = {"album": albums, "note": notes, "draft": drafts}


@login_required
@require_http_methods(["GET", "POST"])
@say_problems
def list_albums(request: HttpRequest) -> HttpResponse:
    """Show the albums that the user sees; make one with the title that was sent, with `q` as a saved search."""
    user: Any = request.user
    error, title, status = "", request.POST.get("title", ""), 200
    if request.method == "POST":
        try:
            saved = {"query": {smart.MEMBER: request.POST["q"]}} if "q" in request.POST else {}
            album = albums.create(user, uuid.uuid4(), {"title": title, **saved})
            if saved:
                messages.success(request, "The search is saved: you find it under Albums.")
            return redirect("albums:album", album.pk)
        except Refused as refused:
            error, status = refused.detail, 422
    page = album_lists.album_page(user, {"limit": CARDS, "cursor": request.GET.get("cursor", "")})
    counts = album_cards.counts_of(user, page.rows)
    found = smart_cards.smart_cards(user, page.rows)
    cards = [
        _card(album, counts[album.pk], album_cards.covers_of(user, album))
        if album.query is None
        else _smart_card(album, found.get(album.pk))
        for album in page.rows
    ]
    context = {
        "deleted": _just_deleted(request),
        "page": {"rows": cards, "next_cursor": page.next_cursor},
        "trash_count": Album.objects.in_trash_of(user).exists() or Note.objects.in_trash_of(user).exists(),
        "error": error,
        "title": title,
    }
    return render(request, "albums/list.html", context, status=status)


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
@missing_is_404
def show_album(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Show what the user sees in the album, a page at a time; a request of htmx gets the next items only."""
    frame = album_frame(request, album_id)
    if frame["album"].query is not None:
        return _show_smart_album(request, frame)
    if request.headers.get("HX-Request") == "true":
        return render(request, "albums/_items.html", {**frame, "page": _items(request, frame["album"])})
    return render(request, "albums/album.html", _album_page(request, frame))


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
@missing_is_404
def show_photo(request: HttpRequest, album_id: uuid.UUID, photo_id: uuid.UUID) -> HttpResponse:
    """Show a photo of the album, opened before the others; `?plain` shows it alone, for browsers without scripts."""
    user: Any = request.user
    frame = album_frame(request, album_id)
    photo = access.photos_in(user, album_id).filter(pk=photo_id).first()
    if photo is None:
        raise Http404("There is no such photo in this album, or it is not yours to see.")
    if "plain" not in request.GET:
        return render(request, "albums/album.html", {**_album_page(request, frame), "opened": str(photo_id)})
    album = frame["album"]
    is_own = Photo.objects.visible_to(user).filter(pk=photo_id).exists()
    context = {
        **frame,
        "photo": photo,
        "label": _label(photo),
        "preview_url": picture_url(album, photo, "preview"),
        "original_url": picture_url(album, photo, "original"),
        "may_download": is_own or album.allows_originals,
    }
    return render(request, "albums/photo.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def show_trash(request: HttpRequest) -> HttpResponse:
    """Show the albums, notes and drafts that the user deleted in the last 30 days; restore one."""
    user: Any = request.user
    if request.method == "POST":
        verbs = _KINDS.get(request.POST.get("kind", ""))
        try:
            if verbs is None:
                raise ValueError
            verbs.restore(user, uuid.UUID(request.POST.get("id", "")))
            messages.success(request, "It was restored.")
            if "back" in request.POST:
                return redirect("albums:list")
        except ValueError:
            messages.warning(request, "Choose what is to be restored. Nothing was changed.")
        except Refused as refused:
            messages.warning(request, refused.detail)
        return redirect("albums:trash")
    found = [
        *({"kind": "album", "title": row.title, "row": row} for row in Album.objects.in_trash_of(user)[:500]),
        *({"kind": "note", "title": excerpt(row.content), "row": row} for row in Note.objects.in_trash_of(user)[:500]),
        *({"kind": "draft", "title": _first_words(row), "row": row} for row in _deleted_drafts(user)[:500]),
    ]
    rows = [
        {
            "kind": one["kind"],
            "title": one["title"] or "Without words",
            "id": one["row"].pk,
            "trashed_at": one["row"].trashed_at,
        }
        for one in found
    ]
    return render(request, "albums/trash.html", {"rows": sorted(rows, key=lambda row: row["trashed_at"], reverse=True)})


def _deleted_drafts(user: Any) -> Any:
    """Return what was deleted; what was published went to the trash, too, but lives on as a note."""
    return Draft.objects.in_trash_of(user).filter(published_as=None)


def _first_words(draft: Draft) -> str:
    return excerpt(" ".join(block["text"] for block in draft.blocks))


def _show_smart_album(request: HttpRequest, frame: dict[str, Any]) -> HttpResponse:
    album: Album = frame["album"]
    home = reverse("albums:album", args=[album.pk])
    context = timeline_context(cast(SignedInRequest, request), home, {"album": str(album.pk)})
    return render(request, "albums/smart.html", {**frame, **context, "search": smart.text_of(album)})


def _just_deleted(request: HttpRequest) -> Album | None:
    """Return the album in the user's trash that `?deleted=` names, to be brought back at once."""
    with suppress(ValueError):
        return Album.objects.in_trash_of(request.user).filter(pk=uuid.UUID(request.GET.get("deleted", ""))).first()
    return None


def _smart_card(album: Any, found: SmartCard | None) -> dict[str, Any]:
    covers = found.covers if found else []
    return {
        "id": album.pk,
        "title": album.title,
        "is_own": True,
        "is_smart": True,
        "search": smart.text_of(album),
        "is_counted": found is not None,
        "photo_count": found.photos if found else 0,
        "covers": [f"/api/v1/photos/{photo}/thumbnail/?v={md5[:8]}" for photo, md5 in covers],
    }


def _card(album: Any, counts: dict[str, int], covers: list[Photo]) -> dict[str, Any]:
    return {
        "id": album.pk,
        "title": album.title,
        "owner_name": album.owner.get_username(),
        "is_own": album.role == "owner",
        "member_count": album.member_count,
        "photo_count": counts["photos"],
        "note_count": counts["notes"],
        "covers": [picture_url(album, photo, "thumbnail") for photo in covers],
    }


def _album_page(request: HttpRequest, frame: dict[str, Any]) -> dict[str, Any]:
    user: Any = request.user
    album = frame["album"]
    counts = album_cards.counts_of(user, [album])[album.pk]
    return {
        **frame,
        "page": _items(request, album),
        "photo_count": counts["photos"],
        "note_count": counts["notes"],
        "no_id": NO_ID,
    }


def _items(request: HttpRequest, album: Album) -> dict[str, Any]:
    user: Any = request.user
    params = {"limit": PAGE_LENGTH, "cursor": request.GET.get("cursor", "")}
    page = album_lists.item_page(user, album, params)
    photos = [item.photo_id for item in page.rows if item.photo_id]
    libraries = Library.objects.visible_to(user).values("pk")
    own = set(Photo.objects.filter(pk__in=photos, library__in=libraries).values_list("pk", flat=True))
    return {"rows": [_item(album, item, own) for item in page.rows], "next_cursor": page.next_cursor}


def _item(album: Album, item: AlbumItem, own: set[uuid.UUID]) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": item.pk}
    if item.photo is not None:
        photo = item.photo
        shown["photo"] = {
            "id": photo.pk,
            "version": photo.photo_md5[:8],
            "ratio": round(photo.ratio, 4),
            "placeholder": photo.placeholder,
            "taken_local": photo.taken_local.replace(tzinfo=None).isoformat() if photo.is_dated else "",
            "has_thumbnail": photo.has_thumbnail,
            "is_video": photo.is_video,
            "is_own": photo.pk in own,
            "thumbnail": picture_url(album, photo, "thumbnail"),
        }
        shown["label"] = _label(photo)
        shown["is_cover"] = photo.pk == album.cover_id
    elif item.note is not None:
        shown["note"] = {
            "id": item.note.pk,
            "excerpt": excerpt(item.note.content),
            "noted_local": item.note.noted_local,
        }
        shown["label"] = f"Note of {item.note.noted_local:%-d %B %Y}"
    return shown


def _label(photo: Photo) -> str:
    """Return what a photo is called where its file's name is not for everybody to see."""
    kind = "Video" if photo.is_video else "Photo"
    return f"{kind} of {photo.taken_local:%-d %B %Y, %H:%M}" if photo.is_dated else f"{kind} without a date"
