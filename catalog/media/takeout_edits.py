"""Whether somebody changed date or place of a photo in Google Photos, as its Takeout document and the photo's file tell.

Then the document says the later word, and counts before the file. A document does not tell what was changed: so the file has to
say still what Google once read of it, and no program that writes XMP may have dated or placed it since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from catalog.media import dates
from catalog.media.facts import Facts
from catalog.media.sidecars import Sidecar
from catalog.media.xmp import text_of

_READ_THERE = frozenset(("image/jpeg", "image/heic", "image/heif", "image/tiff"))
"""Of other kinds it is not known that Google reads their EXIF; else the document may have the time of the upload."""
_PLAIN = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d\0*")
_NEAR_DEGREES = 5e-5
"""About five metres: documents have their places rounded."""
_SECOND = timedelta(seconds=1)
_QUARTER = timedelta(minutes=15)
_WIDEST_ZONE = timedelta(hours=14)


def place_given_there(facts: Facts, sidecar: Sidecar) -> tuple[float, float] | None:
    """Return the document's place if it was changed there: the file says what Google read of it, and the document another one."""
    own, read, given = (facts.words.place, sidecar.place_read, sidecar.words.place)
    if own is None or read is None or given is None or text_of(facts.xmp, "exif:GPSLatitude"):
        return None
    return given if _are_near(own, read) and not _are_near(given, read) else None


def date_given_there(facts: Facts, sidecar: Sidecar, media_type: str, now: datetime) -> dates.Candidate | None:
    """Return the document's date if it was changed there: none of the file's own is the same moment in any zone."""
    given = sidecar.candidates[0] if sidecar.candidates else None
    if given is None or not isinstance(given.value, dates.Stamp) or media_type not in _READ_THERE:
        return None
    moment = given.value.local
    if sidecar.uploaded is not None and abs(moment - sidecar.uploaded) <= _SECOND:
        return None  # Google found no date in it
    if text_of(facts.xmp, "exif:DateTimeOriginal", "photoshop:DateCreated"):
        return None
    first = next(facts.camera_dates(), None)
    if first is None or not isinstance(first.value, str) or not _PLAIN.fullmatch(first.value):
        return None
    satellites = facts.gps_time()
    if satellites is not None and abs(satellites - moment) <= _SECOND:
        return None
    own = [*facts.embedded_dates(), *facts.later_dates(), *facts.last_dates()]
    return None if _is_told(moment, own, now) else given


def _is_told(moment: datetime, own: Iterable[dates.Candidate], now: datetime) -> bool:
    """True if one of the file's dates is this moment (naive UTC), in whatever zone its clock was."""
    for candidate in own:
        try:
            stamp = dates.resolve(candidate, now)
        except dates.ImpossibleDate:
            continue
        if stamp is None:
            continue
        apart = abs(stamp.local - moment)
        if apart <= _WIDEST_ZONE + _SECOND and abs(apart - round(apart / _QUARTER) * _QUARTER) <= _SECOND:
            return True
    return False


def _are_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= _NEAR_DEGREES for a, b in zip(one, other, strict=True))
