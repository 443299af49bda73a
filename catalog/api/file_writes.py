"""Writes into files: what waits, what failed and why; try again, give up, take back."""

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.requests import Request
from catalog.edits.undo import undo_last
from catalog.files import queue
from catalog.models import FileWrite, Photo
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import BadRequest, Conflict
from photolala.web.views import PAGE_PARAMETERS, ApiView, documented, page_body, query, refuse_members

ORDER = ("-created_at", "id")
COLUMNS = (
    "id",
    "photo_id",
    "library_id",
    "kind",
    "wanted",
    "previous",
    "state",
    "code",
    "reason",
    "attempts",
    "is_sidecar",
    "created_at",
    "try_at",
    "finished_at",
)


class WriteBody(serializers.Serializer[Any]):
    """A write into a photo's file: waiting, done or failed."""

    id = serializers.UUIDField()
    photo = serializers.UUIDField()
    library = serializers.UUIDField()
    kind = serializers.ChoiceField(FileWrite.Kind.choices)
    wanted = serializers.DictField()
    previous = serializers.DictField()
    state = serializers.ChoiceField(FileWrite.State.choices)
    code = serializers.CharField(help_text="Why it waits or failed, for programs; empty if it was not tried yet.")
    reason = serializers.CharField(help_text="The same in a sentence.")
    attempts = serializers.IntegerField()
    is_sidecar = serializers.BooleanField(help_text="It is written into an XMP file beside the photo.")
    created_at = serializers.DateTimeField()
    try_at = serializers.DateTimeField(help_text="Not before.")
    finished_at = serializers.DateTimeField(allow_null=True)


class UndoneBody(serializers.Serializer[Any]):
    """The photo after the last write was taken back."""

    photo_id = serializers.UUIDField()
    kind = serializers.ChoiceField(FileWrite.Kind.choices)
    rating = serializers.IntegerField(required=False, help_text="The stars that it has then.")
    caption = serializers.CharField(required=False, help_text="The caption that it has then.")
    keywords = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="The keywords that it has then."
    )
    place = serializers.DictField(
        child=serializers.FloatField(), required=False, allow_null=True, help_text="`latitude` and `longitude` then."
    )
    taken = serializers.CharField(required=False, help_text="The date that its file says then; empty for none.")
    offset = serializers.IntegerField(required=False, allow_null=True, help_text="Minutes east of UTC.")


WritePage = page_body("WritePage", WriteBody)


class WriteList(ApiView):
    """Those in libraries that one may edit."""

    @documented(
        "writes_list",
        "What is to be written into files, or was, newest first.",
        {200: WritePage},
        errors=(400, 401),
        parameters=[
            query("state", "`open`: all that are not in the files yet.", enum=["open", *FileWrite.State.values]),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request) -> Response:
        """Return a page. One query."""
        check_parameters(request.query_params, {"state", "limit", "cursor"})
        rows = queue.visible_writes(request.user)
        state = request.query_params.get("state", "")
        if state == "open":
            rows = rows.filter(state__in=FileWrite.OPEN)
        elif state in FileWrite.State.values:
            rows = rows.filter(state=state)
        elif state:
            raise BadRequest(f"state is one of open, {', '.join(FileWrite.State.values)}.", "bad_state")
        page = paginate(rows.values(*COLUMNS), ORDER, request.query_params)
        return Response(envelope(page, [_write_json(row) for row in page.rows], request))


class WriteRetry(ApiView):
    """Retry a failed write now."""

    @documented("writes_retry", "Try it again now.", {200: WriteBody}, errors=(401, 403, 404, 409))
    def post(self, request: Request, write_id: UUID) -> Response:
        """Do so; 409 if it does not wait any more."""
        write = _find(request, write_id)
        refuse_members(request)
        if not queue.retry(write, request.user):
            raise Conflict("It is not waiting any more.", "not_open")
        return Response(_write_json(_row(request, write_id)))


class WriteGiveUp(ApiView):
    """Leave the file as it is."""

    @documented("writes_give_up", "Keep it in the catalog only.", {200: WriteBody}, errors=(401, 403, 404, 409))
    def post(self, request: Request, write_id: UUID) -> Response:
        """Do so; 409 if it does not wait any more."""
        write = _find(request, write_id)
        refuse_members(request)
        if not queue.give_up(write):
            raise Conflict("It is not waiting any more.", "not_open")
        return Response(_write_json(_row(request, write_id)))


class PhotoUndo(ApiView):
    """The last that was written."""

    @documented(
        "photos_undo",
        "Take back the last rating, date, caption, keywords or place that were written into the photo's file; a file in which "
        "nothing else was written since gets its very bytes back.",
        {200: UndoneBody},
        errors=(401, 403, 404, 409),
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        """Do so; 409 if there is none, or if the file was changed since."""
        photo = Photo.objects.visible_to(request.user).filter(pk=photo_id).first()
        if photo is None:
            raise Http404
        if not Photo.objects.editable_by(request.user).filter(pk=photo_id).exists():
            raise PermissionDenied("You may look at this photo, but not change it. Nothing was changed.")
        refuse_members(request)
        try:
            taken_back = undo_last(photo, request.user)
        except queue.NothingToUndo as reason:
            raise Conflict(str(reason), "nothing_to_undo") from None
        return Response({"photo_id": str(photo_id), **taken_back})


def _find(request: Request, write_id: UUID) -> FileWrite:
    write = queue.visible_writes(request.user).select_related("library").filter(pk=write_id).first()
    if write is None:
        raise Http404
    return write


def _row(request: Request, write_id: UUID) -> dict[str, Any]:
    return queue.visible_writes(request.user).filter(pk=write_id).values(*COLUMNS).get()


def _write_json(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: utc_text(row[name]) for name in ("created_at", "try_at", "finished_at")}
    plain = {name: row[name] for name in COLUMNS if name not in times and name not in ("id", "photo_id", "library_id")}
    return {
        "id": str(row["id"]),
        "photo": str(row["photo_id"]),
        "library": str(row["library_id"]),
        **plain,
        **times,
    }
