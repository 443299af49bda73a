"""What people wrote about a photo: stars, keywords and texts, as XMP, EXIF and Windows write them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from catalog.media.exif import clean_text, tidy
from catalog.media.found import Found
from catalog.media.xmp import Properties, list_of, text_of

_STARS_OF_PERCENT = {1: 1, 25: 2, 50: 3, 75: 4, 99: 5} | {20: 1, 40: 2, 60: 3, 80: 4, 100: 5}
"""Windows' numbers first: they count where both are as near."""
_LONGEST_OF_WINDOWS = 9_000


@dataclass(slots=True)
class Words:
    """What people wrote about a photo."""

    caption: str = ""
    caption_is_none: bool = False
    """It is said that there is no caption, which overrules what else may be taken for one."""
    caption_is_title: bool = False
    """A title or comment serves as the caption, for nobody wrote a description."""
    keywords: list[str] = field(default_factory=list)
    keywords_are_none: bool = False
    """It is said by an empty list that there are no keywords."""
    keywords_are_cut: bool = False
    """There are more than are read, or longer ones."""
    keyword_paths: list[str] = field(default_factory=list)
    """Keywords with those above them, as Lightroom (`People|Anna`) and digiKam (`People/Anna`) write them, too."""
    rating: int | None = None
    latitude: float | None = None
    longitude: float | None = None

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


def rating_of(xmp: Properties, found: Found) -> tuple[int | None, bool]:
    """Return the stars in XMP and whether they decide: xmp:Rating rounds to whole stars, -1 (rejected) means none, beyond 5
    is ignored."""
    text = text_of(xmp, "xmp:Rating")
    if text:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if value == -1:
            found.note("The photo is marked as rejected (rating -1); it counts as unrated.")
            return None, True
        if -0.5 <= value < 5.5:
            if value != int(value):
                found.note(f"The rating {text[:20]} was rounded to whole stars.")
            return max(0, math.floor(value + 0.5)), True
        found.note(f"The rating {text[:20]!r} is outside 0 to 5 and was ignored.")
    percent = text_of(xmp, "MicrosoftPhoto:Rating")
    if percent.isascii() and percent.isdigit() and len(percent) <= 3 and int(percent) <= 100:
        return stars_of_percent(int(percent)), True
    acdsee = text_of(xmp, "acdsee:rating")
    if len(acdsee) == 1 and acdsee in "012345":
        return int(acdsee), True
    return None, False


def stars_of_percent(percent: int) -> int | None:
    """Return stars for a RatingPercent: of the nearest of Windows' own 1, 25, 50, 75, 99 and the plain 20 to 100; 0 for 0."""
    if not 0 <= percent <= 100:
        return None
    return _STARS_OF_PERCENT[min(_STARS_OF_PERCENT, key=lambda known: abs(known - percent))] if percent else 0


def keywords_of(xmp: Properties) -> list[str]:
    """Return the keywords in XMP, each once, at most 500 of at most 200 characters."""
    return list(dict.fromkeys(word[:200] for word in _keywords_in(xmp)))[:500]


def are_cut(xmp: Properties) -> bool:
    """Return whether XMP has more keywords than that, or longer ones."""
    words = set(_keywords_in(xmp))
    return len(words) > 500 or any(len(word) > 200 for word in words)


def _keywords_in(xmp: Properties) -> list[str]:
    words = list_of(xmp, "dc:subject", "digiKam:TagsList", "lr:hierarchicalSubject", "acdsee:keywords")
    return [word for word in words if word]


def paths_of(xmp: Properties) -> list[str]:
    """Return the paths of keywords in XMP, each once, at most 500 of at most 1,000 characters.

    The sign that parts them tells whose they are: `A/B` in Lightroom's list, or `A|B` in digiKam's, is one keyword.
    """
    words = [word for word in list_of(xmp, "digiKam:TagsList") if "/" in word and "|" not in word]
    words += [word for word in list_of(xmp, "lr:hierarchicalSubject") if "|" in word]
    return list(dict.fromkeys(word for word in words if len(word) <= 1000))[:500]


def says_no_keywords(xmp: Properties) -> bool:
    """Return whether XMP says by an empty entry that there are no keywords, as whoever takes them away does."""
    return xmp.get("dc:subject") == [""]


def user_comment(value: Any) -> str:
    """Return EXIF's UserComment, whose first eight bytes name its character set."""
    if not isinstance(value, bytes) or len(value) < 9:
        return ""
    code, body = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        order = "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
        return tidy(body.decode(order, "ignore").split("\0", 1)[0])
    if code.startswith(b"ASCII") or not code.strip(b"\0"):
        return clean_text(body)
    return ""


def utf16(value: Any) -> str:
    """Return the text of a tag that Windows writes: UTF-16, as bytes or as numbers of one byte each."""
    if isinstance(value, tuple) and all(isinstance(part, int) and 0 <= part < 256 for part in value):
        value = bytes(value)
    return tidy(value.decode("utf-16-le", "ignore").split("\0", 1)[0]) if isinstance(value, bytes) else ""


def semicolons(text: str) -> list[str]:
    """Return the keywords of a list as Windows writes it, at most 500 of at most 200 characters."""
    return [word.strip()[:200] for word in text.split(";") if word.strip()][:500]


def keywords_for_windows(words: list[str]) -> str:
    """Return keywords as Windows writes them: as many as its text may hold, without the sign that parts them."""
    text = ""
    for word in words:
        plain = word.replace(";", ",")
        if len(text) + len(plain) >= _LONGEST_OF_WINDOWS:
            break
        text = f"{text};{plain}" if text else plain
    return text
