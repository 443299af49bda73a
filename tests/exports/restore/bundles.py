"""Make backups for tests: entries of every list, as bundles on disk."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from exports.bundle import layout
from exports.bundle.lists import encode_object, write_list

MADE = "2024-05-01T10:00:00Z"
CHANGED = "2024-06-01T10:00:00.123456Z"
EXPORTED = "2024-07-01T10:00:00Z"
ID = UUID("00000000-0000-4000-8000-000000000000")


def key(name: str) -> str:
    """Return an id, the same for the same name."""
    return str(uuid5(ID, name))


def album(name: str = "Rome", **fields: Any) -> dict[str, Any]:
    """Return an album of alice's."""
    return {
        "id": key(f"album {name}"),
        "title": name,
        "description": "",
        "cover": None,
        "order": "manual",
        "query": None,
        "allowsOriginals": False,
        "createdAt": MADE,
        "updatedAt": CHANGED,
        "owner": "alice",
        "members": [],
        **fields,
    }


def note(name: str = "Sunny", **fields: Any) -> dict[str, Any]:
    """Return a note of alice's."""
    return {
        "id": key(f"note {name}"),
        "type": "TEXT",
        "content": name,
        "caption": "",
        "mediaPath": None,
        "attachments": [],
        "notedAt": "2024-05-17T12:30:00+02:00",
        "place": None,
        "createdAt": MADE,
        "updatedAt": CHANGED,
        "owner": "alice",
        **fields,
    }


def draft(name: str = "Later", **fields: Any) -> dict[str, Any]:
    """Return a draft of alice's."""
    block = {
        "id": "1",
        "type": "text",
        "text": name,
        "attachment": None,
        "caption": "",
        "place": None,
        "mediaPath": None,
    }
    return {
        "id": key(f"draft {name}"),
        "blocks": [block],
        "albums": [key("album Rome")],
        "createdAt": MADE,
        "updatedAt": CHANGED,
        "owner": "alice",
        **fields,
    }


def item(album_id: str, kind: str, target: Any, position: str = "V", **fields: Any) -> dict[str, Any]:
    """Return an item of an album, added by alice."""
    return {
        "id": str(uuid5(UUID(album_id), f"{kind}:{target}")),
        "albumId": album_id,
        "targetType": kind,
        "targetId": str(target),
        "position": position,
        "addedAt": MADE,
        "addedBy": "alice",
        **fields,
    }


def rated(photo: Any, **fields: Any) -> dict[str, Any]:
    """Return what was said of a photo (a row): nothing but what is given."""
    return {
        "libraryId": str(photo.library_id),
        "photoId": str(photo.pk),
        "photoMD5": photo.photo_md5,
        "path": photo.path,
        "sizeBytes": photo.size_bytes,
        "rating": None,
        "ratedAt": None,
        "caption": None,
        "captionedAt": None,
        "taken": None,
        "datedAt": None,
        "place": None,
        "favourites": {},
        "favouredAt": {},
        **fields,
    }


def media_file(data: bytes, media_type: str = "image/png") -> dict[str, Any]:
    """Return the manifest's entry of a file."""
    md5 = hashlib.md5(data).hexdigest()
    path = f"2024/2024-05-17T10-30-00Z_{md5}.{layout.extension_of(media_type)}"
    return {
        "exportPath": path,
        "sourceUri": f"media/{md5[:2]}/{md5}",
        "photo_md5": md5,
        "size_bytes": len(data),
        "media_type": media_type,
    }


def attached(data: bytes, name: str = "picture.png", media_type: str = "image/png") -> dict[str, Any]:
    """Return the attachment of a file."""
    entry = media_file(data, media_type)
    return {
        "media_md5": entry["photo_md5"],
        "media_type": media_type,
        "size_bytes": len(data),
        "name": name,
        "mediaPath": entry["exportPath"],
    }


def metadata(lists: Mapping[str, list[Any]], **fields: Any) -> dict[str, Any]:
    """Return the metadata of a backup of alice's with these lists, by the names of their files."""

    def count(file: layout.ListFile) -> int:
        return len(lists.get(file.name, []))

    return {
        "version": layout.VERSION,
        "exportDate": EXPORTED,
        "userId": key("alice"),
        "username": "alice",
        "deviceId": "",
        "appVersion": "1",
        "epoch": 7,
        "scope": "person",
        "stats": {
            "albumCount": count(layout.ALBUMS),
            "noteCount": count(layout.NOTES),
            "draftCount": count(layout.DRAFTS),
            "mediaCount": count(layout.MEDIA_MANIFEST),
            "ratingCount": count(layout.RATINGS),
            "photoCount": count(layout.PHOTOS),
        },
        "counts": {name: len(entries) for name, entries in lists.items()},
        **fields,
    }


def bundle(
    folder: Path,
    lists: Mapping[layout.ListFile, list[Any]],
    media: tuple[bytes, ...] = (),
    **of_metadata: Any,
) -> Path:
    """Write a backup with these entries and files; return its folder."""
    folder.mkdir(parents=True)
    given = {file: list(lists.get(file, [])) for file in (layout.ALBUMS, layout.NOTES, layout.DRAFTS, *lists)}
    if media:
        given[layout.MEDIA_MANIFEST] = sorted(map(media_file, media), key=lambda entry: str(entry["exportPath"]))
    for file, entries in given.items():
        with (folder / file.name).open("wb") as stream:
            write_list(stream, file.key, entries)
    for data in media:
        path = folder / "media" / media_file(data)["exportPath"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    said = metadata({file.name: entries for file, entries in given.items()}, **of_metadata)
    (folder / layout.METADATA_NAME).write_bytes(encode_object(said))
    return folder


def zipped(folder: Path, top: str = "") -> Path:
    """Return a ZIP of the folder, all of it below one folder if `top` names one."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder)}")
    return path


def comparable(folder: Path) -> dict[str, Any]:
    """Return all of a bundle, but for what differs by nature; the manifest follows from the others."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_dir() or name in (layout.MANIFEST_NAME, layout.METADATA_NAME):
            continue
        found[name] = path.read_bytes() if path.suffix != ".json" else _without_numbers(json.loads(path.read_bytes()))
    found[layout.METADATA_NAME] = layout.comparable(json.loads((folder / layout.METADATA_NAME).read_bytes()))
    return found


def _without_numbers(value: Any) -> Any:
    (key,) = value
    return {key: [{name: one for name, one in entry.items() if name != "syncVersion"} for entry in value[key]]}
