"""What a backup says of albums, notes and drafts beyond what people can: when they were made, and items whose photos are away.

For `exports.restore`, in its transaction, after the verbs that make and change these things.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from catalog.albums import positions, values
from catalog.albums.albums import held_for_editing
from catalog.albums.items import MOST_ITEMS, NOTE, PHOTO, Target
from catalog.albums.refusals import Refused
from catalog.albums.shown import refresh
from catalog.albums.smart import refuse_if_smart
from catalog.entries.sql import update_rows
from catalog.models import Album, AlbumItem, Draft, Note
from catalog.models.album import album_item_id


class Times(NamedTuple):
    """When something was made and last changed; None leaves what is there."""

    created: datetime | None
    updated: datetime | None


class RestoredItem(NamedTuple):
    """An item as it was: what it shows, where it stood, when it was added and by whom."""

    target: Target
    position: str
    added_at: datetime
    added_by: Any


def keep_times(model: type[Album] | type[Note] | type[Draft], times: Mapping[UUID, Times]) -> None:
    """Let these things be of the times that a backup says, none of them in the future."""
    now = timezone.now()
    for number, column in enumerate(("created_at", "updated_at")):
        said = ((key, of_it[number]) for key, of_it in times.items())
        update_rows(
            model, [column], ({"id": key, column: min(moment, now)} for key, moment in said if moment is not None)
        )


def put_items(user: Any, album_id: UUID, wanted: Sequence[RestoredItem]) -> list[tuple[Target, Refused]]:
    """Put items into an album that `user` may edit, at their places, or move those that are there; return what may not be.

    Notes are the own ones of who added them. Photos may be away, or anybody's: an item shows a photo only to who may see
    it, which is decided whenever somebody looks (`AlbumItemQuerySet.shown_to`). Raises Refused for the album as a whole.
    """
    album = held_for_editing(user, album_id)
    if wanted:
        refuse_if_smart(album)
    refused: list[tuple[Target, Refused]] = []
    by_id = {album_item_id(album.pk, *one.target): one for one in wanted}
    there = AlbumItem.objects.filter(album=album).in_bulk(list(by_id))
    if len(by_id) > len(there) and AlbumItem.objects.filter(album=album).count() + len(by_id) - len(there) > MOST_ITEMS:
        raise Refused("too_many", f"An album holds {MOST_ITEMS:,} items at most. Nothing was changed.")
    notes = [one.target.id for one in by_id.values() if one.target.type == NOTE]
    owners = dict(Note.objects.filter(pk__in=notes, trashed_at=None).values_list("pk", "owner")) if notes else {}
    new, now = [], timezone.now()
    for key, one in by_id.items():
        if not positions.is_key(one.position):
            refused.append((one.target, values.invalid("position", "The item's place is none that an album knows.")))
        elif one.target.type == NOTE and owners.get(one.target.id) != getattr(one.added_by, "pk", None):
            refused.append(
                (one.target, Refused("missing_ref", "There is no such note of who added it.", field="targetId"))
            )
        elif key in there:
            AlbumItem.objects.filter(pk=key).update(position=one.position, trashed_at=None)
        else:
            new.append(_item(album, key, one, now))
    AlbumItem.objects.bulk_create(new, batch_size=500)
    left = {target for target, _ in refused}
    kept = [one.target for one in by_id.values() if one.target not in left]
    refresh(
        album.pk,
        photos=[target.id for target in kept if target.type == PHOTO],
        notes=[target.id for target in kept if target.type == NOTE],
    )
    return refused


def _item(album: Album, key: UUID, one: RestoredItem, now: datetime) -> AlbumItem:
    return AlbumItem(
        pk=key,
        album=album,
        target_type=one.target.type,
        photo_id=one.target.id if one.target.type == PHOTO else None,
        note_id=one.target.id if one.target.type == NOTE else None,
        position=one.position,
        added_at=min(one.added_at, now),
        added_by=one.added_by,
    )


def rename_photo(user: Any, old: UUID, new: UUID) -> int:
    """Let what `user` owns name the photo `new` where it names `old`, which is the same photo on another server.

    Items keep their places. Returns how many things were changed.
    """
    changed = 0
    items = (
        AlbumItem.objects.live().filter(photo=old, album__owner=user, album__trashed_at=None).order_by("album", "pk")
    )
    for item in list(items.select_related("album", "added_by")):
        restored = RestoredItem(Target(PHOTO, new), item.position, item.added_at, item.added_by)
        if not put_items(user, item.album_id, [restored]):
            AlbumItem.objects.filter(pk=item.pk).update(trashed_at=timezone.now())
            Album.objects.filter(pk=item.album_id, cover=old).update(cover=new)
            changed += 1
    return changed


def refresh_photos(user: Any, photo_ids: Collection[UUID]) -> None:
    """Tell the members of the user's albums of photos that are there now. Call it in a transaction."""
    held = AlbumItem.objects.live().filter(photo__in=photo_ids, album__owner=user).order_by("album", "pk")
    by_album: dict[UUID, set[UUID]] = defaultdict(set)
    for album_id, photo_id in held.values_list("album", "photo"):
        by_album[album_id].add(photo_id)
    for album_id, photos in by_album.items():
        refresh(album_id, photos=photos)
