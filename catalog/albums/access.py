"""What somebody sees in an album: asked with each request, so that what ends, ends with the next one."""

from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from catalog.albums.albums import visible
from catalog.albums.refusals import Refused, not_found
from catalog.models import Album, AlbumItem, Attachment, Library, Media, Membership, Note, Photo


def items_of(user: Any, album_id: UUID, *, trashed: bool = False) -> QuerySet[AlbumItem]:
    """Return what `user` sees in an album, without an order: nothing if they do not see the album. No query.

    With `trashed`: what they would see if it had not been removed.
    """
    return _items(user, trashed=trashed).filter(album=album_id)


def photos_in(user: Any, album_id: UUID) -> QuerySet[Photo]:
    """Return the photos that `user` sees in the album: its items, and what is attached to its notes. No query."""
    items = items_of(user, album_id)
    notes = items.filter(target_type=AlbumItem.TargetType.NOTE).values("note")
    editors = Membership.objects.filter(library=OuterRef("photo__library"), role=Membership.Role.EDITOR)
    attached = Attachment.objects.filter(note__in=notes).filter(
        Q(photo__library__in=Library.objects.visible_to(user).values("pk"))
        | Q(photo__library__owner=F("note__owner"))
        | Q(Exists(editors.filter(user=OuterRef("note__owner"))))
    )
    seen = Q(Exists(items.filter(photo=OuterRef("pk")))) | Q(Exists(attached.filter(photo=OuterRef("pk"))))
    return Photo.objects.filter(seen, is_shown=True)


def check_original(user: Any, album_id: UUID, photo_id: UUID) -> None:
    """Raise Refused unless `user`, who sees the photo in the album, may have the file itself.

    So may all members if the album's owner allows it, and whoever sees the photo in its library.
    """
    album = visible(user, album_id)
    if not album.allows_originals and not Photo.objects.visible_to(user).filter(pk=photo_id).exists():
        raise Refused(
            "permission_denied", "The owner of this album shares pictures to look at, not the original files."
        )


def note_seen_by(user: Any, note_id: UUID) -> Note:
    """Return a note that is the user's own, or that an album shows them. Raises Refused("not_found")."""
    through_album = _items(user).filter(note=note_id).values("note")
    note = Note.objects.filter(Q(owner=user) | Q(pk__in=through_album), pk=note_id, trashed_at=None).first()
    if note is None:
        raise not_found("note")
    return note


def media_seen_by(user: Any, note_id: UUID, md5: str) -> Media:
    """Return a file that is attached to a note which `user` sees. Raises Refused("not_found")."""
    note = note_seen_by(user, note_id)
    media = Media.objects.filter(attached_to__note=note, md5=md5).first()
    if media is None:
        raise not_found("file")
    return media


def _items(user: Any, *, trashed: bool = False) -> QuerySet[AlbumItem]:
    return AlbumItem.objects.shown_to(user, trashed=trashed).filter(
        album__in=Album.objects.visible_to(user).values("pk")
    )
