"""The places of items in an album: keys between neighbours, and new ones for all where there is no room."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from catalog.albums import positions
from catalog.albums.refusals import not_found
from catalog.models import Album, AlbumItem
from changes import fields as field_states

_BATCH = 500


def place(user: Any, items: Sequence[AlbumItem], keys: Sequence[str]) -> None:
    """Give `items` of a locked album these keys, and number the change of those that had others."""
    placed = []
    for item, key in zip(items, keys, strict=True):
        if item.position != key:
            item.position = key
            placed.append(item)
    AlbumItem.objects.bulk_update(placed, ["position"], batch_size=_BATCH)
    field_states.touched("albumItem", [item.pk for item in placed], ["position"], user=user.pk)


def keys_after(
    album: Album, after: UUID | None, count: int, *, is_first: bool = False, leaving: Sequence[UUID] = ()
) -> list[str]:
    """Return keys for `count` items after the item `after` (None: at the end, or before all with `is_first`).

    Neighbours in the trash count: they may come back. Where there is no room, all items get new keys first.
    """
    others = AlbumItem.objects.filter(album=album).exclude(pk__in=leaving).order_by("position", "pk")
    for attempt in range(2):
        before, following = _neighbours(others, after, is_first=is_first)
        if not following or before < following:
            keys = positions.many_between(before, following, count)
            if attempt or all(len(key) <= positions.TOO_LONG for key in keys):
                return keys
        if not attempt:
            rebalance(album)
    raise AssertionError("Keys that were just spread have room between them.")


def _neighbours(others: Any, after: UUID | None, *, is_first: bool) -> tuple[str, str]:
    """Return the keys between which something is to be placed; empty texts for the ends."""
    if after is None:
        edge = (others if is_first else others.reverse()).values_list("position", flat=True).first() or ""
        return ("", edge) if is_first else (edge, "")
    here = others.filter(pk=after, trashed_at=None).values_list("position", flat=True).first()
    if here is None:
        raise not_found("item in this album")
    following = others.filter(position__gte=here).exclude(position=here, pk__lte=after)
    return here, following.values_list("position", flat=True).first() or ""


def rebalance(album: Album) -> None:
    """Give all items of a locked album new short keys, in the order that they have."""
    items = list(AlbumItem.objects.filter(album=album).order_by("position", "pk"))
    for item, key in zip(items, positions.spread(len(items)), strict=True):
        item.position = key
    AlbumItem.objects.bulk_update(items, ["position"], batch_size=_BATCH)
