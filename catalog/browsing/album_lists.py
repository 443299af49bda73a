"""Reads of albums: which a user sees, with counts and covers, and what is in one, page by page."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, DateTimeField, F, OuterRef, QuerySet, Subquery, UUIDField, Value, When
from django.db.models.functions import Coalesce

from catalog.albums import access
from catalog.models import Album, AlbumItem, AlbumMember, Photo
from photolala.web.keyset import Page, after, cut, decode_cursor, paginate, read_limit

NEWEST_FIRST = ("-created_at", "id")
ORDERS = {
    Album.Order.MANUAL: ("position", "id"),
    Album.Order.ADDED: ("added_at", "id"),
    Album.Order.TAKEN_ASC: ("taken_local", "id"),
    Album.Order.TAKEN_DESC: ("-taken_local", "id"),
}


def albums_of(user: Any, *, trashed: bool = False) -> QuerySet[Album]:
    """Return the albums that `user` sees (or has in the trash), each with what `described` adds. No query."""
    albums = Album.objects.in_trash_of(user) if trashed else Album.objects.visible_to(user)
    return described(albums, user)


def described(albums: QuerySet[Album], user: Any) -> QuerySet[Album]:
    """Add `role` (owner, editor, viewer), `item_count`, `member_count`, and `cover_photo`: the cover, or the first photo."""
    of_album = AlbumItem.objects.shown_to(user).filter(album=OuterRef("pk")).order_by()
    counted = of_album.values("album").annotate(count=Count("*")).values("count")
    pictures = of_album.filter(photo__isnull=False)
    cover = pictures.filter(photo=OuterRef("cover")).values("photo")[:1]
    first = pictures.order_by("position", "pk").values("photo")[:1]
    memberships = AlbumMember.objects.filter(album=OuterRef("pk")).order_by()
    members = memberships.values("album").annotate(count=Count("*")).values("count")
    own = memberships.filter(user=user).values("role")[:1]
    return albums.select_related("owner").annotate(
        role=Case(When(owner=user, then=Value("owner")), default=Subquery(own)),
        item_count=Coalesce(Subquery(counted), 0),
        member_count=Coalesce(Subquery(members), 0),
        cover_photo=Coalesce(Subquery(cover), Subquery(first), output_field=UUIDField()),
    )


def album_page(user: Any, params: Mapping[str, str], *, trashed: bool = False) -> Page:
    """Return a page of the user's albums, the newest first. One query. Raises BadRequest."""
    return paginate(albums_of(user, trashed=trashed), NEWEST_FIRST, params)


def item_page(user: Any, album: Album, params: Mapping[str, str], *, trashed: bool = False) -> Page:
    """Return a page of what `user` sees in the album, in the album's order, with photo, note and who added it. One query.

    With `trashed`: what was removed from it and can be brought back, as far as the user would see it. Raises BadRequest.
    """
    return _page(access.items_of(user, album.pk, trashed=trashed), ORDERS[Album.Order(album.order)], params)


def _page(items: QuerySet[AlbumItem], order: tuple[str, ...], params: Mapping[str, str]) -> Page:
    items = items.select_related("photo", "note__owner", "added_by")
    if order[0] in ("position", "added_at"):
        return paginate(items, order, params)
    local = Coalesce("photo__taken_local", "note__noted_local", F("added_at"), output_field=DateTimeField())
    items = items.annotate(taken_local=local)
    if params.get("cursor"):
        # Photos have both columns of this order, so that the cursor's values are read as theirs are.
        items = items.filter(after(order, decode_cursor(params["cursor"], Photo, order)))
    limit = read_limit(params)
    return cut(list(items.order_by(*order)[: limit + 1]), order, limit)


def neighbours(user: Any, album: Album, item_id: UUID) -> tuple[UUID | None, UUID | None]:
    """Return the items before and after one in the album's order, as far as `user` sees them; for turning pages."""
    order = ORDERS[Album.Order(album.order)]
    local = Coalesce("photo__taken_local", "note__noted_local", F("added_at"), output_field=DateTimeField())
    items = access.items_of(user, album.pk).annotate(taken_local=local)
    here = items.filter(pk=item_id).values(*(name.lstrip("-") for name in order)).first()
    if here is None:
        return None, None
    values = [here[name.lstrip("-")] for name in order]
    back = tuple(name[1:] if name.startswith("-") else f"-{name}" for name in order)
    before = items.filter(after(back, values)).order_by(*back).values_list("pk", flat=True).first()
    following = items.filter(after(order, values)).order_by(*order).values_list("pk", flat=True).first()
    return before, following
