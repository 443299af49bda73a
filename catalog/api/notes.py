"""Notes and drafts of one's own, and the files that are attached to them."""

from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import access, attachments, drafts, notes
from catalog.browsing import notes as browsing_notes
from catalog.models import Draft, Note
from photolala.web.file_headers import CONDITIONS
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters
from photolala.web.refusals import NotThere
from photolala.web.views import (
    PAGE_PARAMETERS,
    ApiView,
    RequestBody,
    answers_head,
    documented,
    in_path,
    made,
    refuse_members,
)

from .album_json import DraftBody, DraftPage, NoteBody, NotePage, draft_json, note_json
from .albums import TRASHED, Text, is_trashed
from .media import ANSWERS
from .refusals import told

NEWEST_NOTES = ("-noted_at", "id")
NEWEST_DRAFTS = ("-updated_at", "id")
MD5 = in_path("md5", "The file's MD5.", pattern="^[0-9a-f]{32}$")


@extend_schema_field({"type": "string", "format": "date-time"})
class Moment(serializers.CharField):
    """A moment whose offset is kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, **options)


class PlaceBody(RequestBody):
    """A place."""

    latitude = serializers.FloatField(required=False, allow_null=True, min_value=-90, max_value=90)
    longitude = serializers.FloatField(required=False, allow_null=True, min_value=-180, max_value=180)
    name = Text(200, required=False)


class Attached(RequestBody):
    """Either `photo`, or `media_md5` of a file that was sent to `media/`, and its name."""

    photo = serializers.UUIDField(required=False)
    media_md5 = serializers.RegexField(r"^[0-9a-f]{32}\Z", max_length=32, required=False)
    name = Text(attachments.LONGEST_FILE_NAME, required=False)


class NoteChange(RequestBody):
    """What can be said in a note."""

    type = serializers.ChoiceField(Note.Type.choices, required=False)
    content = Text(notes.LONGEST_CONTENT, required=False)
    caption = Text(notes.LONGEST_CAPTION, required=False)
    attachments = serializers.ListField(child=Attached(), required=False, max_length=attachments.MOST_ATTACHMENTS)
    noted_at = Moment(required=False, help_text="RFC 3339; its offset is kept.")
    place = PlaceBody(required=False, allow_null=True)


class NewNote(NoteChange):
    """A note."""

    id = serializers.UUIDField(required=False, help_text="Made by the client; sent again, it makes no second note.")


class Block(RequestBody):
    """A block of a draft."""

    id = Text(drafts.LONGEST_ID, allow_blank=False)
    type = serializers.ChoiceField(drafts.TYPES)
    text = Text(drafts.LONGEST_BLOCK, required=False)
    attachment = Attached(required=False, allow_null=True)
    caption = Text(notes.LONGEST_CAPTION, required=False)
    place = PlaceBody(required=False, allow_null=True)


class DraftChange(RequestBody):
    """What can be said in a draft."""

    blocks = serializers.ListField(child=Block(), required=False, max_length=drafts.MOST_BLOCKS)
    albums = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=drafts.MOST_ALBUMS)


class NewDraft(DraftChange):
    """A draft."""

    id = serializers.UUIDField(required=False, help_text="Made by the client; sent again, it makes no second draft.")


class Publication(RequestBody):
    """May be empty."""

    note_id = serializers.UUIDField(required=False, help_text="The id that the note shall have.")


class NoteList(ApiView):
    """One's own."""

    @documented(
        "notes_list",
        "One's own notes, the newest first.",
        {200: NotePage},
        errors=(400, 401),
        parameters=[TRASHED, *PAGE_PARAMETERS],
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        check_parameters(request.query_params, {"limit", "cursor", "trashed"})
        own = _own(Note, request).select_related("owner")
        page = paginate(own, NEWEST_NOTES, request.query_params)
        return Response(envelope(page, [note_json(row) for row in page.rows], request))

    @documented(
        "notes_create",
        "Write a note. With an `id` of one's own it can be sent again: a note that is there is not changed.",
        {201: NoteBody},
        errors=(400, 401, 403, 409, 415, 422),
        request=NewNote,
    )
    def post(self, request: Request) -> Response:
        """Write it."""
        body = NewNote(data=request.data)
        body.is_valid(raise_exception=True)
        fields = _camel(body.validated_data)
        with told():
            note = notes.create(request.user, fields.pop("id", None) or uuid4(), fields)
        return made(note_json(note), "note", note.pk)


class NoteDetail(ApiView):
    """One note."""

    @documented(
        "notes_retrieve", "A note of one's own, or in an album that one sees.", {200: NoteBody}, errors=(401, 404)
    )
    def get(self, request: Request, note_id: UUID) -> Response:
        """Return it."""
        with told():
            return Response(note_json(access.note_seen_by(request.user, note_id)))

    @documented(
        "notes_update",
        "Change a note of one's own.",
        {200: NoteBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=NoteChange,
    )
    def patch(self, request: Request, note_id: UUID) -> Response:
        """Change it."""
        with told():
            notes.patch(request.user, note_id, {})
        body = NoteChange(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            return Response(note_json(notes.patch(request.user, note_id, _camel(body.validated_data))))

    @documented(
        "notes_delete",
        "Move a note of one's own to the trash; no album shows it meanwhile.",
        {204: "It can be restored for 30 days."},
        errors=(401, 403, 404),
    )
    def delete(self, request: Request, note_id: UUID) -> Response:
        """Move it."""
        with told():
            notes.delete(request.user, note_id)
        return Response(status=204)


class NoteRestore(ApiView):
    """Back again."""

    @documented("notes_restore", "Bring a note back from the trash.", {200: NoteBody}, errors=(400, 401, 403, 404))
    def post(self, request: Request, note_id: UUID) -> Response:
        """Bring it back."""
        _require_own(Note, request, note_id)
        refuse_members(request)
        with told():
            return Response(note_json(notes.restore(request.user, note_id)))


@answers_head
class NoteMedia(ApiView):
    """A file that is attached."""

    @documented(
        "notes_media",
        "A file that is attached to a note which one sees; `Range` and `If-Range` are honoured.",
        ANSWERS,
        errors=(401, 404, 416, 503),
        parameters=[MD5, *CONDITIONS],
        binary="*/*",
    )
    def get(self, request: Request, note_id: UUID, md5: str) -> HttpResponseBase:
        """Send it."""
        with told():
            media = access.media_seen_by(request.user, note_id, md5)
        return browsing_notes.serve_media(request._request, media)


class DraftList(ApiView):
    """One's own."""

    @documented(
        "drafts_list",
        "One's own drafts, the last changed first.",
        {200: DraftPage},
        errors=(400, 401),
        parameters=[TRASHED, *PAGE_PARAMETERS],
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        check_parameters(request.query_params, {"limit", "cursor", "trashed"})
        page = paginate(_own(Draft, request), NEWEST_DRAFTS, request.query_params)
        return Response(envelope(page, [draft_json(row) for row in page.rows], request))

    @documented(
        "drafts_create",
        "Begin a draft. With an `id` of one's own it can be sent again: a draft that is there is not changed.",
        {201: DraftBody},
        errors=(400, 401, 403, 409, 415, 422),
        request=NewDraft,
    )
    def post(self, request: Request) -> Response:
        """Begin it."""
        body = NewDraft(data=request.data)
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        with told():
            draft = drafts.create(request.user, fields.pop("id", None) or uuid4(), fields)
        return made(draft_json(draft), "draft", draft.pk)


class DraftDetail(ApiView):
    """One draft."""

    @documented("drafts_retrieve", "A draft of one's own.", {200: DraftBody}, errors=(401, 404))
    def get(self, request: Request, draft_id: UUID) -> Response:
        """Return it."""
        draft = Draft.objects.of(request.user).filter(pk=draft_id).first()
        if draft is None:
            raise _nothing("draft")
        return Response(draft_json(draft))

    @documented(
        "drafts_update",
        "Keep what was typed.",
        {200: DraftBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=DraftChange,
    )
    def patch(self, request: Request, draft_id: UUID) -> Response:
        """Keep it."""
        with told():
            drafts.patch(request.user, draft_id, {})
        body = DraftChange(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            return Response(draft_json(drafts.patch(request.user, draft_id, body.validated_data)))

    @documented(
        "drafts_delete",
        "Move a draft to the trash.",
        {204: "It can be restored for 30 days."},
        errors=(401, 403, 404),
    )
    def delete(self, request: Request, draft_id: UUID) -> Response:
        """Move it."""
        with told():
            drafts.delete(request.user, draft_id)
        return Response(status=204)


class DraftRestore(ApiView):
    """Back again."""

    @documented("drafts_restore", "Bring a draft back from the trash.", {200: DraftBody}, errors=(400, 401, 403, 404))
    def post(self, request: Request, draft_id: UUID) -> Response:
        """Bring it back."""
        _require_own(Draft, request, draft_id)
        refuse_members(request)
        with told():
            return Response(draft_json(drafts.restore(request.user, draft_id)))


class DraftPublish(ApiView):
    """Into its albums."""

    @documented(
        "drafts_publish",
        "Make a note of the draft, put it into the draft's albums, and move the draft to the trash; all or nothing. Asked again, "
        "it answers with the same note.",
        {200: NoteBody},
        errors=(400, 401, 403, 404, 409, 415, 422),
        request=Publication,
    )
    def post(self, request: Request, draft_id: UUID) -> Response:
        """Publish it."""
        _require_own(Draft, request, draft_id)
        body = Publication(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            return Response(note_json(drafts.publish(request.user, draft_id, body.validated_data.get("note_id"))))


def _own(model: type[Note] | type[Draft], request: Request) -> Any:
    rows: Any = model.objects
    return rows.in_trash_of(request.user) if is_trashed(request.query_params) else rows.of(request.user)


def _require_own(model: type[Note] | type[Draft], request: Request, key: UUID) -> None:
    if not model.objects.filter(pk=key, owner=request.user.pk).exists():
        raise _nothing(model._meta.model_name or "")


def _nothing(what: str) -> NotThere:
    return NotThere(f"There is no such {what}, or none that you may see.")


def _camel(fields: Any) -> dict[str, Any]:
    return {{"noted_at": "notedAt"}.get(name, name): value for name, value in fields.items()}
