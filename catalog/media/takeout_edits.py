"""Whether somebody changed date or place of a photo in Google Photos, as its Takeout document and the photo's file tell.

Then the document says the later word, and counts before the file. A document does not tell what was changed: so the file has to
say still what Google once read of it, and no program that writes XMP may have dated or placed it since.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from catalog.media import dates
from catalog.media.facts import Facts
from catalog.media.sidecars import Sidecar
from catalog.media.xmp import text_of

_READ_THERE = frozenset(("image/jpeg", "image/heic", "image/heif", "image/tiff"))
"""Of other kinds it is not known that Google reads their EXIF; else the document may have the time of the upload."""
_PLAIN = re.compile(r"\d{4}:\d\d:\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\0*")
_NEAR_DEGREES = 5e-5
"""About five metres: documents have their places rounded."""
_SECOND = timedelta(seconds=1)
_QUARTER = timedelta(minutes=15)
_WIDEST_ZONE = timedelta(hours=14)
_ROUND_ZONES_SINCE = datetime(1972, 1, 8)  # noqa: DTZ001
"""Before, some clocks were apart from UTC by odd minutes and seconds, as databases of zones know."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_NUMBER = re.compile(r"\(\d+\)$")
"""What Takeout puts behind a title that came twice."""
_UNCUT_LETTERS = 40
"""Longer titles may be cut, and several photos then have the same one."""


def place_given_there(facts: Facts, sidecar: Sidecar) -> tuple[float, float] | None:
    """Return the document's place if it was changed there: the file says what Google read of it, and the document another one."""
    own, read, given = (facts.words.place, sidecar.place_read, sidecar.words.place)
    if own is None or read is None or given is None or text_of(facts.xmp, "exif:GPSLatitude"):
        return None
    return given if _are_near(own, read) and not _are_near(given, read) else None


def date_given_there(
    facts: Facts, sidecar: Sidecar, name: str, media_type: str, now: datetime
) -> dates.Candidate | None:
    """Return the document's date if it was changed there: none of the file's own is the same moment in any zone.

    `name` is the file's. In doubt it was not changed: a wrong date is worse than an old one.
    """
    given = sidecar.candidates[0] if sidecar.candidates else None
    if given is None or not isinstance(given.value, dates.Stamp) or media_type not in _READ_THERE:
        return None
    moment = given.value.local
    if dates.is_beginning(moment) or not _is_surely_of(facts, sidecar, name):
        return None
    if sidecar.uploaded is not None and abs(moment - sidecar.uploaded) <= _HOUR:
        return None  # Google found no date in it
    if text_of(facts.xmp, "exif:DateTimeOriginal", "photoshop:DateCreated"):
        return None
    first = next(facts.camera_dates(), None)
    if first is None or first.label != "EXIF DateTimeOriginal" or not _PLAIN.fullmatch(str(first.value)):
        return None
    if sidecar.uploaded is not None and _is_after(first, sidecar.uploaded + _DAY, now):
        return None  # Google would not believe it
    satellites = facts.gps_time()
    if satellites is not None and abs(satellites - moment) <= _SECOND:
        return None
    own = [*facts.embedded_dates(), *facts.later_dates(), *facts.last_dates()]
    return None if _is_told(moment, own, now) else given


def _is_surely_of(facts: Facts, sidecar: Sidecar, name: str) -> bool:
    """True if the document is that of this file and no other one's whose name is alike, as far as titles and places tell."""
    stem, title = os.path.splitext(name)[0], sidecar.title
    if (number := _NUMBER.search(stem)) and number[0] not in title:
        return False
    if len(stem) >= _UNCUT_LETTERS and not _letters(title).startswith(_letters(stem)):
        return False
    own, read = facts.words.place, sidecar.place_read
    if own is None or read is None:
        return read is None and (own is None or sidecar.words.place is None or _are_near(own, sidecar.words.place))
    return _are_near(own, read)


def _letters(text: str) -> str:
    """Return a title as it is compared with a file's name, in which other signs may stand for some of its own."""
    return re.sub(r"\W", "_", unicodedata.normalize("NFC", text)).casefold()


def _is_after(candidate: dates.Candidate, moment: datetime, now: datetime) -> bool:
    try:
        stamp = dates.resolve(candidate, now)
    except dates.ImpossibleDate:
        return True
    return stamp is not None and stamp.local > moment


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
        is_round = abs(apart - round(apart / _QUARTER) * _QUARTER) <= _SECOND
        if apart <= _WIDEST_ZONE + _SECOND and (is_round or min(stamp.local, moment) < _ROUND_ZONES_SINCE):
            return True
    return False


def _are_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= _NEAR_DEGREES for a, b in zip(one, other, strict=True))
