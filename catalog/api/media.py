"""The bytes of a photo: thumbnail, preview, original, metadata."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request

from catalog import serving
from photolala.web.views import ApiView, documented, query

VERSION = query("v", "The photo's `version`: the answer may then be kept for ever.")
NOTHING = "The client has it already (If-None-Match, If-Modified-Since)."
PART = "The part asked for by `Range`."
BEYOND = "The range begins beyond the end."
ANSWERS: dict[int, Any] = {200: bytes, 206: bytes, 304: NOTHING, 416: BEYOND}


class Thumbnail(ApiView):
    """256 px."""

    @documented(
        "photos_thumbnail",
        "A JPEG fitted into 256 x 256. ETag is the photo's MD5. 404 with Retry-After while the scan has not come to it.",
        ANSWERS,
        errors=(401, 404, 409, 503),
        parameters=[VERSION],
        binary="image/jpeg",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serving.serve_thumbnail(request._request, serving.find(request.user, photo_id))


class Preview(ApiView):
    """2,048 px."""

    @documented(
        "photos_preview",
        "A JPEG fitted into 2,048 x 2,048, made on demand (of a video: a frame). 503 with Retry-After when too many wait.",
        ANSWERS,
        errors=(401, 404, 409, 503),
        parameters=[VERSION],
        binary="image/jpeg",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serving.serve_preview(request._request, serving.find(request.user, photo_id))


class Original(ApiView):
    """The file."""

    @documented(
        "photos_original",
        "The file itself, under its own name; `Range` and `If-Range` are honoured.",
        ANSWERS,
        errors=(401, 404, 503),
        parameters=[VERSION, query("download", "Present: as an attachment, to be saved.", bool)],
        binary="*/*",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serving.serve_original(request._request, serving.find(request.user, photo_id))


class Metadata(ApiView):
    """What the file says."""

    @documented(
        "photos_metadata",
        "The metadata JSON: `photoMD5 width height captureDate cameraMake …`; what is unknown is absent.",
        ANSWERS,
        errors=(401, 404),
        binary="application/json",
    )
    def get(self, request: Request, photo_id: UUID) -> HttpResponseBase:
        """Send it."""
        return serving.serve_metadata(request._request, request.user, photo_id)
