"""Read what lies beside a photo: XMP files and Google Takeout's JSON. Both are strangers' text and are bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalog.media import dates
from catalog.media.exif import tidy
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.takeout_people import keywords_told
from catalog.media.words import Words
from catalog.media.xmp import LONGEST_PACKET_BYTES, BadXmp, read_xmp, text_of

_TAKEOUT_KEYS = frozenset({"title", "photoTakenTime", "creationTime", "geoData"})
"""Each of Takeout's documents has one of these at least."""


_CAPTURED = ("exif:DateTimeOriginal", "photoshop:DateCreated")


@dataclass(slots=True)
class Sidecar:
    """What one sidecar says."""

    words: Words = field(default_factory=Words)
    candidates: list[dates.Candidate] = field(default_factory=list)
    captured: list[dates.Candidate] = field(default_factory=list)
    """Those of `candidates` that somebody gave as the moment of the capture: they count before the file's own dates."""
    title: str = ""
    """What the photo was called where the document is from."""
    uploaded: datetime | None = None
    """When the photo came to where the document is from (naive UTC): what it says of a photo without a date."""
    place_read: tuple[float, float] | None = None
    """Where the photo's own file said it was taken, when it came there."""
    notes: list[str] = field(default_factory=list)
    is_favourite: bool = False
    """Somebody liked it where it comes from. An import makes stars of that; a scan does not."""
    is_trashed: bool = False
    """Somebody deleted it where it comes from. An import leaves it out; a scan does not."""
    told_keywords: list[str] = field(default_factory=list)
    """Who is in it, and what was done with it, where it comes from. An import makes keywords of that if wished."""


def read_xmp_sidecar(data: bytes) -> Sidecar:
    """Return what an XMP file says; one that cannot be read gives a note."""
    sidecar = Sidecar()
    try:
        properties = read_xmp(data)
    except BadXmp as error:
        sidecar.notes.append(f"The XMP file beside the photo was skipped: {error}.")
        return sidecar
    found = Found(xmp_packets=[data])
    facts = Facts(found)
    facts.__dict__["xmp"] = properties
    sidecar.words = facts.words
    for name in ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "exif:DateTimeDigitized"):
        text = text_of(properties, name)
        if text:
            sidecar.candidates.append(dates.Candidate("sidecar", f"the XMP file's {name}", text))
    sidecar.captured = [one for one in sidecar.candidates if one.label.endswith(_CAPTURED)]
    sidecar.notes.extend(found.notes)
    return sidecar


def read_takeout_sidecar(data: bytes) -> Sidecar:
    """Return what Google Takeout's JSON says; fields of the wrong type are left out, unreadable files give a note.

    JSON of another kind, which only has the name of a photo, says nothing and gives no note.
    """
    sidecar = Sidecar()
    if len(data) > LONGEST_PACKET_BYTES:
        sidecar.notes.append("The Takeout file beside the photo was skipped: it is larger than 2 MiB.")
        return sidecar
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):  # Takeout's are objects
            sidecar.notes.append("The Takeout file beside the photo was skipped: it is no readable JSON.")
        return sidecar
    if not isinstance(document, dict) or _TAKEOUT_KEYS.isdisjoint(document):
        return sidecar
    seconds = _whole(_member(document, "photoTakenTime").get("timestamp"))
    # Takeout writes 0 when Google does not know; a photo of that very second is not expected.
    if seconds:
        candidate = dates.from_unix(seconds, "sidecar", "the Takeout file's photoTakenTime")
        if candidate:
            sidecar.candidates.append(candidate)
    sidecar.is_favourite = document.get("favorited") is True
    sidecar.is_trashed = document.get("trashed") is True
    sidecar.told_keywords = keywords_told(document)
    title = document.get("title")
    if isinstance(title, str):
        sidecar.title = title[:500]
    description = document.get("description")
    if isinstance(description, str):
        sidecar.words.caption = tidy(description)
    created = _whole(_member(document, "creationTime").get("timestamp"))
    uploaded = dates.from_unix(created, "sidecar", "") if created else None
    if uploaded is not None and isinstance(uploaded.value, dates.Stamp):
        sidecar.uploaded = uploaded.value.local
    sidecar.place_read = _place(document, "geoDataExif")
    place = _place(document, "geoData") or sidecar.place_read
    if place is not None:
        sidecar.words.latitude, sidecar.words.longitude = place
    return sidecar


def _place(document: dict[str, Any], name: str) -> tuple[float, float] | None:
    place = _member(document, name)
    latitude: Any = place.get("latitude")
    longitude: Any = place.get("longitude")
    if not (_is_degree(latitude, 90) and _is_degree(longitude, 180)) or (latitude == 0 and longitude == 0):
        return None
    return round(latitude, 8), round(longitude, 8)


def _member(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    if (
        isinstance(value, str)
        and value.removeprefix("-").isascii()
        and value.removeprefix("-").isdigit()
        and len(value) < 16
    ):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15 else None


def _is_degree(value: Any, most: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= most
