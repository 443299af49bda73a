"""Drafts of one's own: kept while they are typed, and published as notes."""

from uuid import UUID, uuid4

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import drafts, notes
from catalog.models import Draft
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, refuse_members

from .album_json import DraftBody, DraftPage, NoteBody, draft_json, note_json
from .albums import TRASHED, Text
from .note_fields import Attached, PlaceBody
from .own_notes import nothing, own_rows, require_own
from .refusals import told

NEWEST_DRAFTS = ("-updated_at", "id")


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
        page = paginate(own_rows(Draft, request), NEWEST_DRAFTS, request.query_params)
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
            raise nothing("draft")
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
        require_own(Draft, request, draft_id)
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
        require_own(Draft, request, draft_id)
        body = Publication(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            return Response(note_json(drafts.publish(request.user, draft_id, body.validated_data.get("note_id"))))
