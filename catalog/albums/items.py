"""What is in an album: add, place, remove, bring back.

Rows are locked in the order of `catalog.entries.row_locks`: photos, then the album; its lock orders all who place items in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.albums import positions, values
from catalog.albums.albums import drop_cover, held_for_editing, held_of_owner, is_shared
from catalog.albums.item_places import keys_after, place
from catalog.albums.refusals import Refused, not_found
from catalog.albums.shown import refresh
from catalog.albums.smart import refuse_if_smart
from catalog.entries.row_locks import hold_photos
from catalog.models import Album, AlbumItem, Note, Photo
from catalog.models.album import album_item_id
from operations.database_conflicts import retried_on_conflict

MOST_AT_ONCE = 1_000
MOST_ITEMS = 100_000
_BATCH = 500
PHOTO, NOTE = AlbumItem.TargetType.PHOTO, AlbumItem.TargetType.NOTE


class Target(NamedTuple):
    """What is put into an album."""

    type: str
    id: UUID


@dataclass
class Added:
    """The items that are in the album now, in the order of what was asked for, and why others are not."""

    items: list[AlbumItem] = field(default_factory=list)
    errors: list[tuple[Target, Refused]] = field(default_factory=list)


def _position(value: Any, name: str) -> str:
    if not isinstance(value, str) or not positions.is_key(value):
        raise values.invalid(
            name, f"{name} must be 1 to {positions.LONGEST} digits and letters (base 62) that do not end with 0."
        )
    return value


READERS: dict[str, values.Reader] = {
    "albumId": values.key,
    "targetType": values.choice(list(AlbumItem.TargetType.values)),
    "targetId": values.key,
    "position": _position,
}


# -- for the sync server: one item, by the fields of its kind -------------------------------------------------------------


def create(user: Any, item_id: UUID, fields: Mapping[str, Any]) -> AlbumItem:
    """Add one thing to an album; `item_id` follows from both. Without a `position` it comes last. Raises Refused.

    What is in the album already stays where it is; what was removed comes back.
    """
    given = values.read(fields, READERS)
    for name in ("albumId", "targetType", "targetId"):
        if name not in given:
            raise values.invalid(name, f"An album item needs {name}.")
    target = Target(given["targetType"], given["targetId"])
    if item_id != album_item_id(given["albumId"], *target):
        raise values.invalid("id", "The id of an album item is the UUIDv5 of the album's id and `targetType:targetId`.")
    added = add(user, given["albumId"], [target], position=given.get("position", ""))
    for _, refused in added.errors:
        raise refused
    return added.items[0]


def patch(user: Any, item_id: UUID, fields: Mapping[str, Any]) -> AlbumItem:
    """Place one item anew, also in an album of one's own in the trash, which may come back. Raises Refused."""
    if not set(fields) <= {"position"}:
        raise values.invalid(
            sorted(set(fields) - {"position"})[0], "Of an album item only its position can be changed."
        )
    with transaction.atomic():
        item, _ = _held_item(user, item_id, in_deleted_album=True)
        if "position" in fields:
            place(user, [item], [_position(fields["position"], "position")])
    return item


def delete(user: Any, item_id: UUID) -> AlbumItem:
    """Remove one item from its album, also from one's own in the trash; it can be brought back for 30 days. Raises Refused."""
    with transaction.atomic():
        item, album = _held_item(user, item_id, is_trashed=None, in_deleted_album=True)
        if item.trashed_at is None:
            _trash(album, [item])
    return item


def bring_back(user: Any, item_id: UUID) -> AlbumItem:
    """Bring one removed item back to the place that it had. Raises Refused."""
    with transaction.atomic():
        item, album = _held_item(user, item_id, is_trashed=None)
        if item.trashed_at is not None:
            _update([item], trashed_at=None)
            _refresh(album, [item])
    return item


# -- for people: many at once --------------------------------------------------------------------------------------------


