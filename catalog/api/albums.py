"""Albums: list, make, change, delete and restore."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import albums
from catalog.browsing import album_lists
from catalog.models import Album
from catalog.searching.grammar import LONGEST_QUERY
from photolala.web.keyset import envelope
from photolala.web.parameters import check_parameters, read_flag
from photolala.web.views import (
    PAGE_PARAMETERS,
    ApiView,
    RequestBody,
    documented,
    made,
    query,
    refuse_members,
)

from .album_json import AlbumBody, AlbumPage, album_json
from .refusals import told

TRASHED = query("trashed", "`true`: what is in the trash, and can be restored.", bool, default=False)
CAMEL = {"allows_originals": "allowsOriginals"}


class Text(serializers.CharField):
    """A text that may be empty, kept as it is."""

    def __init__(self, longest: int, **options: Any) -> None:
        super().__init__(max_length=longest, trim_whitespace=False, **{"allow_blank": True, **options})


class SavedSearch(RequestBody):
    """A search that an album is, instead of items."""

    q = serializers.CharField(
        max_length=LONGEST_QUERY,
        help_text="As `q` of the photo list. `photos/?album=` and the timeline show what it finds.",
    )


class AlbumChange(RequestBody):
    """What an editor may change; `allows_originals` the owner alone."""

    title = Text(albums.LONGEST_TITLE, required=False, allow_blank=False)
    description = Text(albums.LONGEST_DESCRIPTION, required=False)
    cover = serializers.UUIDField(required=False, allow_null=True, help_text="A photo of the album; null: its first.")
    order = serializers.ChoiceField(Album.Order.choices, required=False)
    query = SavedSearch(required=False, allow_null=True)
    allows_originals = serializers.BooleanField(required=False)


class NewAlbum(AlbumChange):
    """An album."""

    id = serializers.UUIDField(required=False, help_text="Made by the client; sent again, it makes no second album.")
    title = Text(albums.LONGEST_TITLE, allow_blank=False)
    cover = None  # type: ignore[assignment]


class AlbumList(ApiView):
    """Those that one sees."""

    @documented(
        "albums_list",
        "The albums that one owns or is a member of, the newest first.",
        {200: AlbumPage},
        errors=(400, 401),
        parameters=[TRASHED, *PAGE_PARAMETERS],
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        params = request.query_params
        check_parameters(params, {"limit", "cursor", "trashed"})
        page = album_lists.album_page(request.user, params, trashed=is_trashed(params))
        return Response(envelope(page, [album_json(row) for row in page.rows], request))

    @documented(
        "albums_create",
        "Make an album. With an `id` of one's own it can be sent again: an album that is there is not changed.",
        {201: AlbumBody},
        errors=(400, 401, 403, 409, 415, 422),
        request=NewAlbum,
    )
    def post(self, request: Request) -> Response:
        """Make it."""
        body = NewAlbum(data=request.data)
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        key = fields.pop("id", None) or uuid4()
        with told():
            album = albums.create(request.user, key, camel(fields))
        return made(described_json(request, album), "album", album.pk)


class AlbumDetail(ApiView):
    """One album."""

    @documented("albums_retrieve", "One album.", {200: AlbumBody}, errors=(401, 404))
    def get(self, request: Request, album_id: UUID) -> Response:
        """Return it."""
        return Response(described_json(request, visible_album(request, album_id)))

    @documented(
        "albums_update",
        "Change title, description, cover or order. For owner and editors.",
        {200: AlbumBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=AlbumChange,
    )
    def patch(self, request: Request, album_id: UUID) -> Response:
        """Change it."""
        visible_album(request, album_id)
        body = AlbumChange(data=request.data)
        body.is_valid(raise_exception=True)
        with told():
            album = albums.patch(request.user, album_id, camel(body.validated_data))
        return Response(described_json(request, album))

    @documented(
        "albums_delete",
        "Move the album to the trash, as `trash/` does. The owner's alone.",
        {204: "It can be restored for 30 days."},
        errors=(401, 403, 404),
    )
    def delete(self, request: Request, album_id: UUID) -> Response:
        """Move it."""
        with told():
            albums.delete(request.user, album_id)
        return Response(status=204)


class AlbumTrash(ApiView):
    """Delete, in a way that can be undone."""

    @documented(
        "albums_trash",
        "Move the album to the trash; its members no longer see it. It can be restored for 30 days. The owner's alone.",
        {200: AlbumBody},
        errors=(400, 401, 403, 404),
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Move it."""
        with told():
            albums.held_or_refused(request.user, album_id)
        refuse_members(request)
        with told():
            album = albums.delete(request.user, album_id)
        return Response(described_json(request, album))


class AlbumRestore(ApiView):
    """Back again."""

    @documented(
        "albums_restore",
        "Bring the album back from the trash, with its items and members. The owner's alone.",
        {200: AlbumBody},
        errors=(400, 401, 403, 404),
    )
    def post(self, request: Request, album_id: UUID) -> Response:
        """Bring it back."""
        with told():
            albums.held_or_refused(request.user, album_id)
        refuse_members(request)
        with told():
            album = albums.restore(request.user, album_id)
        return Response(described_json(request, album))


def is_trashed(params: Mapping[str, str]) -> bool:
    """Return `?trashed=`. Raises BadRequest."""
    return bool(params.get("trashed")) and read_flag(params["trashed"], "trashed")


def camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields under the names that the verbs know."""
    return {CAMEL.get(name, name): value for name, value in fields.items()}


def visible_album(request: Request, album_id: UUID) -> Album:
    with told():
        return albums.visible(request.user, album_id)


def described_json(request: Request, album: Album) -> dict[str, Any]:
    return album_json(album_lists.described(Album.objects.filter(pk=album.pk), request.user).get())
