"""What a decoder process answers, and the checks an answer passes before it is believed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

CAPTION_CHARACTERS = 10_000
KEYWORD_COUNT = 500
BODY_CHARACTERS = 400_000
_TEXT_CHARACTERS = {
    "caption": CAPTION_CHARACTERS,
    "sidecar_caption": CAPTION_CHARACTERS,
    "metadata_body": BODY_CHARACTERS,
    "image_map": 100_000,
    "problem": 1000,
}
_LIST_LENGTHS = {
    "keywords": KEYWORD_COUNT,
    "embedded_keywords": KEYWORD_COUNT,
    "embedded_keyword_paths": KEYWORD_COUNT,
    "sidecar_keywords": KEYWORD_COUNT,
    "sidecar_keyword_paths": KEYWORD_COUNT,
    "told_keywords": KEYWORD_COUNT,
    "notes": 50,
}
_MD5 = re.compile(r"[0-9a-f]{32}")
_LARGEST_INTEGER = 2**63 - 1
UNREADABLE = "The file could not be read: "
"""How the problem of a file begins whose bytes the disk or share did not give."""


class BadAnswer(ValueError):
    """A decoder process sent something that no honest one sends."""


@dataclass(slots=True)
class SurveyResult:
    """What the first bytes of a file tell. `problem` is a sentence for people, or empty."""

    head_md5: str = ""
    media_type: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    width: int = 0
    """Pixels as shown, upright; 0 when unknown."""
    height: int = 0
    orientation: int = 1
    """The file's own EXIF value, 1 to 8; 1 when absent or invalid."""
    taken_local: str | None = None
    """Wall clock as ISO 8601 without zone."""
    offset_minutes: int | None = None
    """East of UTC, when the file knows it."""
    taken_at: str | None = None
    """The instant, ISO 8601 in UTC."""
    taken_source: str = ""
    """exif, xmp, quicktime, sidecar, iptc, filename, file, or empty."""
    taken_estimated: bool = False
    placeholder: str = ""
    """Average colour as #rrggbb, or empty."""
    duration_ms: int | None = None
    problem: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DigestResult(SurveyResult):
    """What the whole file tells, and its thumbnail."""

    photo_md5: str = ""
    camera_make: str = ""
    camera_model: str = ""
    lens_model: str = ""
    iso: int | None = None
    aperture: float | None = None
    shutter_speed: str = ""
    focal_length: float | None = None
    """Millimetres."""
    latitude: float | None = None
    longitude: float | None = None
    embedded_latitude: float | None = None
    """The photo's own."""
    embedded_longitude: float | None = None
    sidecar_latitude: float | None = None
    """The XMP file's."""
    sidecar_longitude: float | None = None
    takeout_latitude: float | None = None
    """What Takeout's document says that counts before the photo's own, for somebody changed it there (takeout_edits)."""
    takeout_longitude: float | None = None
    takeout_taken: str = ""
    """Likewise: wall clock as ISO 8601 without zone."""
    rating: int | None = None
    """The file's own stars, else the sidecar's."""
    image_map: str = ""
    """Where the bytes lie that the picture is drawn from (image_data.image_map), if that was asked for."""
    image_digest: str = ""
    """Tells the same picture in a file with other words (image_data.image_digest)."""
    embedded_rating: int | None = None
    sidecar_rating: int | None = None
    is_favourite: bool = False
    """A sidecar says that somebody liked it where it comes from."""
    is_trashed: bool = False
    """A sidecar says that somebody deleted it where it comes from."""
    told_keywords: list[str] = field(default_factory=list)
    """People's names, `archived` and `locked`, as Takeout's JSON says them; no part of `keywords`."""
    caption: str = ""
    """The XMP file's if it has a description, then the photo's own, then other sidecars'."""
    sidecar_caption: str = ""
    """The XMP file's."""
    sidecar_caption_is_none: bool = False
    """The XMP file says by an empty description that there is none."""
    sidecar_taken: str = ""
    """When it was taken, as the XMP file says: wall clock as ISO 8601 without zone, or empty."""
    sidecar_offset: int | None = None
    """The XMP file's minutes east of UTC."""
    captions_differ: bool = False
    """XMP's, IPTC's and EXIF's captions, as far as the file has them, are not the same."""
    iptc_text: str = ""
    """How the text of the file's IPTC records is encoded: `utf-8`, `unmarked` (UTF-8 or ASCII without the mark), `legacy`."""
    has_iptc_caption: bool = False
    keywords: list[str] = field(default_factory=list)
    """The XMP file's if it has any, or says that there are none; else the photo's own."""
    embedded_keywords: list[str] = field(default_factory=list)
    """The photo's own."""
    embedded_keyword_paths: list[str] = field(default_factory=list)
    """The photo's own, with those above them, as Lightroom and digiKam write them, too."""
    embedded_keywords_are_cut: bool = False
    """The photo has more than that, or longer ones."""
    sidecar_keywords: list[str] = field(default_factory=list)
    """The XMP file's."""
    sidecar_keyword_paths: list[str] = field(default_factory=list)
    sidecar_keywords_are_cut: bool = False
    sidecar_keywords_are_none: bool = False
    """The XMP file says by an empty list that there are none."""
    keywords_differ: bool = False
    """XMP's, IPTC's and Windows' keywords, as far as the file has them, are not the same."""
    has_windows_keywords: bool = False
    content_identifier: str = ""
    """What the picture and the film of one Apple Live Photo share."""
    motion_bytes: int = 0
    """So many bytes before the end of a picture begins its short video; 0 for no motion photo."""
    look: int = 0
    """Tells similar pictures by the bits that differ (look.look_of); 0 for what has none."""
    metadata_body: str = ""
    """Canonical JSON, from the file's own bytes alone."""
    thumbnail: bytes | None = None
    damaged: bool = False
    """Only a part of the picture could be decoded."""
    too_large: bool = False
    """Nothing is known to be wrong with it, but drawing it needs more memory than a decoder may use; `problem` says so."""
    needed_bytes: int = 0
    """How much memory drawing takes, if there is a problem with it; 0 when unknown."""
    short_of_memory: bool = False
    """Perhaps it failed only because its process held much already; the pool then tries it in a fresh one."""

    @property
    def is_makeshift(self) -> bool:
        """True if a decoder with more memory, or more luck, may draw a better thumbnail of the same bytes."""
        return self.damaged or self.too_large or self.short_of_memory


