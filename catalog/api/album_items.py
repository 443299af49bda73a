"""What is in an album: list, add, place, remove, bring back."""

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import access, items
from catalog.browsing import album_lists
from catalog.models import AlbumItem
from catalog.models.album import album_item_id
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.keyset import envelope
from photolala.web.parameters import check_parameters
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made

from .album_json import AlbumItemBody, AlbumItemPage, item_json
from .albums import TRASHED, is_trashed, visible_album
from .refusals import told

POSITION = r"^[0-9A-Za-z]{0,199}[1-9A-Za-z]\Z"


class TargetBody(RequestBody):
    """A photo or note."""

    target_type = serializers.ChoiceField(AlbumItem.TargetType.choices)
    target_id = serializers.UUIDField()


class NewItems(RequestBody):
    """What shall be in the album."""

    items = serializers.ListField(child=TargetBody(), allow_empty=False, max_length=items.MOST_AT_ONCE)
    after = serializers.UUIDField(
        required=False, allow_null=True, help_text="The item to put them after; else they come last."
    )


class ItemIds(RequestBody):
    """Which items."""

    item_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=items.MOST_AT_ONCE)


class ItemsMove(ItemIds):
    """Which items go where."""

    after = serializers.UUIDField(allow_null=True, help_text="The item to put them after; null: before all others.")


class NewItem(TargetBody):
    """One item, as devices make it."""

    id = serializers.UUIDField(
        required=False, help_text="If given: the UUIDv5 of the album's id and `target_type:target_id`."
    )
    album = serializers.UUIDField()
    position = serializers.RegexField(
        POSITION, max_length=200, required=False, help_text="A fractional key; else it comes last."
    )


class ItemChange(RequestBody):
    """Where it shall be."""

    position = serializers.RegexField(POSITION, max_length=200, required=False)


class AddedBody(BulkBody):
    """What is in the album now, and why the rest is not."""

    items = AlbumItemBody(many=True)


class Items(ApiView):
    """What is in it."""

    @documented(
        "albums_items",
        "What one sees in the album, in its order.",
        {200: AlbumItemPage},
        errors=(400, 401, 404),
        parameters=[TRASHED, *PAGE_PARAMETERS],
    )
    def get(self, request: Request, album_id: UUID) -> Response:
        """Return a page."""
        params = request.query_params
        check_parameters(params, {"limit", "cursor", "trashed"})
        album = visible_album(request, album_id)
        page = album_lists.item_page(request.user, album, params, trashed=is_trashed(params))
        return Response(envelope(page, [item_json(row) for row in page.rows], request))

    @documented(
        "albums_add_items",
        f"Put up to {items.MOST_AT_ONCE:,} photos and notes into the album. For owner and editors. A shared album takes photos "
        "of libraries that one owns or edits, and notes of one's own; what it does not take is named in `errors`.",
        {200: AddedBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=NewItems,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Add them; what is there already stays where it is."""
        visible_album(request, album_id)
        body = NewItems(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        targets = [items.Target(one["target_type"], one["target_id"]) for one in said["items"]]
        with told():
            added = items.add(request.user, album_id, targets, after=said.get("after"))
        errors = [{"id": str(target.id), "error": refused.detail} for target, refused in added.errors]
        return Response(bulk_answer(len(added.items), errors, items=_loaded(request, added.items)))


class ItemsPlace(ApiView):
    """Another order."""

    @documented(
        "albums_move_items",
        "Place items, in the order in which they are named, after another one. For owner and editors.",
        {200: AddedBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ItemsMove,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Place them."""
        visible_album(request, album_id)
        body = ItemsMove(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            moved = items.move(request.user, album_id, body.validated_data["item_ids"], body.validated_data["after"])
        return Response(bulk_answer(len(moved), items=_loaded(request, moved)))


class ItemsRemove(ApiView):
    """Out of the album."""

    @documented(
        "albums_remove_items",
        "Take items out of the album; they can be brought back for 30 days. For owner and editors.",
        {200: BulkBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ItemIds,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Remove them."""
        return _done(request, album_id, items.remove)


class ItemsRestore(ApiView):
    """Into it again."""

    @documented(
        "albums_restore_items",
        "Bring removed items back to their places. For owner and editors.",
        {200: BulkBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ItemIds,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Bring them back."""
        return _done(request, album_id, items.restore)


class ItemList(ApiView):
    """Items as devices make them."""

    @documented(
        "album_items_create",
        "Put one thing into an album, with the id and the position that a device gave it while offline.",
        {201: AlbumItemBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=NewItem,
    )
    def post(self, request: Request) -> Response:
        """Add it."""
        body = NewItem(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        target = items.Target(said["target_type"], said["target_id"])
        fields = {"albumId": said["album"], "targetType": target.type, "targetId": target.id}
        if "position" in said:
            fields["position"] = said["position"]
        with told():
            key = said.get("id") or album_item_id(said["album"], *target)
            item = items.create(request.user, key, fields)
        return made(_loaded(request, [item])[0], "album-item", item.pk)


class ItemDetail(ApiView):
    """One item."""

    @documented("album_items_retrieve", "One item.", {200: AlbumItemBody}, errors=(401, 404))
    def get(self, request: Request, item_id: UUID) -> Response:
        """Return it."""
        return Response(item_json(_item(request, item_id)))

    @documented(
        "album_items_update",
        "Place it. For the album's owner and editors.",
        {200: AlbumItemBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ItemChange,
    )
    def patch(self, request: Request, item_id: UUID) -> Response:
        """Place it."""
        _item(request, item_id)
        body = ItemChange(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            item = items.patch(request.user, item_id, body.validated_data)
        return Response(_loaded(request, [item])[0])

    @documented(
        "album_items_delete",
        "Take it out of the album. For the album's owner and editors.",
        {204: "It can be brought back for 30 days."},
        errors=(401, 403, 404),
    )
    def delete(self, request: Request, item_id: UUID) -> Response:
        """Remove it."""
        with told():
            items.delete(request.user, item_id)
        return Response(status=204)


def _done(request: Request, album_id: UUID, verb: Any) -> Response:
    visible_album(request, album_id)
    body = ItemIds(data=request.data)
    body.is_valid(raise_exception=True)
    with told():
        return Response(bulk_answer(verb(request.user, album_id, body.validated_data["item_ids"])))


def _item(request: Request, item_id: UUID) -> AlbumItem:
    found = AlbumItem.objects.filter(pk=item_id).values_list("album", flat=True).first()
    rows = access.items_of(request.user, found).filter(pk=item_id) if found else AlbumItem.objects.none()
    item = rows.select_related("photo", "note__owner", "added_by").first()
    if item is None:
        raise Http404
    return item


def _loaded(request: Request, rows: list[AlbumItem]) -> list[dict[str, Any]]:
    """Return items as they are now; of a photo or note that one does not see in the album, nothing but that it is there."""
    keys = [row.pk for row in rows]
    found = AlbumItem.objects.select_related("photo", "note__owner", "added_by").in_bulk(keys)
    seen = set(AlbumItem.objects.filter(pk__in=keys).shown_to(request.user).values_list("pk", flat=True))
    return [
        item_json(found[key]) | ({} if key in seen else {"photo": None, "note": None}) for key in keys if key in found
    ]
