"""One's own media store: files for notes and drafts."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.albums import media
from catalog.browsing.note_files import serve_media
from catalog.models import Media
from photolala.web.file_headers import CONDITIONS
from photolala.web.raw_bodies import AnyFile
from photolala.web.refusals import BadRequest, NotThere
from photolala.web.views import ApiView, answers_head, documented, made, query

from .media import ANSWERS
from .notes import MD5
from .refusals import told


class MediaBody(serializers.Serializer[Any]):
    """A file of the store."""

    md5 = serializers.CharField()
    media_type = serializers.CharField()
    size_bytes = serializers.IntegerField()


class MediaList(ApiView):
    """Where files are sent."""

    parser_classes = [AnyFile]

    @documented(
        "media_create",
        f"Send a file of at most {media.LARGEST_BYTES // 2**20} MiB for notes and drafts: a picture, video or sound, named by "
        "the Content-Type. It counts in one's quota. What nothing holds for 30 days is removed.",
        {201: MediaBody},
        errors=(400, 401, 403, 413, 415, 422, 503, 507),
        request={"application/octet-stream": bytes},
        parameters=[
            query("media_type", "What it is, where the Content-Type cannot say it.", enum=sorted(media.TYPES)),
            query("md5", "If given: the file must have it.", pattern="^[0-9a-f]{32}$", maxLength=32),
        ],
    )
    def post(self, request: Request) -> Response:
        """Keep it."""
        md5 = request.query_params.get("md5", "")
        if md5 and (len(md5) != 32 or set(md5) - set("0123456789abcdef")):
            raise BadRequest("md5 must be 32 hexadecimal digits.", "md5")
        said = request.query_params.get("media_type") or request.content_type or ""
        kind = said.partition(";")[0].strip().lower()
        if kind not in media.TYPES:
            raise UnsupportedMediaType(kind, f"The Content-Type must be one of {', '.join(sorted(media.TYPES))}.")
        with told():
            kept = media.keep(request.user, request._request.read, kind, md5)
        return made(_json(kept), "media", kept.md5)


@answers_head
class MediaDetail(ApiView):
    """One file of one's own."""

    @documented(
        "media_retrieve",
        "A file of one's own store; `Range` and `If-Range` are honoured.",
        ANSWERS,
        errors=(401, 404, 416, 503),
        parameters=[MD5, *CONDITIONS],
        binary="*/*",
    )
    def get(self, request: Request, md5: str) -> HttpResponseBase:
        """Send it."""
        found = Media.objects.filter(owner=request.user.pk, md5=md5).first()
        if found is None:
            raise NotThere("There is no such file in your media store.")
        return serve_media(request._request, found)


def _json(kept: Media) -> dict[str, Any]:
    return {"md5": kept.md5, "media_type": kept.media_type, "size_bytes": kept.size_bytes}
