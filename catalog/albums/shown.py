"""Which photos and notes the devices of an album's members get with it: those that are granted to all of them.

Kept in step by the verbs that change it, in their transactions; what somebody asks for is decided anew (`access`).
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from catalog.models import Album, AlbumItem, Attachment, Library, Membership, Note
from changes import shown, types
from changes.models import Shown

_MOST_NAMED = 5_000
"""Where more photos are concerned, all of the album are looked at: a statement names no more."""
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
    if wanted is not None and len(wanted) > _MOST_NAMED:
        wanted = None
    if wanted is None or wanted:
        kept = _granted_photos(held, wanted)
        _set(scope, PHOTO, kept, (_shown(scope, PHOTO) if wanted is None else wanted) - kept)


def refresh_note(note: Note, photos: Collection[UUID] = ()) -> None:
    """Do so in all albums that hold the note: it is in the trash or back, or holds others than `photos`, which it held.

    Locks the albums. Call it in the transaction that changes the note.
    """
    of_it = AlbumItem.objects.live().filter(note=note).values("album")
    held = Album.objects.filter(pk__in=of_it).select_for_update(of=("self",)).order_by("pk")
    for album_id in list(held.values_list("pk", flat=True)):
        refresh(album_id, photos=photos, notes=[note.pk])


def refresh_library(library: Library, user: Any) -> None:
    """Do so where `user` shares photos of the library: they may do so from now on, or no longer. Call it in a transaction."""
    live = AlbumItem.objects.live().order_by()
    held = live.filter(photo__library=library).filter(Q(added_by=user) | Q(album__owner=user))
    attached = live.filter(note__owner=user, note__held__photo__library=library)
    by_album: dict[UUID, set[UUID]] = defaultdict(set)
    for album_id, photo_id in held.values_list("album", "photo").union(
        attached.values_list("album", "note__held__photo")
    ):
        by_album[album_id].add(photo_id)
    for album_id, photos in sorted(by_album.items()):
        refresh(album_id, photos=photos)


def _granted_photos(held: Any, among: Collection[UUID] | None) -> set[UUID]:
    """Return the photos that are granted as items, or as attachments of notes that are, and are not in the trash."""
    items = held.filter(photo__isnull=False)
    editors = Membership.objects.filter(library=OuterRef("photo__library"), role=Membership.Role.EDITOR)
    attached = (
        _attached_to(held.filter(note__isnull=False).values("note"))
        .filter(note__trashed_at=None)
        .filter(Q(photo__library__owner=F("note__owner")) | Q(Exists(editors.filter(user=OuterRef("note__owner")))))
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
