"""A photo in an album, for all who see it there: its facts, thumbnail, preview and original."""

from uuid import UUID

from django.http import Http404, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import access
from catalog.browsing import serve, stored
from photolala.lib.towns import place_name
from photolala.web.file_headers import CONDITIONS
from photolala.web.views import ApiView, answers_head, documented, query

from .album_json import AlbumPhotoDetailBody, album_photo_json
from .media import ANSWERS, VERSION
from .refusals import told


class AlbumPhoto(ApiView):
    """A photo seen in an album."""

    @documented(
        "albums_photo",
        "What the album's members are told of a photo that is in it, or attached to one of its notes.",
        {200: AlbumPhotoDetailBody},
        errors=(401, 404),
    )
    def get(self, request: Request, album_id: UUID, photo_id: UUID) -> Response:
        """Return it."""
        photo = access.photos_in(request.user, album_id).filter(pk=photo_id).first()
        if photo is None:
            raise Http404
        return Response({**album_photo_json(photo), "place_name": place_name(photo.latitude, photo.longitude)})


@answers_head
class AlbumThumbnail(ApiView):
    """256 px."""

    @documented(
        "albums_photo_thumbnail",
        "A JPEG fitted into 256 x 256. It is asked for with each request whether one may still see it.",
        ANSWERS,
        errors=(401, 404, 409, 416, 503),
        parameters=[VERSION, *CONDITIONS],
        binary="image/jpeg",
    )
    def get(self, request: Request, album_id: UUID, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serve.serve_thumbnail(request._request, stored.find_in_album(request.user, album_id, photo_id))


@answers_head
class AlbumPreview(ApiView):
    """1,600 px."""

    @documented(
        "albums_photo_preview",
        "A JPEG fitted into 1,600 x 1,600 (of a video: a frame).",
        ANSWERS,
        errors=(401, 404, 409, 416, 503),
        parameters=[VERSION, *CONDITIONS],
        binary="image/jpeg",
    )
    def get(self, request: Request, album_id: UUID, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serve.serve_preview(request._request, stored.find_in_album(request.user, album_id, photo_id))


@answers_head
class AlbumOriginal(ApiView):
    """The file."""

    @documented(
        "albums_photo_original",
        "The file itself, if the album's owner allows that, or one sees it in its library; `Range` and `If-Range` are honoured.",
        ANSWERS,
        errors=(401, 403, 404, 416, 503),
        parameters=[
            VERSION,
            query("download", "Present: as an attachment, to be saved.", bool, default=False),
            *CONDITIONS,
        ],
        binary="*/*",
    )
    def get(self, request: Request, album_id: UUID, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        photo = stored.find_in_album(request.user, album_id, photo_id)
        with told():
            access.check_original(request.user, album_id, photo_id)
        return serve.serve_original(request._request, photo)
