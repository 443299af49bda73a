"""Where a photo was taken, in degrees: what can be a place, and what people paste to say one."""

import re
from collections.abc import Sequence
from typing import Any

DIGITS = 7
"""Of degrees behind the point: a centimetre."""
NEAR = 2e-6
"""Degrees that files lose in their own notation, at most."""
_NUMBER = r"[-+]?\d{1,3}(?:\.\d+)?"
_PAIR = re.compile(rf"({_NUMBER})\s*°?\s*([NS])?\s*[,;/\s]\s*({_NUMBER})\s*°?\s*([EW])?", re.IGNORECASE)
_IN_LINKS = (
    re.compile(rf"[?&]mlat=({_NUMBER})&mlon=({_NUMBER})"),
    re.compile(rf"!3d({_NUMBER})!4d({_NUMBER})"),
    re.compile(rf"[?&](?:q|query|ll|center|destination)=(?:loc:)?({_NUMBER})(?:,|%2C)\+?({_NUMBER})", re.IGNORECASE),
    re.compile(rf"#map=\d+(?:\.\d+)?/({_NUMBER})/({_NUMBER})"),
    re.compile(rf"/@({_NUMBER}),({_NUMBER})"),
    re.compile(rf"geo:({_NUMBER}),({_NUMBER})"),
)
"""OpenStreetMap's and Google's: first the point that was marked, then the middle of the map."""
LONGEST_TEXT = 2_000
Place = tuple[float, float]
"""Latitude and longitude; negative in the south and west."""


class BadPlace(ValueError):
    """What is no place on earth; the message is a sentence for people."""


def checked_place(latitude: float, longitude: float) -> Place:
    """Return the place, as exactly as it is kept. Raises BadPlace."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also for what is no number, and for integers of any size
        raise BadPlace("A place has a latitude from -90 to 90 degrees and a longitude from -180 to 180.")
    place = (round(float(latitude), DIGITS), round(float(longitude), DIGITS))
    if place == (0, 0):
        raise BadPlace("Cameras that do not know where they are write 0, 0, so this counts as no place.")
    return place


def is_known(latitude: float, longitude: float) -> bool:
    """Return whether people can give this place, which a file may say, to a photo."""
    try:
        checked_place(latitude, longitude)
    except BadPlace:
        return False
    return True


def place_in(text: str) -> Place:
    """Return the place in "48.8583, 2.2945", with N, S, E, W if wanted, or in a link of OpenStreetMap or Google Maps."""
    # One space at most in a row: the pattern below would try all ways to share out a run of them.
    tidy = " ".join(text.strip()[:LONGEST_TEXT].split())
    found = next((match for pattern in _IN_LINKS if (match := pattern.search(tidy))), None)
    if found is not None:
        return checked_place(float(found[1]), float(found[2]))
    pair = _PAIR.fullmatch(tidy)
    if pair is None:
        raise BadPlace("Write the place as 48.8583, 2.2945, or paste a link of OpenStreetMap or Google Maps.")
    latitude = _signed(pair[1], pair[2], "S")
    return checked_place(latitude, _signed(pair[3], pair[4], "W"))


def is_place(value: Any) -> bool:
    """Return whether a row could hold `value` as a place, [latitude, longitude], or as none (None)."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(type(one) in (int, float) for one in value):
        return False
    return abs(value[0]) <= 90 and abs(value[1]) <= 180


def _signed(number: str, letter: str | None, negative: str) -> float:
    value = float(number)
    return -abs(value) if letter and letter.upper() == negative else value


def are_near(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Return whether both are the same place, or both none."""
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= NEAR for a, b in zip(one, other, strict=True))
