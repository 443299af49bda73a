"""An album's title, description and order; whom it is shared with; handing it over and deleting it."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from catalog.albums import albums, members, smart
from catalog.albums.refusals import Refused
from catalog.models import Album, AlbumMember

from .album_frame import album_frame, missing_is_404, only_owner


@login_required
@require_http_methods(["GET", "POST"])
@missing_is_404
def show_settings(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Show the settings and save them: an editor changes what the album is called, its owner also who may have originals."""
    frame = album_frame(request, album_id)
    if not frame["can_edit"]:
        raise Http404("Only the owner and the editors of an album may change it.")
    album: Album = frame["album"]
    if request.method == "GET":
        return _page(request, frame, album)
    is_smart = album.query is not None
    fields: dict[str, Any] = {name: request.POST.get(name, "") for name in ("title", "description")}
    if is_smart:
        fields["query"] = {smart.MEMBER: request.POST.get("q", "")}
    else:
        fields["order"] = request.POST.get("order", "")
    fields["description"] = fields["description"].replace("\r\n", "\n")
    if frame["is_owner"] and not is_smart:
        fields["allowsOriginals"] = request.POST.get("allows_originals") == "1"
    try:
        albums.patch(_user(request), album_id, fields)
    except Refused as refused:
        form = {**fields, "allows_originals": fields.get("allowsOriginals")}
        return _page(request, frame, form, 422, error=refused.detail, error_field=refused.field)
    messages.success(request, "Saved.")
    return redirect("albums:album", album_id)


@login_required
@require_POST
@missing_is_404
def save_member(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Share the album with a user by name, or change what they may do in it."""
    frame = album_frame(request, album_id)
    album = only_owner(frame)
    username = _username(request)
    member = User.objects.filter(username=username, is_active=True).first()
    try:
        if member is None:
            raise Refused(
                "missing_ref", f"There is no user called “{username[:150]}” here. Write the name they sign in with."
            )
        members.set_member(_user(request), album_id, member, request.POST.get("role", ""))
    except Refused as refused:
        return _page(request, frame, album, 422, member_error=refused.detail, member_name=username)
    messages.success(request, f"The album is shared with {username}.")
    return redirect("albums:settings", album_id)


@login_required
@require_POST
@missing_is_404
def drop_member(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Stop sharing the album with somebody; or leave it, as a member."""
    frame = album_frame(request, album_id)
    if not frame["is_owner"]:
        members.remove_member(_user(request), album_id, _user(request))
        messages.success(request, f"You left the album “{frame['album'].title}”.")
        return redirect("albums:list")
    username = _username(request)
    member = User.objects.filter(username=username).first()
    if member is None or not members.remove_member(_user(request), album_id, member):
        messages.warning(request, f"The album was not shared with “{username[:150]}” any more.")
    else:
        messages.success(request, f"{username} no longer sees the album.")
    return redirect("albums:settings", album_id)


@login_required
@require_POST
@missing_is_404
def hand_over(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Let a member own the album from now on."""
    frame = album_frame(request, album_id)
    only_owner(frame)
    new_owner = User.objects.filter(username=_username(request), is_active=True).first()
    try:
        if new_owner is None:
            raise Refused("missing_ref", "An album is handed over to one of its members. Nothing was changed.")
        albums.hand_over(_user(request), album_id, new_owner)
    except Refused as refused:
        messages.warning(request, refused.detail)
        return redirect("albums:settings", album_id)
    messages.success(request, f"The album belongs to {new_owner.get_username()} now; you are an editor of it.")
    return redirect("albums:album", album_id)


@login_required
@require_POST
@missing_is_404
def delete(request: HttpRequest, album_id: uuid.UUID) -> HttpResponse:
    """Move the album to the trash."""
    only_owner(album_frame(request, album_id))
    albums.delete(_user(request), album_id)
    return redirect(f"{reverse('albums:list')}?deleted={album_id}")


def _user(request: HttpRequest) -> Any:
    return request.user


def _username(request: HttpRequest) -> str:
    """Return the name that was sent; without NUL, which PostgreSQL refuses to compare with anything."""
    return request.POST.get("username", "").replace("\0", "").strip()


def _search_of(form: Any) -> str:
    if isinstance(form, Album):
        return smart.text_of(form)
    return str((form.get("query") or {}).get(smart.MEMBER, ""))


def _page(request: HttpRequest, frame: dict[str, Any], form: Any, status: int = 200, **words: str) -> HttpResponse:
    context = {
        **frame,
        "form": form,
        "search": _search_of(form),
        "orders": Album.Order.choices,
        "roles": AlbumMember.Role.choices,
        **words,
    }
    return render(request, "albums/settings.html", context, status=status)
