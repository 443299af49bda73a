"""Who else may see an album: its members; and handing it over to one of them."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from catalog.albums import albums, members
from catalog.models import AlbumMember
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, read_uuid, utc_text
from photolala.web.refusals import BadRequest, NotThere, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, page_body, query

from .album_json import AlbumBody
from .albums import described_json, visible_album
from .refusals import told


class Heir(RequestBody):
    """Who shall own it."""

    username = serializers.CharField(max_length=150, trim_whitespace=False)


class NewAlbumMember(Heir):
    """Who shall see it."""

    role = serializers.ChoiceField(AlbumMember.Role.choices)


class AlbumMemberBody(serializers.Serializer[Any]):
    """Who else may see an album."""

    id = serializers.UUIDField(help_text="The user's.")
    username = serializers.CharField()
    role = serializers.ChoiceField(AlbumMember.Role.choices)
    added_at = serializers.DateTimeField()


AlbumMemberPage = page_body("AlbumMemberPage", AlbumMemberBody)


class AlbumHandOver(ApiView):
    """Another owner."""

    @documented(
        "albums_hand_over",
        "Let a member own the album; who owned it is an editor then. The owner's alone.",
        {200: AlbumBody},
        errors=(400, 401, 403, 404, 409, 415, 422),
        request=Heir,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Do it."""
        with told():
            albums.held_or_refused(request.user, album_id)
        body = Heir(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            album = albums.hand_over(request.user, album_id, _user(body.validated_data["username"]))
        return Response(described_json(request, album))


class AlbumMembers(ApiView):
    """Who else may see it."""

    @documented(
        "albums_members",
        "The members of an album.",
        {200: AlbumMemberPage},
        errors=(400, 401, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, album_id: UUID) -> Response:
        """Return a page."""
        check_parameters(request.query_params, {"limit", "cursor"})
        found = AlbumMember.objects.filter(album=visible_album(request, album_id)).select_related("user")
        page = paginate(found, ("id",), request.query_params)
        return Response(envelope(page, [_member_json(row) for row in page.rows], request))

    @documented(
        "albums_add_member",
        "Let somebody see the album (viewer) or also change what is in it (editor); or change that. The owner's alone.",
        {201: AlbumMemberBody},
        errors=(400, 401, 403, 404, 409, 415, 422),
        request=NewAlbumMember,
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Add or change."""
        with told():
            albums.held_or_refused(request.user, album_id)
        body = NewAlbumMember(data=request.data)
        body.is_valid(raise_exception=True)
        user = _user(body.validated_data["username"])
        with told():
            membership = members.set_member(request.user, album_id, user, body.validated_data["role"])
        return made(_member_json(membership), "album-members", album_id)

    @documented(
        "albums_remove_member",
        "Take a membership away: the owner anybody's, a member one's own.",
        {204: "That user sees the album no longer."},
        errors=(400, 401, 403, 404, 409),
        parameters=[query("user", "The user's id.", UUID, required=True)],
    )
    def delete(self, request: Request, album_id: UUID) -> Response:
        """Remove."""
        visible_album(request, album_id)
        text = request.query_params.get("user", "")
        if not text:
            raise BadRequest("Say who: ?user=<id>.", "bad_id")
        user_id = read_uuid(text, "user")
        if user_id != request.user.pk:
            with told():
                albums.held_or_refused(request.user, album_id)
        user = User.objects.filter(pk=user_id).first()
        with told():
            if user is None or not members.remove_member(request.user, album_id, user):
                raise NotThere("That user is no member of this album.", "no_member")
        return Response(status=204)


def _user(username: str) -> User:
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Unprocessable("There is no user of that name. Nothing was changed.", "no_such_user")
    return user


def _member_json(membership: AlbumMember) -> dict[str, Any]:
    return {
        "id": str(membership.user_id),
        "username": membership.user.get_username(),
        "role": membership.role,
        "added_at": utc_text(membership.added_at),
    }