@dataclass(slots=True)
class PreviewResult:
    """A larger upright JPEG made on demand."""

    picture: bytes | None = None
    width: int = 0
    height: int = 0
    problem: str = ""
    damaged: bool = False
    short_of_memory: bool = False
    needed_bytes: int = 0
    gave_up: bool = False
    """The decoder was ended each time: by a limit, or by a crash. Another time it may be drawn."""


_KINDS: dict[type, dict[str, str]] = {
    kind: {one.name: str(one.type) for one in fields(kind) if one.name not in ("thumbnail", "picture")}
    for kind in (SurveyResult, DigestResult, PreviewResult)
}
"""The types of the fields that travel as JSON."""

Result = TypeVar("Result", SurveyResult, DigestResult, PreviewResult)


def to_wire(result: SurveyResult | PreviewResult) -> dict[str, Any]:
    """Return the fields of `result` that differ from their defaults, pictures left out: they travel as bytes."""
    wire: dict[str, Any] = {}
    for one in fields(result):
        value = getattr(result, one.name)
        if isinstance(value, bytes) or value is None or value == "" or value == []:
            continue
        wire[one.name] = value
    return wire


def apply_wire(result: Result, wire: Any) -> Result:
    """Set on `result` the fields in `wire`, an answer of an untrusted process. Raises BadAnswer when one is not credible."""
    if not isinstance(wire, dict):
        raise BadAnswer("the answer is no object")
    kinds = _KINDS[type(result)]
    for name, value in wire.items():
        if name not in kinds:
            raise BadAnswer(f"unknown field {str(name)[:40]!r}")
        setattr(result, name, _checked(name, kinds[name], value))
    return result


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("list"):
        if not isinstance(value, list) or len(value) > _LIST_LENGTHS[name]:
            raise BadAnswer(f"{name} is no short list")
        return [_checked_text("", item) for item in value]
    if kind.startswith("bool"):
        if not isinstance(value, bool):
            raise BadAnswer(f"{name} is neither true nor false")
        return value
    if kind.startswith("str"):
        return _checked_text(name, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadAnswer(f"{name} is no number")
    if kind.startswith("int") and not (isinstance(value, int) and abs(value) <= _LARGEST_INTEGER):
        raise BadAnswer(f"{name} is no whole number in range")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadAnswer(f"{name} is not finite")
    return value


def _checked_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS.get(name, 1000) or "\x00" in value:
        raise BadAnswer(f"{name or 'a list item'} is no short text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadAnswer(f"{name or 'a list item'} is no Unicode text") from error
    if (name.endswith("_md5") or (name == "image_digest" and value)) and not _MD5.fullmatch(value):
        raise BadAnswer(f"{name} is no MD5")
    return value
