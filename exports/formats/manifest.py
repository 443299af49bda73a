"""The `manifest.json` of an export: what is in the folder, so that a reader can check that it is whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1


class InvalidManifest(ValueError):
    """The manifest is damaged or names files outside its folder; nothing was read through it."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of an export; `path` is relative to its folder, `crc32` (8 hex digits) lets a ZIP be streamed."""

    path: str
    size_bytes: int
    sha256: str
    crc32: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export folder holds. `missing_media`: photos whose file could not be read, which are not in it."""

    format: str
    created: datetime
    photo_count: int
    media_count: int = 0
    date_range: Mapping[str, str] | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    missing_media: int = 0
    message: str = ""
    files: tuple[ManifestFile, ...] = ()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`; files in the order of their paths."""
    body = {
        "format": manifest.format,
        "version": MANIFEST_VERSION,
        "created": manifest.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "counts": {
            "photos": manifest.photo_count,
            "media": manifest.media_count,
            "missing_media": manifest.missing_media,
        },
        "date_range": dict(manifest.date_range) if manifest.date_range else None,
        "filter": dict(manifest.filter),
        "message": manifest.message,
        "files": [asdict(file) for file in sorted(manifest.files, key=lambda file: file.path)],
    }
    if not manifest.message:
        del body["message"]
    return json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest in `data`; InvalidManifest if it is none, or of a newer version, or names unsafe paths."""
    try:
        body = json.loads(data)
        if body["version"] != MANIFEST_VERSION:
            raise InvalidManifest(
                f"The manifest has version {body['version']!r}, not {MANIFEST_VERSION}: update the program."
            )
        files = tuple(_files(body["files"]))
        return Manifest(
            format=str(body["format"]),
            created=datetime.fromisoformat(body["created"]),
            photo_count=int(body["counts"]["photos"]),
            media_count=int(body["counts"]["media"]),
            missing_media=int(body["counts"]["missing_media"]),
            date_range=body["date_range"],
            filter=body["filter"],
            message=body.get("message", ""),
            files=files,
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidManifest(f"The manifest lacks or mistakes a value: {error}.") from error
    except InvalidManifest:
        raise
    except ValueError as error:
        raise InvalidManifest(f"The manifest cannot be read: {error}.") from error


def _files(entries: list[dict[str, Any]]) -> Iterator[ManifestFile]:
    for entry in entries:
        check_export_path(entry["path"])
        int(entry["crc32"], 16)
        yield ManifestFile(entry["path"], int(entry["size_bytes"]), str(entry["sha256"]), str(entry["crc32"]))


def check_export_path(path: str) -> str:
    """Return `path` if it is inside an export folder, whatever it is joined to; InvalidManifest if it may not."""
    parts = path.split("/")
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or any(part in ("", ".", "..") for part in parts):
        raise InvalidManifest(f"{path[:200]!r} is not a path inside an export folder.")
    return path
