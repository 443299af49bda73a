"""Finds the photos of a library that an export's rows mean."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from catalog.models import Library, Photo

from .given_back import COLUMNS, Row

_MD5 = re.compile("[0-9a-f]{32}")


class PhotoFinder:
    """Photos of one library, by their id or else by their content."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def find(self, rows: Sequence[Row]) -> dict[int, Photo]:
        """Return the photo of each row (by Python's id of it) that has one: by id, else the only one of its content.

        Photos whose files are not there, as those in the trash, count only where no other has that content.
        Two queries at most; a database takes some hundred rows at once.
        """
        photos = Photo.objects.filter(library=self._library).only("pk", "library_id", "photo_md5", "state", *COLUMNS)
        ids = {number: key for row in rows if (key := _uuid(row.get("id"))) and (number := id(row))}
        by_id = {photo.pk: photo for photo in photos.filter(pk__in=ids.values())}
        found = {number: by_id[key] for number, key in ids.items() if key in by_id}
        rest = [row for row in rows if id(row) not in found and _is_md5(row.get("photo_md5"))]
        by_content: defaultdict[str, list[Photo]] = defaultdict(list)
        if rest:
            for photo in photos.filter(photo_md5__in={row["photo_md5"] for row in rest}):
                by_content[photo.photo_md5].append(photo)
        for row in rest:
            same = by_content.get(row["photo_md5"], [])
            same = [photo for photo in same if photo.state != Photo.State.MISSING] or same
            if len(same) == 1:
                found[id(row)] = same[0]
        for photo in found.values():
            photo.library = self._library
        return found


def printable(text: str) -> str:
    """Return `text` with a mark in place of each character that cannot be shown."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _is_md5(value: Any) -> bool:
    """Tell whether it is one: a database may be asked for no other text, such as half a character."""
    return isinstance(value, str) and _MD5.fullmatch(value) is not None


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
