"""Which of many files a library does not have, before any of them is sent."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.importing.contents import IN_TRASH, MOST_AT_ONCE, known_contents
from catalog.models import Photo
from photolala.web.views import ApiView, RequestBody, documented

from .found_libraries import find_changeable_library


class ContentsBody(RequestBody):
    """Which contents it is about."""

    md5s = serializers.ListField(
        child=serializers.RegexField(r"^[0-9a-fA-F]{32}\Z", max_length=32),
        allow_empty=False,
        max_length=MOST_AT_ONCE,
        help_text="MD5s of whole files, in hexadecimal digits.",
    )


class KnownContent(serializers.Serializer[Any]):
    """A content that the library has."""

    md5 = serializers.CharField(help_text="As it was asked for, in small letters.")
    photo_id = serializers.UUIDField(allow_null=True, help_text="null: in the trash, and the catalog has forgotten it.")
    state = serializers.ChoiceField([IN_TRASH, *Photo.State.values])


class MissingBody(serializers.Serializer[Any]):
    """What is to be sent, and what is there."""

    missing = serializers.ListField(
        child=serializers.CharField(), help_text="In the order in which they were asked for."
    )
    known = KnownContent(many=True)


class Missing(ApiView):
    """Which of some contents the library lacks: asked before they are sent."""

    @documented(
        "libraries_missing",
        f"Which of up to {MOST_AT_ONCE:,} files, named by their MD5s, the library does not have. Its trash, and what files were "
        "before stars or dates were written into them, count as there. Other libraries are not looked at. For those who may "
        "change the library.",
        {200: MissingBody},
        errors=(400, 401, 403, 404, 415),
        request=ContentsBody,
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_changeable_library(request, library_id)
        body = ContentsBody(data=request.data)
        body.is_valid(raise_exception=True)
        asked = list(dict.fromkeys(md5.lower() for md5 in body.validated_data["md5s"]))
        known = known_contents(library, asked)
        there: list[dict[str, Any]] = [
            {"md5": md5, "photo_id": str(known[md5].photo) if known[md5].photo else None, "state": known[md5].state}
            for md5 in asked
            if md5 in known
        ]
        return Response({"missing": [md5 for md5 in asked if md5 not in known], "known": there})
