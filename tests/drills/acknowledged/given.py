"""Captions, keywords and places as the drills give and read them: each by words, so that one drill serves for all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.edits.captions import set_caption
from catalog.edits.keywords import set_keywords
from catalog.edits.places import set_place
from catalog.models import Library, Photo
from photolala.lib.places import Place, are_near
from tests.catalog.edits.test_captions import FIELDS
from tests.catalog.edits.test_captions import said as caption_fields
from tests.catalog.edits.test_keywords import listed
from tests.catalog.edits.test_ratings import tags_of

from .writers import photo

PLACES: dict[str, Place] = {}
"""Those that stand for words that were given."""


@dataclass(frozen=True)
class Given:
    """One kind of what people give. What cannot be put into words is told in another way, and so is equal to none."""

    name: str
    give: Callable[[Any, Any, str], object]
    in_row: Callable[[Photo], str]
    in_file: Callable[[Path], str]
    tags: Callable[[str], list[str]]
    """What another program is asked to write into a file."""
    nothing: object
    """As an undo tells it."""

    def write(self, library: Library, words: str, name: str = "0.jpg") -> None:
        """Give a photo these words, or take them away."""
        self.give(library.owner, photo(library, name).pk, words)

    def of(self, row: Photo) -> tuple[str, bool]:
        """Return what the row says, and whether the file does not say it yet."""
        return self.in_row(row), getattr(row, f"{self.name}_held")


def _caption_in(file: Path) -> str:
    found = caption_fields(file)
    words = next(iter(found.values()), "")
    fields = FIELDS[:1] if file.suffix == ".xmp" else FIELDS
    return words if found == (dict.fromkeys(fields, words) if words else {}) else repr(found)


def _place_of(words: str) -> Place | None:
    """A place that stands for these words alone."""
    number = len(PLACES)
    return PLACES.setdefault(words, (10.5 + number, -20.25 - number)) if words else None


def _words_of(latitude: float | None, longitude: float | None) -> str:
    if latitude is None or longitude is None:
        return ""
    place = (latitude, longitude)
    return next((words for words, known in PLACES.items() if are_near(place, known)), repr(place))


def _place_in(file: Path) -> str:
    tags = tags_of(file)
    name = "XMP-exif:GPS" if file.suffix == ".xmp" else "GPS:GPS"
    if f"{name}Latitude" not in tags:
        return ""
    sign = -1 if tags.get("GPS:GPSLongitudeRef", "") == "W" else 1
    return _words_of(tags[f"{name}Latitude"], sign * tags[f"{name}Longitude"])


def _place_tags(words: str) -> list[str]:
    latitude, longitude = _place_of(words) or (0, 0)
    ref = ["-GPS:GPSLatitudeRef=N", "-GPS:GPSLongitudeRef=W"]
    return [f"-GPS:GPSLatitude={latitude}", f"-GPS:GPSLongitude={abs(longitude)}", *ref]


GIVEN = [
    Given(
        "caption", set_caption, lambda row: row.caption, _caption_in, lambda words: [f"-XMP-dc:Description={words}"], ""
    ),
    Given(
        "keywords",
        lambda user, key, words: set_keywords(user, key, [words] if words else []),
        lambda row: ", ".join(row.keywords),
        lambda file: ", ".join(listed(file)),
        lambda words: [f"-XMP-dc:Subject={words}"],
        [],
    ),
    Given(
        "place",
        lambda user, key, words: set_place(user, key, _place_of(words)),
        lambda row: _words_of(row.latitude, row.longitude),
        _place_in,
        _place_tags,
        None,
    ),
]
