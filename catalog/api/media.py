"""The bytes of a photo: thumbnail, preview, original, metadata."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.browsing import motion, serve, stored, video_renditions
from photolala.web.file_headers import CONDITIONS, WHOLE
from photolala.web.refusals import NotThere
from photolala.web.views import ApiView, RequestBody, answers_head, documented, query

VERSION = query("v", "The photo's `version`: the answer may then be kept for ever.", maxLength=64)
NOTHING = "The client has it already (If-None-Match, If-Modified-Since)."
ANSWERS: dict[int, Any] = {200: bytes, 206: bytes, 304: NOTHING}


@answers_head
class Thumbnail(ApiView):
    """The thumbnail, 256 px."""

    @documented(
        "photos_thumbnail",
        "A JPEG fitted into 256 x 256. ETag is the photo's MD5. 404 with Retry-After while the scan has not come to it.",
        ANSWERS,
        errors=(401, 404, 409, 416, 503),
        parameters=[VERSION, *CONDITIONS],
        binary="image/jpeg",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return serve.serve_thumbnail(request._request, stored.find(request.user, photo_id))


@answers_head
class Preview(ApiView):
    """The preview, at most 1,600 px."""

    @documented(
        "photos_preview",
        "A JPEG fitted into 1,600 x 1,600, made on demand (of a video: a frame). 503 with Retry-After when too many wait.",
        ANSWERS,
        errors=(401, 404, 409, 416, 503),
        parameters=[VERSION, *CONDITIONS],
        binary="image/jpeg",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return serve.serve_preview(request._request, stored.find(request.user, photo_id))


@answers_head
class Original(ApiView):
    """The original file; ranges are supported."""

    @documented(
        "photos_original",
        "The file itself, under its own name; `Range` and `If-Range` are honoured.",
        ANSWERS,
        errors=(401, 404, 416, 503),
        parameters=[
            VERSION,
            query("download", "Present: as an attachment, to be saved.", bool, default=False),
            *CONDITIONS,
        ],
        binary="*/*",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return serve.serve_original(request._request, stored.find(request.user, photo_id))


@answers_head
class Motion(ApiView):
    """The short video of a motion photo; ranges are supported."""

    @documented(
        "photos_motion",
        "The MP4 inside a motion photo (one whose `motion` is true): a part of the original. 404 for other photos.",
        ANSWERS,
        errors=(401, 404, 416, 503),
        parameters=CONDITIONS,
        binary="video/mp4",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return motion.serve_motion(request._request, stored.find(request.user, photo_id))


class RenditionStatus(serializers.Serializer[Any]):
    """Progress of the conversion of a video."""

    state = serializers.ChoiceField(["ready", "converting", "failed"])
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1; null while it is not known.")
    reason = serializers.CharField(help_text="Why it failed; else empty.")


class RenditionWish(RequestBody):
    """No fields: the body may be empty."""

    again = serializers.BooleanField(required=False, default=False, help_text="Try what failed once more.")


@answers_head
class Rendition(ApiView):
    """A video as every browser plays it."""

    @documented(
        "photos_rendition",
        "The video as H.264 and AAC in an MP4 of at most 1,920 px, if it was made; `Range` is honoured. 404 until it was.",
        ANSWERS,
        errors=(401, 404, 416),
        parameters=[VERSION, *CONDITIONS],
        binary="video/mp4",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return serve.serve_rendition(request._request, self._video(request, photo_id))

    @documented(
        "photos_rendition_make",
        "Let a worker make it if it was not made; ask again to see how far it is.",
        {200: RenditionStatus},
        errors=(400, 401, 403, 404, 415),
        request=RenditionWish,
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        photo = self._video(request, photo_id)
        body = RenditionWish(data=request.data)
        body.is_valid(raise_exception=True)
        status = video_renditions.want(photo, photo_id, request.user, again=body.validated_data["again"])
        return Response({"state": status.state, "progress": status.progress, "reason": status.reason})

    def _video(self, request: Request, photo_id: UUID) -> stored.Stored:
        photo = stored.find(request.user, photo_id)
        if photo.asset_id:
            raise NotThere("This is on the phone only. Upload it into a library to see it here.", "on_the_device")
        if not photo.media_type.startswith("video/") or not photo.photo_md5:
            raise NotThere("This is no video, or it was not read yet.", "no_film")
        return photo


class MetadataBody(serializers.Serializer[Any]):
    """What the file itself says, under the names of the metadata files (formats.md); what is unknown is absent."""

    photoMD5 = serializers.CharField(required=False)
    width = serializers.IntegerField(required=False, help_text="Upright, in pixels.")
    height = serializers.IntegerField(required=False, help_text="Upright, in pixels.")
    captureDate = serializers.CharField(required=False, help_text="With an offset only if the file knows it.")
    cameraMake = serializers.CharField(required=False)
    cameraModel = serializers.CharField(required=False)
    lensModel = serializers.CharField(required=False)
    focalLength = serializers.FloatField(required=False, help_text="Millimetres.")
    aperture = serializers.FloatField(required=False)
    shutterSpeed = serializers.CharField(required=False, help_text='Seconds, such as "1/250".')
    iso = serializers.IntegerField(required=False)
    gpsLatitude = serializers.FloatField(required=False)
    gpsLongitude = serializers.FloatField(required=False)
    rating = serializers.IntegerField(required=False)
    duration = serializers.FloatField(required=False, help_text="Seconds.")
    exifData = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="EXIF's tags by exiftool's names."
    )


@answers_head
class Metadata(ApiView):
    """All metadata that the file contains."""

    @documented(
        "photos_metadata",
        "What the file itself says: size, capture date, camera, place, EXIF; what is unknown is absent.",
        {200: MetadataBody, 304: NOTHING},
        errors=(401, 404),
        parameters=WHOLE,
        binary="application/json",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        return serve.serve_metadata(request._request, request.user, photo_id)
