"""Which photos and notes the devices of an album's members get with it: those that are granted to all of them.

Kept in step by the verbs that change it, in their transactions; what somebody asks for is decided anew (`access`).
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from catalog.models import AlbumItem, Attachment, Library, Membership, Note
from changes import shown, types
from changes.models import Shown

PHOTO, NOTE = AlbumItem.TargetType.PHOTO, AlbumItem.TargetType.NOTE


def refresh(album_id: UUID, photos: Collection[UUID] | None = None, notes: Collection[UUID] | None = None) -> None:
    """Show what is granted of these photos and notes (of all, if none are named) in the album, and hide the rest."""
    is_all = photos is None and notes is None
    held = AlbumItem.objects.filter(album=album_id).granted().order_by()
    scope = types.scope_name("album", album_id)
    granted = held.filter(note__isnull=False)
    if notes is not None:
        granted = granted.filter(note__in=notes)
    if is_all or notes:
        kept = set(granted.values_list("note", flat=True))
        before = set(notes) if notes is not None else _shown(scope, NOTE)
        _set(scope, NOTE, kept, before - kept)
    attached = None if is_all else set(_attached_to(notes or ()).values_list("photo", flat=True))
    wanted = None if attached is None else attached | set(photos or ())
    if wanted is None or wanted:
        kept = _granted_photos(held, wanted)
        _set(scope, PHOTO, kept, (_shown(scope, PHOTO) if wanted is None else wanted) - kept)


def refresh_note(note: Note) -> None:
    """Do so in all albums that hold the note, whose attachments were changed."""
    for album_id in AlbumItem.objects.live().filter(note=note).values_list("album", flat=True):
        refresh(album_id)


def refresh_library(library: Library, user: Any) -> None:
    """Do so where `user` shares photos of the library: they may do so from now on, or no longer. Call it in a transaction."""
    held = AlbumItem.objects.live().filter(photo__library=library).filter(Q(added_by=user) | Q(album__owner=user))
    by_album: dict[UUID, set[UUID]] = defaultdict(set)
    for album_id, photo_id in held.order_by().values_list("album", "photo"):
        by_album[album_id].add(photo_id)
    attached = Attachment.objects.filter(note__owner=user, photo__library=library).values("note")
    for album_id in AlbumItem.objects.live().filter(note__in=attached).values_list("album", flat=True).distinct():
        by_album[album_id] |= set()
    for album_id, photos in sorted(by_album.items()):
        refresh(album_id, photos=photos) if photos else refresh(album_id)


def _granted_photos(held: Any, among: Collection[UUID] | None) -> set[UUID]:
    """Return the photos that are granted as items, or as attachments of notes that are."""
    items = held.filter(photo__isnull=False)
    editors = Membership.objects.filter(library=OuterRef("photo__library"), role=Membership.Role.EDITOR)
    attached = _attached_to(held.filter(note__isnull=False).values("note")).filter(
        Q(photo__library__owner=F("note__owner")) | Q(Exists(editors.filter(user=OuterRef("note__owner"))))
    )
    if among is not None:
        items, attached = items.filter(photo__in=among), attached.filter(photo__in=among)
    return {*items.values_list("photo", flat=True), *attached.values_list("photo", flat=True)}


def _attached_to(notes: Any) -> Any:
    return Attachment.objects.filter(note__in=notes, photo__isnull=False).order_by()


def _shown(scope: str, kind: str) -> set[UUID]:
    return set(Shown.objects.filter(scope=scope, kind=kind).values_list("object_id", flat=True))


def _set(scope: str, kind: str, kept: set[UUID], gone: set[UUID]) -> None:
    known = [one for one in types.shown_kinds_of(scope) if one.name == kind]
    if known:
        shown.show(scope, kind, kept)
        shown.hide(scope, kind, gone)
