"""What the cards and heads of albums show: how much is in them, and their first pictures. Reads only."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from catalog.albums import access
from catalog.models import Album, AlbumItem, Photo

COVERS = 4


def counts_of(user: Any, albums: Sequence[Album]) -> dict[UUID, dict[str, int]]:
    """Return for each album how many `photos` and `notes` `user`, who sees it, sees in it. One query for all."""
    photo, note = (Count("pk", filter=Q(target_type=kind)) for kind in AlbumItem.TargetType.values)
    items = AlbumItem.objects.shown_to(user).filter(album__in=[album.pk for album in albums]).order_by()
    rows = items.values("album").annotate(photos=photo, notes=note).values_list("album", "photos", "notes")
    found = {album: {"photos": photos, "notes": notes} for album, photos, notes in rows}
    return {album.pk: found.get(album.pk, {"photos": 0, "notes": 0}) for album in albums}


def covers_of(user: Any, album: Album) -> list[Photo]:
    """Return the album's cover, if one was chosen, and its first photos: at most four. Two queries."""
    items = access.items_of(user, album.pk).filter(photo__has_thumbnail=True).select_related("photo")
    chosen = items.filter(photo=album.cover_id)[:1] if album.cover_id else []
    first = items.order_by("position", "pk")[:COVERS]
    photos = {item.photo_id: item.photo for item in (*chosen, *first) if item.photo is not None}
    return list(photos.values())[:COVERS]