@retried_on_conflict
def add(
    user: Any, album_id: UUID, targets: Sequence[Target], *, after: UUID | None = None, position: str = ""
) -> Added:
    """Add photos and notes to an album, in this order: after the item `after`, at `position`, else at the end.

    What is there already stays where it is. A photo must be one that `user` sees, and, if the album is shared, of a library
    that they own or edit; a note must be their own. What may not be added is named in `errors`, and the rest is added. One
    transaction. Raises Refused where nothing can be.
    """
    wanted = list(dict.fromkeys(targets))
    if len(wanted) > MOST_AT_ONCE:
        raise Refused("too_many", f"At most {MOST_AT_ONCE:,} things can be added at once. Nothing was changed.")
    with transaction.atomic():
        hold_photos(target.id for target in wanted if target.type == PHOTO)
        album = held_for_editing(user, album_id)
        refuse_if_smart(album)
        added = Added()
        allowed = _allowed(user, wanted, is_shared=album.owner_id != user.pk or is_shared(album))
        for target in wanted:
            if target not in allowed:
                added.errors.append((target, _not_to_be_added(target)))
        ids = {album_item_id(album.pk, *target): target for target in wanted if target in allowed}
        there = {item.pk: item for item in AlbumItem.objects.filter(pk__in=list(ids))}
        new = [item_id for item_id in ids if item_id not in there]
        if new and AlbumItem.objects.filter(album=album).count() + len(new) > MOST_ITEMS:
            raise Refused("too_many", f"An album holds {MOST_ITEMS:,} items at most. Nothing was changed.")
        keys = [position] * len(new) if position else keys_after(album, after, len(new))
        now = timezone.now()
        made = {item_id: _item(album, user, ids[item_id], key, now) for item_id, key in zip(new, keys, strict=True)}
        AlbumItem.objects.bulk_create(made.values())
        back = [item for item in there.values() if item.trashed_at is not None]
        _bring_back(back, user, position)
        _refresh(album, [*made.values(), *back])
        added.items = [there.get(item_id) or made[item_id] for item_id in ids]
    return added


@retried_on_conflict
def move(user: Any, album_id: UUID, item_ids: Sequence[UUID], after: UUID | None) -> list[AlbumItem]:
    """Place items of an album, in the order of `item_ids`, right after the item `after`, or before all others.

    Raises Refused, also if one of them is not in the album: a list that has changed meanwhile is to be loaded anew.
    """
    wanted = list(dict.fromkeys(item_ids))
    if len(wanted) > MOST_AT_ONCE:
        raise Refused("too_many", f"At most {MOST_AT_ONCE:,} items can be moved at once. Nothing was changed.")
    with transaction.atomic():
        album = held_for_editing(user, album_id)
        found = album.items.live().in_bulk(wanted)
        if len(found) < len(wanted):
            raise not_found("item in this album")
        if after in found:
            raise values.invalid("after", "An item cannot be placed after itself.")
        keys = keys_after(album, after, len(wanted), is_first=after is None, leaving=wanted)
        place(user, [found[item_id] for item_id in wanted], keys)
    return [found[item_id] for item_id in wanted]


@retried_on_conflict
def remove(user: Any, album_id: UUID, item_ids: Sequence[UUID]) -> int:
    """Remove items from an album; those that are not (any more) in it are left out. Returns how many."""
    with transaction.atomic():
        album = held_for_editing(user, album_id)
        items = list(album.items.live().filter(pk__in=item_ids).order_by("pk"))
        _trash(album, items)
    return len(items)


@retried_on_conflict
def restore(user: Any, album_id: UUID, item_ids: Sequence[UUID]) -> int:
    """Bring removed items back to the places that they had, with who had added them. Returns how many."""
    with transaction.atomic():
        album = held_for_editing(user, album_id)
        items = list(album.items.filter(pk__in=item_ids, trashed_at__isnull=False).order_by("pk"))
        _update(items, trashed_at=None)
        _refresh(album, items)
    return len(items)


