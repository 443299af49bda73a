"""From a snapshot's entry to the columns of a row: what is told of content that no decoder has read here yet."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from catalog.entries.folder_comparison import UNREAD
from catalog.entries.sql import Row
from catalog.entries.taken import taken_columns, within
from catalog.history.restore_plan import Content, Wanted
from catalog.models import Photo
from catalog.snapshots.schema import EntryRow

_LARGEST = 2**31 - 1
_BODY_TEXTS = {
    "camera_make": ("cameraMake", 200),
    "camera_model": ("cameraModel", 200),
    "lens_model": ("lensModel", 200),
    "shutter_speed": ("shutterSpeed", 20),
}
_BODY_NUMBERS = {
    "iso": ("iso", 0, 2**31 - 1),
    "aperture": ("aperture", 0, 1e6),
    "focal_length": ("focalLength", 0, 1e6),
    "latitude": ("gpsLatitude", -90, 90),
    "longitude": ("gpsLongitude", -180, 180),
}


def told_columns(wanted: Wanted, zone: ZoneInfo) -> Row:
    """Return the columns that every snapshot tells."""
    entry = wanted.entry
    directory, _, filename = entry.path.rpartition("/")
    return {
        "id": entry.photo_id,
        "directory": directory,
        "filename": filename,
        "size_bytes": entry.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "head_md5": entry.head_md5 or "",
        "media_type": (entry.media_type or "")[:60],
        "width": within(entry.width, 1, _LARGEST),
        "height": within(entry.height, 1, _LARGEST),
        "orientation": within(entry.orientation, 1, 8) or 1,
        "duration_ms": entry.duration_ms,
        "rating": within(entry.rating, 0, 5),
        "rating_held": wanted.rating_held,
        "taken_held": wanted.taken_held,
        "caption_held": wanted.caption is not None,
        "keywords_held": wanted.keywords is not None,
        "place_held": wanted.place is not None,
        **_taken(entry, zone),
    }


def _taken(entry: EntryRow, zone: ZoneInfo) -> Row:
    """Return the columns of the capture time; the library's zone tells the instant where the file knew no offset."""
    try:
        local = datetime.fromisoformat(entry.taken_at or "")
        offset = local.utcoffset()
        instant = local.astimezone(UTC) if offset is not None else local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return taken_columns(None, None, None, "")
    wall = local.replace(tzinfo=None).isoformat()
    minutes = None if offset is None else round(offset.total_seconds() / 60)
    return taken_columns(wall, instant.isoformat(), minutes, entry.taken_at_source or "")


def content_columns(entry: EntryRow, content: Content) -> Row:
    """Return the columns of content that the row does not know; the next scan reads the file again for the rest."""
    told: Any = {}
    with suppress(ValueError, RecursionError):
        told = json.loads(content.body) if content.body else {}
    told = told if isinstance(told, dict) else {}
    texts = {name: told.get(key) for name, (key, _) in _BODY_TEXTS.items()}
    numbers = {name: told.get(key) for name, (key, _, _) in _BODY_NUMBERS.items()}
    columns: Row = {
        name: text[: _BODY_TEXTS[name][1]].replace("\x00", "") if isinstance(text, str) else ""
        for name, text in texts.items()
    }
    for name, number in numbers.items():
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        columns[name] = within(number, *_BODY_NUMBERS[name][1:]) if is_number else None
    columns["iso"] = int(columns["iso"]) if columns["iso"] is not None else None
    return {
        **columns,
        "photo_md5": entry.photo_md5 or "",
        "read_md5": entry.photo_md5 or "" if content.is_read else "",
        "replaced_md5": "",
        "replaced_image": "",
        "image_digest": content.image_digest,
        "sidecars": UNREAD,
        "state": Photo.State.READY if content.has_thumbnail else Photo.State.SURVEYED,
        "is_shown": True,
        "problem": "",
        "notes": [],
        "needs_digest": not content.has_thumbnail,
        "has_thumbnail": content.has_thumbnail,
        "placeholder": "",
        "keywords": [],
        "content_identifier": "",
        "motion_bytes": None,
        "look": None,
        "missing_since": None,
    }


def found_again_columns(photo: Photo) -> Row:
    """Return the columns of a photo that was missing and whose content the row still knows."""
    state = Photo.State.READY if photo.photo_md5 else Photo.State.SURVEYED
    if photo.problem:
        state = Photo.State.DAMAGED if photo.has_thumbnail else Photo.State.BROKEN
    return {
        "state": state,
        "is_shown": state != Photo.State.BROKEN,
        "needs_digest": not photo.photo_md5 and not photo.problem,
        "missing_since": None,
    }
