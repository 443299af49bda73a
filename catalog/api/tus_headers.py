"""The headers of tus 1.0 (uploads in pieces): how they are described, read and answered."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from catalog.importing import uploads
from catalog.importing.finished_uploads import UploadStatus
from catalog.models import FinishedUpload, Upload

VERSION = "1.0.0"
BASIC = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}
OFFERS = {
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,termination,checksum,expiration",
    "Tus-Checksum-Algorithm": ",".join(uploads.CHECKSUMS),
}
PIECE = "application/offset+octet-stream"
LARGEST_BYTES = 10**13
NUMBER = re.compile(r"[0-9]{1,15}")


def _said(name: str, description: str, kind: Any = str, *, required: bool = False) -> OpenApiParameter:
    """Describe a header of the request."""
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=description, required=required)


def _answered(name: str, description: str, statuses: Sequence[int], kind: Any = str) -> OpenApiParameter:
    """Describe a header of the answers with these statuses."""
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=description, response=list(statuses))


_SIZE = {"type": "integer", "minimum": 0, "maximum": LARGEST_BYTES}
_ONLY = {"type": "string", "enum": [VERSION]}
_METADATA = {"type": "string", "format": "tus-metadata"}
_CHECKSUM = {"type": "string", "format": "tus-checksum"}
VERSION_HEADER = _said("Tus-Resumable", "The protocol's version.", _ONLY, required=True)
LENGTH_HEADER = _said("Upload-Length", "The size of the file in bytes.", _SIZE, required=True)
METADATA_HEADER = _said(
    "Upload-Metadata", "Keys, each with base64 of UTF-8, separated by commas.", _METADATA, required=True
)
OFFSET_HEADER = _said("Upload-Offset", "Where the piece begins, in bytes.", _SIZE, required=True)
CHECKSUM_HEADER = _said(
    "Upload-Checksum", f"One of {', '.join(uploads.CHECKSUMS)}, a space, and base64 of the digest.", _CHECKSUM
)
DONE = (200, 201, 204)
LOCATION = _answered("Location", "Where the pieces go.", [201])
ANSWERED = [
    _answered("Tus-Resumable", "`1.0.0`.", DONE),
    _answered("Upload-Expires", "Until when it can be continued, and answers.", DONE),
    _answered("Photolala-Upload", "Its id.", DONE, OpenApiTypes.UUID),
    _answered("Photolala-Import", "The import that takes it in.", DONE, OpenApiTypes.UUID),
    _answered("Photolala-Path", "The path as it was sent, as UTF-8 with percent signs.", DONE),
    _answered("Photolala-State", "`receiving`, or the state of its item in the import.", DONE),
    _answered(
        "Photolala-Photo", "The photo that it became, or is a duplicate of; absent while open.", DONE, OpenApiTypes.UUID
    ),
    _answered("Upload-Offset", "How far it has come.", DONE, OpenApiTypes.INT64),
    _answered("Upload-Length", "The size of the file.", DONE, OpenApiTypes.INT64),
]


class BadUpload(Exception):
    """The headers are not right; (status, sentence, code)."""

    def __init__(self, status: int, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


def require_version(request: Request) -> None:
    """Raise BadUpload (412) if the client does not say that it speaks this version."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise BadUpload(412, f"This server speaks tus {VERSION}; send the header Tus-Resumable.", "tus_version")


def answer_headers(upload: Upload | FinishedUpload, status: UploadStatus, offset: int | None = None) -> dict[str, str]:
    """Return what every answer about an upload says in headers, for clients that read no body."""
    said = {
        **BASIC,
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
        "Photolala-Upload": str(status.upload),
        "Photolala-Import": str(status.import_id),
        "Photolala-Path": quote(status.sent_path),
        "Photolala-State": status.state,
    }
    if status.photo:
        said["Photolala-Photo"] = str(status.photo)
    if offset is not None:
        said |= {"Upload-Offset": str(offset), "Upload-Length": str(upload.size_bytes)}
    return said


def read_metadata(header: str) -> dict[str, str]:
    """Return Upload-Metadata: keys with base64 of UTF-8. Raises BadUpload."""
    said: dict[str, str] = {}
    try:
        for pair in filter(None, (part.strip() for part in header[:20_000].split(","))):
            key, _, value = pair.partition(" ")
            said[key] = base64.b64decode(value.strip().encode("ascii"), validate=True).decode()
    except (ValueError, binascii.Error, UnicodeError):
        raise BadUpload(400, "Upload-Metadata must be pairs of a key and base64 of UTF-8.", "upload_metadata") from None
    return said


def read_id(said: dict[str, str], name: str) -> UUID | None:
    """Return an id of the metadata, None without one. Raises BadUpload."""
    try:
        return UUID(said[name]) if said.get(name) else None
    except ValueError:
        raise BadUpload(400, f"{name} must be an id (a UUID).", "bad_id") from None


def read_checksum(header: str) -> tuple[str, bytes] | None:
    """Return (algorithm, digest) of Upload-Checksum. Raises BadUpload."""
    if not header:
        return None
    name, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if name not in uploads.CHECKSUMS or not digest:
        raise BadUpload(
            400, f"Upload-Checksum must be one of {', '.join(uploads.CHECKSUMS)} and base64.", "upload_checksum"
        )
    return name, digest
