"""Resumable upload into one's own media store: tus 1.0 with creation, termination, checksum and expiration."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.http import http_date

from accounts.requests import Request
from catalog.albums import media, media_uploads
from catalog.albums.media_uploads import Sending, Stopped
from catalog.importing.upload_refusals import UploadRefused
from catalog.importing.uploads import CHECKSUMS
from photolala.web.views import documented

from .notes import MD5
from .refusals import told
from .tus_headers import (
    ANSWERED,
    BASIC,
    CHECKSUM_HEADER,
    LENGTH_HEADER,
    LOCATION,
    METADATA_HEADER,
    NUMBER,
    OFFSET_HEADER,
    PIECE,
    VERSION_HEADER,
    BadUpload,
    read_checksum,
    read_metadata,
    require_version,
)
from .uploads import TusView

_MD5 = re.compile(r"[0-9a-f]{32}")
_STATUSES = {
    "offset": 409,
    "complete": 409,
    "gone": 410,
    "too_long": 413,
    "locked": 423,
    "checksum": 460,
    "no_space": 507,
}
_SAID = [one for one in ANSWERED if not one.name.startswith("Photolala-")]


class MediaUploadList(TusView):
    """Begin to send a file for notes and drafts (tus)."""

    @documented(
        "media_uploads_create",
        "Begin to send a file for notes and drafts (tus 1.0 creation). Upload-Metadata: `md5` of all of it and `media_type`. "
        f"At most {media.LARGEST_BYTES // 2**20} MiB. The same file begun again goes on where it was, and one that the store has "
        "is complete at once: ask its Location how far it has come.",
        {201: "See the headers."},
        errors=(400, 401, 403, 412, 413, 422, 423, 507),
        parameters=[VERSION_HEADER, LENGTH_HEADER, METADATA_HEADER, *_SAID, LOCATION],
    )
    def post(self, request: Request) -> HttpResponse:
        require_version(request)
        size = request.headers.get("Upload-Length", "")
        if not NUMBER.fullmatch(size):
            raise BadUpload(400, "Upload-Length must say the size of the file in bytes.", "upload_length")
        said = read_metadata(request.headers.get("Upload-Metadata", ""))
        md5 = said.get("md5", "").lower()
        if not _MD5.fullmatch(md5):
            raise BadUpload(400, "md5 must be in Upload-Metadata: 32 hexadecimal digits.", "md5")
        with _told():
            sending = media_uploads.begin(request.user, md5, said.get("media_type", "").lower(), int(size))
        location = reverse("api:media-upload", args=[md5])
        return HttpResponse(status=201, headers={**_headers(sending), "Location": location})


class MediaUploadDetail(TusView):
    """One file on its way into one's own media store."""

    @documented(
        "media_uploads_offset",
        "How far it has come (tus 1.0), in Upload-Offset; its full length once it is in the media store.",
        {200: "See the headers."},
        errors=(401, 404, 410, 412, 413, 422, 423),
        parameters=[VERSION_HEADER, MD5, *_SAID],
    )
    def head(self, request: Request, md5: str) -> HttpResponse:
        with _told():
            sending = media_uploads.settle(request.user, _find(request, md5))
        if sending is None:
            raise Http404
        return HttpResponse(status=200, headers=_headers(sending))

    @documented(
        "media_uploads_append",
        "Send the next piece (tus 1.0): Upload-Offset says where it begins; Upload-Checksum may come along. The last piece puts "
        "the file into the media store; notes and drafts may hold it from then on.",
        {204: "Upload-Offset is how far it has come."},
        errors=(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 422, 423, 460, 503, 507),
        parameters=[VERSION_HEADER, OFFSET_HEADER, CHECKSUM_HEADER, MD5, *_SAID],
        request={PIECE: bytes},
    )
    def patch(self, request: Request, md5: str) -> HttpResponse:
        """Add it to what has come."""
        sending = _find(request, md5)
        if request.content_type != PIECE:
            raise BadUpload(415, f"A piece is sent as {PIECE}.", "content_type")
        offset = request.headers.get("Upload-Offset", "")
        if not NUMBER.fullmatch(offset):
            raise BadUpload(400, "Upload-Offset must say where the piece begins.", "upload_offset")
        checksum = read_checksum(request.headers.get("Upload-Checksum", ""))
        digest = CHECKSUMS[checksum[0]](usedforsecurity=False) if checksum else None
        with _told():
            arrived = media_uploads.append(
                request.user,
                sending,
                int(offset),
                request._request.read,
                digest,
                checksum[1] if checksum else b"",
            )
        said = {**_headers(sending), "Upload-Offset": str(arrived)}
        return HttpResponse(status=204, headers=said)

    @documented(
        "media_uploads_delete",
        "Give it up (tus 1.0 termination). 409 once it is in the media store: what nothing holds is removed by itself.",
        {204: "What was sent is removed."},
        errors=(401, 403, 404, 409, 412),
        parameters=[VERSION_HEADER, MD5],
    )
    def delete(self, request: Request, md5: str) -> HttpResponse:
        with _told():
            media_uploads.drop(_find(request, md5))
        return HttpResponse(status=204, headers=BASIC)


def _find(request: Request, md5: str) -> Sending:
    sending = media_uploads.find(request.user, md5) if _MD5.fullmatch(md5) else None
    if sending is None:
        raise Http404
    require_version(request)
    return sending


@contextmanager
def _told() -> Iterator[None]:
    """Raise what the API says of what was refused in the block."""
    try:
        with told():
            yield
    except Stopped as stopped:
        raise UploadRefused(str(stopped), stopped.code, _STATUSES[stopped.code]) from None


def _headers(sending: Sending) -> dict[str, str]:
    return {
        **BASIC,
        "Upload-Expires": http_date(sending.expires_at.timestamp()),
        "Upload-Offset": str(sending.offset),
        "Upload-Length": str(sending.size_bytes),
    }
