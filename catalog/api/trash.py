"""The trash of a library: put photos in, look, bring back, empty."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.duplicates import keeping
from catalog.files import trash, trash_empty
from catalog.files.purge import CountDiffers
from catalog.models import TrashItem
from operations.api.idempotency import KEYED, begun_before, idempotent
from operations.api.operations import OperationBody, started
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import Conflict, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, page_body

from .found_libraries import find_changeable_library, find_own_library

ORDER = ("-trashed_at", "id")


class PhotosBody(RequestBody):
    """Which photos, and that it is meant."""

    photo_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=trash.MOST_AT_ONCE)
    confirm = serializers.IntegerField(
        min_value=1,
        max_value=trash.MOST_AT_ONCE,
        help_text="How many photos, so that nobody deletes more than they were shown.",
    )


class ItemsBody(RequestBody):
    """The ids of items in the trash."""

    item_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=trash.MOST_AT_ONCE)


class CountBody(RequestBody):
    """How many, so that nobody deletes more than they were shown."""

    count = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


@extend_schema_serializer(deprecate_fields=["count"])
class DoneBody(BulkBody):
    """To how many it was done."""

    count = serializers.IntegerField(help_text="The former name of `success_count`.")


class PlacedBody(serializers.Serializer[Any]):
    """Where a restored photo is now."""

    library = serializers.UUIDField()
    id = serializers.UUIDField(help_text="For `trash/restore/`.")


@extend_schema_serializer(deprecate_fields=["count"])
class TrashedBody(DoneBody):
    """What went into the trash."""

    items = PlacedBody(many=True)


class TrashBody(serializers.Serializer[Any]):
    """A deleted photo in the trash."""

    id = serializers.UUIDField()
    photo = serializers.UUIDField(allow_null=True)
    path = serializers.CharField(help_text="Where it lay.")
    size_bytes = serializers.IntegerField()
    state = serializers.ChoiceField(TrashItem.State.choices)
    trashed_at = serializers.DateTimeField()


TrashPage = page_body("TrashPage", TrashBody)


class PhotoTrash(ApiView):
    """Delete, in a way that can be undone."""

    @documented(
        "photos_trash",
        f"Move the files of up to {trash.MOST_AT_ONCE:,} photos into their libraries' trash. For owners and editors; "
        "`confirm` is their number.",
        {200: TrashedBody},
        errors=(400, 401, 403, 409, 415, 422, 429),
        request=PhotosBody,
        parameters=KEYED,
    )
    @idempotent(atomic=False)
    def post(self, request: Request) -> Response:
        body = PhotosBody(data=request.data)
        body.is_valid(raise_exception=True)
        ids = list(dict.fromkeys(body.validated_data["photo_ids"]))
        if body.validated_data["confirm"] != len(ids):
            raise Conflict(
                f"These are {len(ids):,} photos, not as many as you confirmed. Nothing was changed.", "count_differs"
            )
        done = trash.trash_photos(request.user, ids)
        if since := begun_before(request):
            trash.count_earlier(request.user, done, since)
        return Response({**_done_json(done), "items": done.items})


class TrashList(ApiView):
    """The items in the library's trash."""

    @documented(
        "libraries_trash",
        "The newest first.",
        {200: TrashPage},
        errors=(400, 401, 403, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        page = paginate(find_changeable_library(request, library_id).trash.deleted(), ORDER, request.query_params)
        return Response(envelope(page, [_item_json(item) for item in page.rows], request))


class TrashRestore(ApiView):
    """Back to where they were."""

    @documented(
        "libraries_trash_restore",
        "Put photos back, with all that hung on them. A copy that was kept gives back what it took over from them.",
        {200: DoneBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=ItemsBody,
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_changeable_library(request, library_id)
        body = ItemsBody(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            done, _ = keeping.restore_items(request.user, library, body.validated_data["item_ids"])
            return Response(_done_json(done))
        except trash.TrashRefused as refused:
            raise Unprocessable(str(refused), "refused") from None


class TrashEmpty(ApiView):
    """Delete the files in the trash for good."""

    @documented(
        "libraries_trash_empty",
        "Delete what is in the trash for good. The owner's alone. 409 if the number there is another one by now.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=CountBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = CountBody(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            return started(
                request, lambda: trash_empty.start_emptying(library, request.user, body.validated_data["count"])
            )
        except CountDiffers as differs:
            raise Conflict(str(differs), "count_differs") from None


def _done_json(done: trash.Done) -> dict[str, Any]:
    return bulk_answer(done.count, done.errors, count=done.count)


def _item_json(item: TrashItem) -> dict[str, Any]:
    return {
        "id": str(item.pk),
        "photo": str(item.photo_id) if item.photo_id else None,
        "path": item.path,
        "size_bytes": item.size_bytes,
        "state": str(item.state),
        "trashed_at": utc_text(item.trashed_at),
    }
