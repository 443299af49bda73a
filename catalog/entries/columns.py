"""Turn what a decoder answered into a photo's row; what no column can hold is taken for unknown."""

import re
from datetime import datetime

from catalog.entries.decoders import can_be_drawn_on_demand
from catalog.entries.folder_comparison import UNREAD, Entry
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.entries.taken import taken_columns, within
from catalog.media.look import NO_LOOK
from catalog.media.results import DigestResult, SurveyResult
from catalog.models import Library, Photo
from catalog.models.photo import photo_id
from photolala.lib.paths import join_path

_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LARGEST_INTEGER = 2**31 - 1
_LARGEST_BIG_INTEGER = 2**63 - 1


def survey_columns(result: SurveyResult, *, media_type: str = "") -> Row:
    """Return the columns that both survey and digest write; `media_type` stands where the answer has none."""
    told = result.media_type if _MEDIA_TYPE.fullmatch(result.media_type) else ""
    return {
        "problem": result.problem,
        "notes": result.notes,
        "media_type": told or media_type,
        "width": within(result.width, 1, _LARGEST_INTEGER),
        "height": within(result.height, 1, _LARGEST_INTEGER),
        "orientation": within(result.orientation, 1, 8) or 1,
        "duration_ms": within(result.duration_ms, 0, _LARGEST_BIG_INTEGER),
        "placeholder": result.placeholder if _COLOUR.fullmatch(result.placeholder) else "",
        **taken_columns(result.taken_local, result.taken_at, result.offset_minutes, result.taken_source),
    }


def digest_columns(result: DigestResult, *, media_type: str = "") -> Row:
    """Return all columns that a digest fills from the file's content."""
    latitude, longitude = within(result.latitude, -90, 90), within(result.longitude, -180, 180)
    has_place = latitude is not None and longitude is not None
    return {
        **survey_columns(result, media_type=media_type),
        "camera_make": result.camera_make[:200],
        "camera_model": result.camera_model[:200],
        "lens_model": result.lens_model[:200],
        "iso": within(result.iso, 0, _LARGEST_INTEGER),
        "aperture": within(result.aperture, 0, 1e6),
        "shutter_speed": result.shutter_speed[:20],
        "focal_length": within(result.focal_length, 0, 1e6),
        "latitude": latitude if has_place else None,
        "longitude": longitude if has_place else None,
        "rating": within(result.rating, 0, 5),
        "caption": result.caption,
        "keywords": result.keywords,
        "content_identifier": result.content_identifier[:100],
        "motion_bytes": within(result.motion_bytes, 0, _LARGEST_BIG_INTEGER) or 0,
        "image_digest": result.image_digest,
        "look": look_in(result),
    }


def look_in(result: DigestResult) -> int:
    """Return the look of the picture that was drawn, as its column has it."""
    return within(result.look, 1, _LARGEST_BIG_INTEGER) or NO_LOOK


def size_and_time(result: SurveyResult, listed: tuple[int, int]) -> Row:
    """Return size and time of the file that was read; those of the listing if the answer cannot be true."""
    if result.size_bytes < 0:
        return {"size_bytes": listed[0], "mtime_ns": listed[1]}
    return {"size_bytes": result.size_bytes, "mtime_ns": result.mtime_ns}


def surveyed_row(
    library: Library, place: tuple[str, str], entry: Entry, result: SurveyResult, *, added_at: datetime
) -> Row:
    """Return the row of a photo at `place` (folder, name) whose head was read; one that was not is tried again."""
    path = join_path(*place)
    was_read = bool(result.head_md5)
    facts: Row = {"size_bytes": entry[0], "mtime_ns": entry[1]}
    if was_read:
        facts = size_and_time(result, entry[:2])
    is_shown = was_read and not result.problem
    return {
        "id": photo_id(library.pk, path, f"{result.head_md5}:{facts['size_bytes']}"),
        "library_id": library.pk,
        "directory": place[0],
        "filename": place[1],
        "added_at": added_at,
        **facts,
        "sidecars": entry[2] if was_read else UNREAD,
        "head_md5": result.head_md5,
        "photo_md5": "",
        "state": Photo.State.SURVEYED if is_shown else Photo.State.BROKEN,
        "is_shown": is_shown,
        "needs_digest": was_read,
        "claimed_for": "",
        "claimed_until": None,
        "has_thumbnail": False,
        "missing_since": None,
        **survey_columns(result),
    }


def digested_row(photo: Claimed, result: DigestResult) -> Row:
    """Return the columns of a photo that was read whole, or could not be: then it is tried again by the next scan."""
    was_read = bool(result.head_md5 and result.photo_md5)
    state = Photo.State.READY
    has_thumbnail = was_read and bool(result.thumbnail)
    if (
        was_read
        and result.too_large
        and (has_thumbnail or can_be_drawn_on_demand(result.needed_bytes, result.size_bytes))
    ):
        # Not broken: its embedded thumbnail serves, or it is drawn when somebody looks, by a decoder with more room.
        result.notes, result.problem, has_thumbnail = [*result.notes[:49], result.problem], "", True
    if result.problem or not was_read:
        state = Photo.State.DAMAGED if was_read and result.damaged and result.thumbnail else Photo.State.BROKEN
    facts: Row = {"size_bytes": photo.size_bytes, "mtime_ns": photo.mtime_ns}
    if was_read:
        facts = size_and_time(result, (photo.size_bytes, photo.mtime_ns))
    return {
        "id": photo.id,
        "claim_token": photo.claim_token,
        "directory": photo.directory,
        "filename": photo.filename,
        "metadata_body": result.metadata_body if was_read else "",
        **facts,
        "sidecars": photo.sidecars if was_read else UNREAD,
        "head_md5": result.head_md5 if was_read else "",
        "photo_md5": result.photo_md5 if was_read else "",
        "read_md5": result.photo_md5 if was_read else "",
        "state": state,
        "is_shown": state != Photo.State.BROKEN,
        "has_thumbnail": has_thumbnail,
        **digest_columns(result, media_type=photo.media_type),
    }
