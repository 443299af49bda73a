"""Notes of one's own, and the files that are attached to them."""

from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import access, attachments, notes
from catalog.browsing import note_files as browsing_notes
from catalog.models import Note
from photolala.web.file_headers import CONDITIONS
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters
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

from .album_json import NoteBody, NotePage, note_json
from .albums import TRASHED, Text
from .media import ANSWERS
from .note_fields import Attached, Moment, PlaceBody
from .own_notes import own_rows, require_own
from .refusals import told

NEWEST_NOTES = ("-noted_at", "id")
MD5 = in_path("md5", "The file's MD5.", pattern="^[0-9a-f]{32}$")


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
        own = own_rows(Note, request).select_related("owner")
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
        require_own(Note, request, note_id)
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


def _camel(fields: Any) -> dict[str, Any]:
    return {{"noted_at": "notedAt"}.get(name, name): value for name, value in fields.items()}
