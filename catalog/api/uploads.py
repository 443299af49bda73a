"""Resumable upload into a library: tus 1.0 with creation, termination, checksum and expiration."""

import re
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.urls import reverse
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.importing import uploads
from catalog.importing.finished_uploads import UploadStatus, status_of
from catalog.importing.upload_refusals import UploadRefused
from catalog.models import FinishedUpload, Import, ImportItem, Upload
from photolala.web.parameters import utc_text
from photolala.web.problems import problem
from photolala.web.views import ApiView, documented

from .tus_headers import (
    ANSWERED,
    BASIC,
    CHECKSUM_HEADER,
    LARGEST_BYTES,
    LENGTH_HEADER,
    LOCATION,
    METADATA_HEADER,
    NUMBER,
    OFFERS,
    OFFSET_HEADER,
    PIECE,
    VERSION,
    VERSION_HEADER,
    BadUpload,
    answer_headers,
    read_checksum,
    read_id,
    read_metadata,
    require_version,
)

_MD5 = re.compile(r"[0-9a-f]{32}")


class UploadBody(serializers.Serializer[Any]):
    """An upload that was begun; the same in headers."""

    id = serializers.UUIDField()
    library = serializers.UUIDField()
    path = serializers.CharField(help_text="As it was sent.")
    size_bytes = serializers.IntegerField()
    state = serializers.ChoiceField(["receiving", *ImportItem.State.values])
    photo = serializers.UUIDField(allow_null=True)
    expires_at = serializers.DateTimeField()

    def get_fields(self) -> Any:
        """Add the one that Python has a word for."""
        return {**super().get_fields(), "import": serializers.UUIDField()}


class TusView(ApiView):
    """What both addresses share: the protocol's version, and errors as problem details with the protocol's headers."""

    parser_classes: list[Any] = []

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Let clients that can only POST say the verb that they mean in a header (tus 1.0)."""
        meant = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and meant in ("PATCH", "DELETE", "HEAD"):
            request.method = meant
        return super().dispatch(request, *args, **kwargs)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Say what of the protocol is spoken."""
        return HttpResponse(status=204, headers={**BASIC, **OFFERS})

    def handle_exception(self, exc: Exception) -> Response:
        """Turn what is wrong into a problem."""
        if isinstance(exc, BadUpload):
            return problem(exc.status, str(exc), exc.code, {**BASIC, "Tus-Version": VERSION})
        if isinstance(exc, UploadRefused):
            return _problem(exc)
        answer = super().handle_exception(exc)
        for name, value in BASIC.items():
            answer[name] = value
        return answer


class UploadList(TusView):
    """Create uploads (tus)."""

    @documented(
        "uploads_create",
        "Begin to send a file (tus 1.0 creation). Upload-Metadata: `filename` (needed; may hold folders), `import` or `library` "
        "(one is needed), `layout`, `mtime` (milliseconds since 1970), `md5`: with it a file that the library or its trash "
        "has is refused with 422, type `urn:photolala:problem:duplicate`, `photo_id` and `state` (`in_trash`, else the "
        "photo's). Clients that were asked to retry do not repeat that. Ask for many at once: `libraries/{id}/missing/`.",
        {201: UploadBody},
        errors=(400, 401, 403, 404, 412, 413, 422, 507),
        parameters=[VERSION_HEADER, LENGTH_HEADER, METADATA_HEADER, *ANSWERED[:-2], LOCATION],
    )
    def post(self, request: Request) -> HttpResponse:
        require_version(request)
        size = request.headers.get("Upload-Length", "")
        if not NUMBER.fullmatch(size) or int(size) > LARGEST_BYTES:
            raise BadUpload(400, "Upload-Length must say the size of the file in bytes.", "upload_length")
        said = read_metadata(request.headers.get("Upload-Metadata", ""))
        layout = said.get("layout") or Import.Layout.MONTH
        if layout not in Import.Layout.values:
            raise BadUpload(400, f"layout is one of {', '.join(Import.Layout.values)}.", "layout")
        md5 = said.get("md5", "").lower()
        if md5 and not _MD5.fullmatch(md5):
            raise BadUpload(400, "md5 must be 32 hexadecimal digits.", "md5")
        milliseconds = said.get("mtime", "")
        if milliseconds and not NUMBER.fullmatch(milliseconds):
            raise BadUpload(400, "mtime must be milliseconds since 1970.", "mtime")
        wanted = uploads.batch_for(request.user, read_id(said, "import"), read_id(said, "library"), layout)
        upload = uploads.begin(
            request.user,
            wanted,
            said.get("filename", ""),
            int(size),
            mtime_ns=min(int(milliseconds), 2**42) * 10**6 if milliseconds else None,
            md5=md5,
        )
        location = reverse("api:upload", args=[upload.pk])
        status = status_of(uploads.find(request.user, upload.pk) or upload)
        return Response(
            _json(status, upload), status=201, headers={**answer_headers(upload, status), "Location": location}
        )


