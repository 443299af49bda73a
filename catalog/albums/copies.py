"""A photo goes whose equal stays: that one takes its places in albums, covers, notes and drafts, and can give them back.

Nothing of the photo that goes is taken from it: what it has comes back with it. Each verb is to be called in a transaction
in which the photos are locked.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from catalog.albums.shown import refresh, refresh_note
from catalog.models import Album, AlbumItem, Attachment, Draft, Membership, Note, Photo
from catalog.models.album import album_item_id

PHOTO = AlbumItem.TargetType.PHOTO
Taken = dict[str, list[str]]
"""What was taken from one photo, by ids: `notes`, `drafts`, `items` (new ones), `back` (had been removed), `covers`."""


def take_places(kept: Photo, gone: Collection[UUID]) -> dict[UUID, Taken]:
    """Let albums, notes and drafts that hold one of `gone` hold `kept`, too, or instead; return what came from which.

    In an album it gets the same place, as added by the same person: who may see it there is decided as ever. A note holds it
    instead only if its writer may see it. Where `kept` is already, nothing changes.
    """
    taken: dict[UUID, Taken] = defaultdict(dict)
    _lead_texts(kept, gone, taken)
    of_these = Q(items__photo__in=gone, items__trashed_at=None) | Q(cover__in=gone)
    found = list(Album.objects.filter(of_these).order_by().values_list("pk", flat=True).distinct())
    albums = {album.pk: album for album in _held(found)}
    items = AlbumItem.objects.live().filter(photo__in=gone, album__in=albums).order_by("album", "position", "pk")
    _take_items(kept, list(items), taken)
    for album in albums.values():
        if album.cover_id in gone:
            Album.objects.filter(pk=album.pk).update(cover=kept)
            _note(taken, album.cover_id, "covers", album.pk)
        refresh(album.pk, photos=[kept.pk])
    return dict(taken)


def give_places_back(kept: UUID, to: UUID, taken: Mapping[str, list[str]]) -> None:
    """Undo what `take_places` returned for the photo `to`, where it is still so."""
    for note in Note.objects.select_for_update().filter(pk__in=taken.get("notes", [])).order_by("pk"):
        _lead_note(note, kept, to)
    for draft in Draft.objects.select_for_update().filter(pk__in=taken.get("drafts", [])).order_by("pk"):
        _lead_draft(draft, kept, to)
    items = AlbumItem.objects.filter(photo=kept)
    ids = [*taken.get("items", []), *taken.get("back", [])]
    concerned = set(items.filter(pk__in=ids).values_list("album", flat=True))
    albums = _held([*concerned, *taken.get("covers", [])])
    items.filter(pk__in=taken.get("items", [])).delete()
    for item in items.filter(pk__in=taken.get("back", []), trashed_at=None):
        AlbumItem.objects.filter(pk=item.pk).update(trashed_at=timezone.now())
    Album.objects.filter(pk__in=taken.get("covers", []), cover=kept).update(cover=to)
    for album in albums:
        refresh(album.pk, photos=[kept, to])


def _held(keys: Iterable[Any]) -> list[Album]:
    return list(Album.objects.select_for_update(of=("self",)).filter(pk__in=list(keys)).order_by("pk"))


def _note(taken: dict[UUID, Taken], gone: UUID | None, what: str, key: UUID) -> None:
    assert gone is not None
    taken[gone].setdefault(what, []).append(str(key))


def _take_items(kept: Photo, items: list[AlbumItem], taken: dict[UUID, Taken]) -> None:
    there = AlbumItem.objects.in_bulk([album_item_id(item.album_id, PHOTO, kept.pk) for item in items])
    made: dict[UUID, AlbumItem] = {}
    for item in items:
        key = album_item_id(item.album_id, PHOTO, kept.pk)
        own = there.get(key)
        place = {"position": item.position, "added_at": item.added_at, "added_by_id": item.added_by_id}
        if own is None:
            own = there[key] = made[key] = AlbumItem(
                pk=key, album_id=item.album_id, target_type=PHOTO, photo=kept, **place
            )
            _note(taken, item.photo_id, "items", key)
        elif own.trashed_at is not None:
            own.trashed_at = None
            AlbumItem.objects.filter(pk=key).update(trashed_at=None, **place)
            _note(taken, item.photo_id, "back", key)
    AlbumItem.objects.bulk_create(made.values())


def _lead_texts(kept: Photo, gone: Collection[UUID], taken: dict[UUID, Taken]) -> None:
    """Let notes and drafts hold `kept` instead, if whoever wrote them may see it and it is not in them."""
    library = kept.library
    seers = {library.owner_id, *Membership.objects.filter(library=library).values_list("user", flat=True)}
    holds = Attachment.objects.filter(photo__in=gone).order_by("photo", "pk")
    found = list(holds.values_list("photo", "note", "draft"))
    leading: tuple[tuple[str, Any, Callable[[Any, UUID, UUID], bool]], ...] = (
        ("notes", {key: gone_id for gone_id, key, _ in found if key}, _lead_note),
        ("drafts", {key: gone_id for gone_id, _, key in found if key}, _lead_draft),
    )
    for what, of, lead in leading:
        model: Any = Note if what == "notes" else Draft
        for text in model.objects.select_for_update().filter(pk__in=list(of), owner__in=seers).order_by("pk"):
            if lead(text, of[text.pk], kept.pk):
                _note(taken, of[text.pk], what, text.pk)


def _lead_note(note: Note, old: UUID, new: UUID) -> bool:
    held = [one.get("photo") for one in note.attachments]
    if str(old) not in held or str(new) in held:
        return False
    Note.objects.filter(pk=note.pk).update(attachments=[_led(one, old, new) for one in note.attachments])
    Attachment.objects.filter(note=note, photo=old).update(photo=new)
    refresh_note(note, photos=[old, new])
    return True


def _lead_draft(draft: Draft, old: UUID, new: UUID) -> bool:
    held = [(block.get("attachment") or {}).get("photo") for block in draft.blocks]
    if str(old) not in held or str(new) in held:
        return False
    blocks = [{**block, "attachment": _led(block.get("attachment"), old, new)} for block in draft.blocks]
    Draft.objects.filter(pk=draft.pk).update(blocks=blocks)
    Attachment.objects.filter(draft=draft, photo=old).update(photo=new)
    return True


def _led(attachment: Any, old: UUID, new: UUID) -> Any:
    return {"photo": str(new)} if attachment == {"photo": str(old)} else attachment
