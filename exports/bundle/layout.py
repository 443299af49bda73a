"""The files of a bundle, in the order in which they are written, and the paths of its media."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .entries import (
    Album,
    AlbumItem,
    Alias,
    Destination,
    Device,
    Draft,
    ExportRecordEntry,
    Library,
    MediaFile,
    Note,
    PhotoReference,
    RatedPhoto,
    Setting,
    Snapshot,
    User,
    WaitingPhoto,
)

VERSION = "1.0"
METADATA_NAME = "metadata.json"
ISSUES_NAME = "issues.txt"
MANIFEST_NAME = "manifest.json"
"""Size, SHA-256 and CRC-32 of every other file, as catalog exports have it (`exports.formats.manifest`)."""
MEDIA_FOLDER = "media"
LONGEST_EXTENSION = 10

_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/tiff": "tif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/3gpp": "3gp",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/flac": "flac",
}
_MEDIA_PATH = re.compile(
    r"[0-9]{4}/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z_[0-9a-f]{32}\.[a-z0-9]{1,10}"
)


@dataclass(frozen=True)
class ListFile:
    """A JSON file that holds one object with one list: `{"<key>": [entries]}`, sorted by `sorted_by`."""

    name: str
    key: str
    entry: type
    sorted_by: tuple[str, ...] = ("id",)
    of_server: bool = False
    """Only a backup of the whole server has it."""


LIBRARIES = ListFile("libraries.json", "libraries", Library)
ALBUMS = ListFile("albums.json", "albums", Album)
NOTES = ListFile("notes.json", "notes", Note)
DRAFTS = ListFile("drafts.json", "drafts", Draft)
ALBUM_ITEMS = ListFile("album_items.json", "albumItems", AlbumItem)
RATINGS = ListFile("ratings.json", "photos", RatedPhoto, ("photoId",))
PHOTOS = ListFile("photos.json", "photos", PhotoReference)
WAITING = ListFile("waiting_photos.json", "waiting", WaitingPhoto, ("user", "photoId"))
DESTINATIONS = ListFile("export_destinations.json", "destinations", Destination)
EXPORT_RECORDS = ListFile("export_records.json", "exportRecords", ExportRecordEntry, ("destinationId", "record.id"))
USERS = ListFile("users.json", "users", User, of_server=True)
DEVICES = ListFile("devices.json", "devices", Device, of_server=True)
SETTINGS = ListFile("settings.json", "settings", Setting, ("name",), of_server=True)
SNAPSHOTS = ListFile("snapshots.json", "snapshots", Snapshot, ("libraryId", "md5"), of_server=True)
ALIASES = ListFile("aliases.json", "aliases", Alias, ("libraryId", "oldMD5"), of_server=True)
MEDIA_MANIFEST = ListFile("media_manifest.json", "files", MediaFile, ("exportPath",))
LIST_FILES = (
    *(USERS, DEVICES, SETTINGS, LIBRARIES, SNAPSHOTS, ALIASES),
    *(ALBUMS, NOTES, DRAFTS, ALBUM_ITEMS, RATINGS, PHOTOS, WAITING, DESTINATIONS, EXPORT_RECORDS, MEDIA_MANIFEST),
)


def list_files(*, of_server: bool) -> tuple[ListFile, ...]:
    """Return the list files of a bundle of one person, or of the server, in the order in which they are written."""
    return tuple(file for file in LIST_FILES if of_server or not file.of_server)


def media_path(moment: datetime, md5: str, media_type: str) -> str:
    """Return where below `media/` a file is kept: one path for one content.

    `moment` is that of the earliest thing that holds it; its year in UTC is the folder.
    """
    time = moment.astimezone(UTC)
    year = f"{time.year:04}"  # strftime pads no years
    return f"{year}/{year}-{time:%m-%dT%H-%M-%S}Z_{md5}.{extension_of(media_type)}"


def extension_of(media_type: str) -> str:
    """Return the extension, without its dot, of files of a media type; `bin` where none is known."""
    known = _EXTENSIONS.get(media_type)
    if known:
        return known
    guessed = (mimetypes.guess_extension(media_type) or ".bin")[1:].lower()
    return guessed if guessed.isascii() and guessed.isalnum() and len(guessed) <= LONGEST_EXTENSION else "bin"


def is_media_path(path: str) -> bool:
    """Tell whether `media_path` can have made it: nothing else is opened below `media/`."""
    return _MEDIA_PATH.fullmatch(path) is not None


def comparable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata without what differs between two backups of the same things: when, and in which epoch."""
    return {name: value for name, value in metadata.items() if name not in ("exportDate", "epoch")}


def time_text(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with `Z`, to the microsecond if it has any: what was read back is the same moment."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
