"""The entry of a backup for each row: a library, an album, a note, a draft, what was said of a photo."""

from typing import Any

from catalog.models import Album, Draft, Library, Note, Photo
from exports.bundle import entries
from exports.bundle.layout import time_text


def library_entry(row: Library, members: list[entries.Member]) -> entries.Library:
    """Return the entry of a library with its settings and members."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "root": row.root,
        "source": row.source,
        "owner": row.owner.get_username(),
        "members": members,
        "settings": {
            "ratings": row.ratings,
            "fileTimes": row.file_times,
            "timeZone": row.time_zone,
            "scanEveryHours": row.scan_every_hours,
            "verifyEveryDays": row.verify_every_days,
            "isWatched": row.is_watched,
            "trashDays": row.trash_days,
        },
        "snapshotMD5": row.snapshot_md5,
        "createdAt": time_text(row.created_at),
    }


def album_entry(row: Album, members: list[entries.Member]) -> entries.Album:
    """Return the entry of an album with its members."""
    return {
        "id": str(row.pk),
        "title": row.title,
        "description": row.description,
        "cover": str(row.cover_id) if row.cover_id else None,
        "order": row.order,
        "query": with_sorted_keys(row.query),
        "allowsOriginals": row.allows_originals,
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
        "members": members,
    }


def note_entry(row: Note, paths: dict[str, str]) -> entries.Note:
    """Return the entry of a note; `paths` are those of attached files in the backup, by MD5."""
    held = [_attachment(one, paths) for one in row.attachments]
    local = row.noted_local.replace(tzinfo=None).isoformat()
    sign, minutes = ("-" if row.noted_offset_minutes < 0 else "+"), abs(row.noted_offset_minutes)
    return {
        "id": str(row.pk),
        "type": row.type,
        "content": row.content,
        "caption": row.caption,
        "mediaPath": next((one["mediaPath"] for one in held if "mediaPath" in one), None),
        "attachments": held,
        "notedAt": f"{local}{sign}{minutes // 60:02}:{minutes % 60:02}",
        "place": _place_entry(row.place),
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
    }


def draft_entry(row: Draft, paths: dict[str, str]) -> entries.Draft:
    """Return the entry of a draft; `paths` as for a note."""
    return {
        "id": str(row.pk),
        "blocks": [_block(block, paths) for block in row.blocks],
        "albums": [str(key) for key in row.albums],
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
    }


def _block(block: dict[str, Any], paths: dict[str, str]) -> entries.Block:
    held = block.get("attachment")
    kept: Any = _ordered(block, ("id", "type", "text", "attachment", "caption", "place"))
    kept["attachment"] = _attachment(held, paths) if held else None
    kept["place"] = _place_entry(block.get("place"))
    kept["mediaPath"] = kept["attachment"].get("mediaPath") if held else None
    return kept  # type: ignore[no-any-return]


def _attachment(held: dict[str, Any], paths: dict[str, str]) -> entries.Attachment:
    one: Any = _ordered(held, ("photo", "media_md5", "media_type", "size_bytes", "name"))
    if "media_md5" in one and one["media_md5"] in paths:
        one["mediaPath"] = paths[one["media_md5"]]
    return one  # type: ignore[no-any-return]


def _place_entry(value: dict[str, Any] | None) -> entries.Place | None:
    return _ordered(value, ("latitude", "longitude", "name")) if value else None  # type: ignore[return-value]


def _ordered(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return an object with its keys in this order, further ones sorted: each database gives them in another one."""
    known = {name: value[name] for name in names if name in value}
    return known | {name: value[name] for name in sorted(value) if name not in known}


def with_sorted_keys(value: Any) -> Any:
    """Return JSON with the keys of each object sorted: databases give them in different orders."""
    if isinstance(value, dict):
        return {name: with_sorted_keys(value[name]) for name in sorted(value)}
    return [with_sorted_keys(one) for one in value] if isinstance(value, list) else value


def rated_entry(photo: Photo, stars: list[tuple[str, int, str]], *, with_facts: bool) -> entries.RatedPhoto:
    """Return the entry of a photo: what was said of it (`with_facts`), and the stars (username, stars, when) that people gave."""
    is_rated = with_facts and (photo.rated_at is not None or photo.rating_held)
    is_dated = with_facts and (photo.dated_at is not None or photo.taken_held)
    is_captioned = with_facts and (photo.captioned_at is not None or photo.caption_held)
    is_placed = with_facts and (photo.placed_at is not None or photo.place_held)
    has_keywords = with_facts and (photo.keyworded_at is not None or photo.keywords_held)
    return {
        "libraryId": str(photo.library_id),
        "photoId": str(photo.pk),
        "photoMD5": photo.photo_md5,
        "path": photo.path,
        "sizeBytes": photo.size_bytes,
        "rating": photo.rating if is_rated else None,
        "ratedAt": _when(photo.rated_at, is_rated),
        "caption": photo.caption if is_captioned else None,
        "captionedAt": _when(photo.captioned_at, is_captioned),
        "keywords": photo.keywords if has_keywords else None,
        "keywordedAt": _when(photo.keyworded_at, has_keywords),
        "taken": (photo.taken_text or None) if is_dated else None,
        "datedAt": _when(photo.dated_at, is_dated),
        "place": _place_of(photo) if is_placed else None,
        "placedAt": _when(photo.placed_at, is_placed),
        "favourites": {username: rating for username, rating, _ in stars},
        "favouredAt": {username: when for username, _, when in stars},
    }


def _place_of(photo: Photo) -> entries.Place | None:
    """Return the place that a person gave; None if they took it away."""
    if photo.latitude is None or photo.longitude is None:
        return None
    return {"latitude": photo.latitude, "longitude": photo.longitude, "name": ""}


def _when(moment: Any, is_said: bool) -> str | None:
    """Return when it was said; of what was said before that was noted, the beginning of time: anything else is newer."""
    if not is_said:
        return None
    return time_text(moment) if moment is not None else "1970-01-01T00:00:00Z"
