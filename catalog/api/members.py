"""Members of a library: list, add, change, remove."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.models import User
from accounts.requests import Request
from catalog.libraries.members import remove_member, set_member
from catalog.models import Membership
from catalog.roots import folders
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, read_uuid, utc_text
from photolala.web.refusals import BadRequest, NotThere, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, page_body, query

from .found_libraries import find_library, find_own_library


class MemberBody(serializers.Serializer[Any]):
    """Who else may see it."""

    id = serializers.UUIDField(help_text="The user's.")
    username = serializers.CharField()
    role = serializers.ChoiceField(Membership.Role.choices)
    added_at = serializers.DateTimeField()


class NewMember(RequestBody):
    """The user to admit, and in what role."""

    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(Membership.Role.choices, default=Membership.Role.VIEWER)


MemberPage = page_body("MemberPage", MemberBody)


class Members(ApiView):
    """Who else may see it."""

    @documented(
        "libraries_members",
        "The members of a library. The owner's alone.",
        {200: MemberPage},
        errors=(400, 401, 403, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        members = Membership.objects.filter(library=find_own_library(request, library_id)).select_related("user")
        page = paginate(members, ("id",), request.query_params)
        return Response(envelope(page, [_member_json(row) for row in page.rows], request))

    @documented(
        "libraries_add_member",
        "Let somebody see the library (viewer) or also change its photos (editor); or change that. The owner's alone.",
        {201: MemberBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=NewMember,
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = NewMember(data=request.data)
        body.is_valid(raise_exception=True)
        user = User.objects.filter(username=body.validated_data["username"], is_active=True).first()
        if user is None:
            raise Unprocessable("There is no user of that name. Nothing was changed.", "no_such_user")
        try:
            membership = set_member(library, user, body.validated_data["role"])
        except folders.LibraryRefused as refused:
            raise Unprocessable(str(refused), "member_refused") from None
        return made(_member_json(membership), "members", library.pk)

    @documented(
        "libraries_remove_member",
        "Take a membership away: the owner anybody's, a member one's own.",
        {204: "That user sees the library no longer."},
        errors=(400, 401, 403, 404),
        parameters=[query("user", "The user's id.", UUID, required=True)],
    )
    def delete(self, request: Request, library_id: UUID) -> Response:
        library = find_library(request, library_id)
        text = request.query_params.get("user", "")
        if not text:
            raise BadRequest("Say who: ?user=<id>.", "bad_id")
        user_id = read_uuid(text, "user")
        if library.owner_id != request.user.pk and user_id != request.user.pk:
            raise PermissionDenied("Only the owner of a library may do that.")
        user = User.objects.filter(pk=user_id).first()
        if user is None or not remove_member(library, user):
            raise NotThere("That user is no member of this library.", "no_member")
        return Response(status=204)


def _member_json(membership: Membership) -> dict[str, Any]:
    return {
        "id": str(membership.user_id),
        "username": membership.user.get_username(),
        "role": membership.role,
        "added_at": utc_text(membership.added_at),
    }