class UploadDetail(TusView):
    """One upload of one's own."""

    @documented(
        "uploads_offset",
        "How far it has come (tus 1.0), in Upload-Offset, and what became of it. One that is finished says its full length "
        "until it expires.",
        {200: "See the headers."},
        errors=(401, 404, 412, 423),
        parameters=[VERSION_HEADER, *ANSWERED],
    )
    def head(self, request: Request, upload_id: UUID) -> HttpResponse:
        upload = _find(request, upload_id)
        if isinstance(upload, Upload):
            upload = uploads.find_any(request.user, uploads.settle(upload).pk) or upload
        if isinstance(upload, FinishedUpload):
            return HttpResponse(status=200, headers=answer_headers(upload, status_of(upload), upload.size_bytes))
        offset = uploads.offset_of(upload)
        if offset == upload.size_bytes and upload.completed_at is None:  # complete is what will be imported, not before
            raise UploadRefused("The last piece of this file is being taken just now.", "locked", 423)
        return HttpResponse(status=200, headers=answer_headers(upload, status_of(upload), offset))

    @documented(
        "uploads_append",
        "Send the next piece (tus 1.0): Upload-Offset says where it begins; Upload-Checksum may come along. The last piece "
        "starts the import.",
        {204: "Upload-Offset is how far it has come."},
        errors=(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 423, 460, 503, 507),
        parameters=[VERSION_HEADER, OFFSET_HEADER, CHECKSUM_HEADER, *ANSWERED],
        request={PIECE: bytes},
    )
    def patch(self, request: Request, upload_id: UUID) -> HttpResponse:
        """Add it to the staged file."""
        upload = _find(request, upload_id)
        if request.content_type != PIECE:
            raise BadUpload(415, f"A piece is sent as {PIECE}.", "content_type")
        offset = request.headers.get("Upload-Offset", "")
        if not NUMBER.fullmatch(offset):
            raise BadUpload(400, "Upload-Offset must say where the piece begins.", "upload_offset")
        length = request.headers.get("Content-Length", "")
        if isinstance(upload, FinishedUpload):
            if int(offset) != upload.size_bytes or request._request.read(1):
                raise _over(upload)
            return HttpResponse(status=204, headers=answer_headers(upload, status_of(upload), upload.size_bytes))
        arrived = uploads.append(
            upload,
            int(offset),
            request._request.read,
            int(length) if NUMBER.fullmatch(length) else None,
            read_checksum(request.headers.get("Upload-Checksum", "")),
        )
        now = uploads.find_any(request.user, upload.pk) or upload
        return HttpResponse(status=204, headers=answer_headers(now, status_of(now), arrived))

    @documented(
        "uploads_delete",
        "Give it up (tus 1.0 termination). 409 once all of it has arrived: delete the photo instead.",
        {204: "What was sent is removed."},
        errors=(401, 403, 404, 409, 412),
        parameters=[VERSION_HEADER],
    )
    def delete(self, request: Request, upload_id: UUID) -> HttpResponse:
        upload = _find(request, upload_id)
        if isinstance(upload, FinishedUpload):
            raise _over(upload)
        uploads.drop(upload)
        return HttpResponse(status=204, headers=BASIC)


def _find(request: Request, upload_id: UUID) -> Upload | FinishedUpload:
    upload = uploads.find_any(request.user, upload_id)
    if upload is None:
        raise Http404
    require_version(request)
    return upload


def _over(upload: FinishedUpload) -> UploadRefused:
    """Return why nothing can be done to an upload that is over, naming what became of it."""
    status = status_of(upload)
    return UploadRefused(
        "The file has arrived whole, and what became of it is decided. Delete the photo if you do not want it.",
        "complete",
        409,
        photo_id=str(status.photo) if status.photo else None,
        state=status.state,
        **{"import": str(status.import_id)},
    )


def _json(status: UploadStatus, upload: Upload) -> dict[str, Any]:
    return {
        "id": str(status.upload),
        "import": str(status.import_id),
        "library": str(upload.import_run.library_id),
        "path": status.sent_path,
        "size_bytes": upload.size_bytes,
        "state": status.state,
        "photo": str(status.photo) if status.photo else None,
        "expires_at": utc_text(upload.expires_at),
    }


def _problem(refused: UploadRefused) -> Response:
    return problem(refused.status, str(refused), refused.code, BASIC, **refused.members)
