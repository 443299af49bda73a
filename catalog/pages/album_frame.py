"""What the pages of albums share: the album itself and who asks, refusals as pages or sentences, pictures of photos in it."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from catalog.albums import albums
from catalog.albums.refusals import Refused
from catalog.models import Album, AlbumMember, Photo


def album_frame(request: HttpRequest, album_id: uuid.UUID) -> dict[str, Any]:
    """Return `album`, `is_owner`, `can_edit` and, for the owner, `members`; 404 if it is not the user's to see."""
    user: Any = request.user
    album = albums.visible(user, album_id)
    is_owner = album.owner_id == user.pk
    members = AlbumMember.objects.filter(album=album).select_related("user").order_by("user__username")
    own = members.filter(user=user).first() if not is_owner else None
    return {
        "album": album,
        "is_owner": is_owner,
        "can_edit": is_owner or (own is not None and own.role == AlbumMember.Role.EDITOR),
        "members": list(members) if is_owner else [],
    }


def only_owner(frame: dict[str, Any]) -> Album:
    """Return the album of a frame. Raises Http404 for everybody but its owner."""
    if not frame["is_owner"]:
        raise Http404("Only the owner of an album may do this.")
    album: Album = frame["album"]
    return album


def missing_is_404(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer 404 where a verb says that there is no such thing, or that it is not the user's to see."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refused:
            if refused.reason in ("not_found", "forbidden"):
                raise Http404(refused.detail) from None
            raise

    return wrapped


def picture_url(album: Album, photo: Photo, kind: str) -> str:
    """Return where the album serves a photo's `thumbnail`, `preview` or `original`."""
    version = f"?v={photo.photo_md5[:8]}" if photo.photo_md5 and kind != "original" else ""
    return f"/api/v1/albums/{album.pk}/photos/{photo.pk}/{kind}/{version}"
