"""What people gave to photos and no file holds: marked in a snapshot by rows of `metadata` that older readers pass over.

Their keys begin with eight zeros, so that they are found without reading the rest; no photo is looked up under them.
"""

import hashlib
import json
from typing import Any, NamedTuple

from photolala.lib.captions import is_caption
from photolala.lib.keywords import are_keywords
from photolala.lib.places import is_place

PREFIX = "00000000"
END = "00000001"
"""All keys of marks are from PREFIX to below this."""
_LIBRARY_KEY = "0" * 32
_MOST_STARS = 5


class Given(NamedTuple):
    """What a person gave to one photo. `rating` counts if `has_rating`; None is a rating that was taken away."""

    photo_id: str
    has_rating: bool = False
    rating: int | None = None
    has_date: bool = False
    """The entry's capture time is one that a person gave."""
    has_caption: bool = False
    caption: str | None = None
    """Counts if `has_caption`; the empty text is a caption that was taken away."""
    keywords: str | None = None
    """As the text of a JSON list (`value_text`); None if nobody gave any, "[]" if all were taken away."""
    place: str | None = None
    """As the text of a JSON list, latitude and longitude; None if nobody gave one, "null" if it was taken away."""


class Marked(NamedTuple):
    """Says that all that people gave is marked in this snapshot. `ratings` is where the library's stars were written."""

    library_id: str
    ratings: str


def value_text(value: list[str] | list[float] | None) -> str:
    """Return keywords, or a place, as text; the same ones always give the same."""
    return json.dumps(value, separators=(",", ":"))


def given_row(given: Given) -> tuple[str, str]:
    """Return the row of `metadata` that marks what was given to a photo; the same always gives the same text."""
    told: dict[str, Any] = {}
    if given.has_rating:
        told["rating"] = given.rating
    if given.has_date:
        told["taken"] = True
    if given.has_caption:
        told["caption"] = given.caption or ""
    if given.keywords is not None:
        told["keywords"] = json.loads(given.keywords)
    if given.place is not None:
        told["place"] = json.loads(given.place)
    digest = hashlib.md5(given.photo_id.encode(), usedforsecurity=False).hexdigest()
    return PREFIX + digest[len(PREFIX) :], _text({"given": told, "photoID": given.photo_id})


def marked_row(marked: Marked) -> tuple[str, str]:
    """Return the row of `metadata` that says that the snapshot carries marks."""
    return _LIBRARY_KEY, _text({"given": {"ratings": marked.ratings}, "libraryID": marked.library_id})


def read_mark(key: str, body: str) -> Given | Marked | None:
    """Return what a row of `metadata` marks; None if it is what a file says, or makes no sense."""
    if not key.startswith(PREFIX):
        return None
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    given = told.get("given") if isinstance(told, dict) else None
    if not isinstance(given, dict):
        return None
    if isinstance(told.get("libraryID"), str) and isinstance(given.get("ratings"), str):
        return Marked(told["libraryID"], given["ratings"])
    if not isinstance(told.get("photoID"), str):
        return None
    rating = given.get("rating")
    is_rating = rating is None or (type(rating) is int and 0 <= rating <= _MOST_STARS)
    has_rating = "rating" in given and is_rating
    caption = given.get("caption")
    has_caption = isinstance(caption, str) and is_caption(caption)
    return Given(
        told["photoID"],
        has_rating,
        rating if has_rating else None,
        given.get("taken") is True,
        has_caption,
        caption if has_caption else None,
        value_text(given["keywords"]) if are_keywords(given.get("keywords")) else None,
        value_text(given["place"]) if "place" in given and is_place(given["place"]) else None,
    )


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