# -- how ------------------------------------------------------------------------------------------------------------------


def _allowed(user: Any, targets: Iterable[Target], *, is_shared: bool) -> set[Target]:
    """Return those that `user` may put into an album. Two queries at most."""
    photo_ids = [target.id for target in targets if target.type == PHOTO]
    note_ids = [target.id for target in targets if target.type == NOTE]
    allowed: set[Target] = set()
    if photo_ids:
        own = Photo.objects.editable_by(user) if is_shared else Photo.objects.visible_to(user)
        found = own.filter(pk__in=photo_ids).order_by()
        allowed |= {Target(PHOTO, key) for key in found.values_list("pk", flat=True)}
    if note_ids:
        notes = Note.objects.of(user).filter(pk__in=note_ids).order_by()
        allowed |= {Target(NOTE, key) for key in notes.values_list("pk", flat=True)}
    return allowed


def _not_to_be_added(target: Target) -> Refused:
    """Return the same words for what is not there and what may not be shared: nobody learns which."""
    if target.type == PHOTO:
        sentence = (
            "There is no such photo, or none that you may share: a shared album takes photos of libraries that you own "
            "or edit."
        )
    else:
        sentence = "There is no such note, or it is not your own: an album takes notes of one's own only."
    return Refused("missing_ref", sentence, field="targetId")


def _item(album: Album, user: Any, target: Target, position: str, now: Any) -> AlbumItem:
    return AlbumItem(
        pk=album_item_id(album.pk, *target),
        album=album,
        target_type=target.type,
        photo_id=target.id if target.type == PHOTO else None,
        note_id=target.id if target.type == NOTE else None,
        position=position,
        added_at=now,
        added_by=user,
    )


def _bring_back(items: Sequence[AlbumItem], user: Any, position: str) -> None:
    """Let removed items be in the album again, as added by `user` now."""
    changed: dict[str, Any] = {"trashed_at": None, "added_by": user, "added_at": timezone.now()}
    _update(items, **changed, **({"position": position} if position else {}))


def _trash(album: Album, items: Sequence[AlbumItem]) -> None:
    _update(items, trashed_at=timezone.now())
    _refresh(album, items)
    drop_cover(album, {item.photo_id for item in items if item.photo_id is not None})


def _update(items: Sequence[AlbumItem], **changed: Any) -> None:
    if not items:
        return
    for item in items:
        for name, value in changed.items():
            setattr(item, name, value)
    AlbumItem.objects.filter(pk__in=[item.pk for item in items]).update(**changed)


def _refresh(album: Album, items: Sequence[AlbumItem]) -> None:
    """Let devices of the album's members see what is in it now."""
    photos = [item.photo_id for item in items if item.photo_id]
    refresh(album.pk, photos=photos, notes=[item.note_id for item in items if item.note_id])


def _held_item(
    user: Any, item_id: UUID, *, is_trashed: bool | None = False, in_deleted_album: bool = False
) -> tuple[AlbumItem, Album]:
    """Return an item and its album, both as they are while the album is locked. Raises Refused.

    `in_deleted_album`: also where the album is one that `user` owns, in the trash.
    """
    deleted = Album.objects.in_trash_of(user) if in_deleted_album else Album.objects.none()
    albums = Album.objects.visible_to(user) | deleted
    held = AlbumItem.objects.filter(pk=item_id, album__in=albums.values("pk")).values_list("album", "album__trashed_at")
    album_id, deleted_at = held.first() or (None, None)
    if album_id is None:
        raise not_found("album item")
    try:
        album = held_for_editing(user, album_id) if deleted_at is None else held_of_owner(user, album_id)
    except Refused as refused:
        raise (not_found("album item") if refused.reason == "not_found" else refused) from None
    item = AlbumItem.objects.filter(pk=item_id).first()
    if item is None or (is_trashed is False and item.trashed_at is not None):
        raise not_found("album item")
    return item, album
