"""Addresses of thumbnails and folders, and names of kinds of files, for templates."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import template

register = template.Library()


@register.filter
def thumbnail_url(photo: Mapping[str, Any]) -> str:
    """Return the address of a photo's thumbnail (a dict with `id` and `photo_md5`); `v` lets it be cached."""
    version = f"?v={photo['photo_md5']}" if photo.get("photo_md5") else ""
    return f"/api/v1/photos/{photo['id']}/thumbnail/{version}"


@register.filter
def cover_url(photo_id: Any) -> str:
    """Return the address of a cover's thumbnail."""
    return f"/api/v1/photos/{photo_id}/thumbnail/"


@register.filter
def directory_query(directory: str) -> str:
    """Return `directory=…`, encoded for a link."""
    return urlencode({"directory": directory})


@register.filter
def folder_query(folder: Any) -> str:
    """Return `folder=…`, encoded for a link of the folder chooser."""
    return urlencode({"folder": str(folder)})


@register.filter
def kind_words(media_type: str) -> str:
    """Return the kind of a file for people ("image/jpeg" -> "JPEG picture", "image/x-canon-cr2" -> "CANON CR2 picture")."""
    family, _, name = media_type.partition("/")
    words = name.removeprefix("x-").removesuffix("+xml").replace("-", " ").upper()
    return f"{words} {'video' if family == 'video' else 'picture'}" if words else ""
