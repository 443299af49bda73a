"""How notes are shown: their first words, where they were written, and what is attached to them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from catalog.models import Note, Photo

EXCERPT = 240


def excerpt(text: str) -> str:
    """Return the first words of a text, at most 240 characters."""
    words = " ".join(text[: 4 * EXCERPT].split())
    return words if len(words) <= EXCERPT else f"{words[:EXCERPT].rstrip()} …"


def shown(notes: Sequence[Note], user: Any) -> list[dict[str, Any]]:
    """Return what templates/albums/_note.html wants of each note, which `user` sees; photos that they see only. One query."""
    ids = [UUID(held["photo"]) for note in notes for held in note.attachments if "photo" in held]
    photos = {photo.pk: photo for photo in Photo.objects.visible_to(user).filter(pk__in=ids, is_shown=True)}
    return [
        {
            "id": note.pk,
            "content": note.content,
            "caption": note.caption,
            "noted_local": note.noted_local,
            "place_words": _place(note.place),
            "owner_name": "" if note.owner_id == user.pk else note.owner.get_username(),
            "files": [file for held in note.attachments if (file := _file(note, held, photos)) is not None],
        }
        for note in notes
    ]


def _place(place: dict[str, Any] | None) -> str:
    if not place:
        return ""
    if place.get("name"):
        return str(place["name"])
    return f"{place['latitude']:.4f}°, {place['longitude']:.4f}°"


def _file(note: Note, held: dict[str, Any], photos: dict[UUID, Photo]) -> dict[str, str] | None:
    if "photo" in held:
        photo = photos.get(UUID(held["photo"]))
        if photo is None:
            return None
        picture = f"/api/v1/photos/{photo.pk}/preview/"
        return {"kind": "image", "url": f"/photos/{photo.pk}/", "picture": picture, "name": photo.filename}
    address = f"/api/v1/notes/{note.pk}/media/{held['media_md5']}/"
    kind = str(held.get("media_type", "")).partition("/")[0]
    name = held.get("name") or "File"
    return {"kind": kind, "url": address, "picture": address, "name": name}
