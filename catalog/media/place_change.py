"""A place that is to be written into a file."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.media.results import DigestResult
from photolala.lib.places import DIGITS, Place, are_near

_OF_EXIF = ("Altitude", "AltitudeRef", "HPositioningError", "AreaInformation")
_OF_EXIF += ("DestLatitude", "DestLongitude", "DestBearing", "DestBearingRef", "DestDistance", "DestDistanceRef")
_OF_DRONES = ("GPSLatitude", "GPSLongitude", "GPSLongtitude", "AbsoluteAltitude")
_OF_IPTC = tuple(
    f"Location{of}GPS{name}" for of in ("Created", "Shown") for name in ("Latitude", "Longitude", "Altitude")
)
_OF_THE_SAME_PLACE = (
    *(f"GPS:GPS{name}" for name in (*_OF_EXIF, "DestLatitudeRef", "DestLongitudeRef")),
    *(f"XMP-exif:GPS{name}" for name in _OF_EXIF),
    *(f"XMP-iptcExt:{name}" for name in _OF_IPTC),
    *(f"XMP-drone-dji:{name}" for name in _OF_DRONES),
)
"""What else tells where it was: it goes with the place. The time of the satellites stays, which tells a date's zone."""
_OF_VIDEOS = ("UserData:GPSCoordinates", "ItemList:GPSCoordinates")
_OF_THE_SAME_PLACE_IN_VIDEOS = tuple(f"Keys:Location{name}" for name in ("Name", "Note", "Body", "AccuracyHorizontal"))


@dataclass(frozen=True, slots=True)
class PlaceChange:
    """Latitude and longitude in degrees; None takes the place away.

    With a place that was there goes whatever else tells of it: its height, how exact it is, what drones write.
    EXIF's GPS and XMP's exif:GPS… are written, in videos XMP's and Keys'. `beside` is what an XMP file beside the photo is to
    say if that is something else: where a place is taken back, each gets its own again.
    """

    place: Place | None
    beside: Place | None = None

    @property
    def in_sidecar(self) -> Place | None:
        """What an XMP file beside the photo is to say, if it says anything of the kind."""
        return self.beside or self.place

    def arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments; what a format has not is left out by exiftool."""
        latitude, longitude = _texts(self.place)
        values = [f"GPS:GPSLatitude={latitude.lstrip('-')}", f"GPS:GPSLongitude={longitude.lstrip('-')}"]
        values += [f"GPS:GPSLatitudeRef={_letter(latitude, 'NS')}", f"GPS:GPSLongitudeRef={_letter(longitude, 'EW')}"]
        values += [f"XMP-exif:GPSLatitude={latitude}", f"XMP-exif:GPSLongitude={longitude}"]
        is_video = old.media_type.startswith("video/")
        if is_video:
            values.append(f"Keys:GPSCoordinates={f'{latitude}, {longitude}' if self.place else ''}")
            values += [f"{name}=" for name in _OF_VIDEOS]
        if self.place is None or embedded_place(old) is not None:
            gone = (*_OF_THE_SAME_PLACE, *(_OF_THE_SAME_PLACE_IN_VIDEOS if is_video else ()))
            values += [f"{name}=" for name in gone]
        return [f"-{value}" for value in values]

    def sidecar_arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments for an XMP file that is there."""
        latitude, longitude = _texts(self.in_sidecar)
        values = [f"XMP-exif:GPSLatitude={latitude}", f"XMP-exif:GPSLongitude={longitude}"]
        if self.in_sidecar is None or sidecar_place(old) is not None:
            values += [f"{name}=" for name in _OF_THE_SAME_PLACE if name.startswith("XMP")]
        return [f"-{value}" for value in values]

    def is_done(self, facts: DigestResult) -> bool:
        """True if the photo's file says so; an XMP file beside it has its own."""
        return are_near(embedded_place(facts), self.place)

    def is_consistent(self, facts: DigestResult) -> bool:
        """What the best source says counts."""
        return True

    @property
    def sentence(self) -> str:
        """The place, in degrees."""
        return f"the place {', '.join(_texts(self.place))}" if self.place else "no place"


def embedded_place(facts: DigestResult) -> Place | None:
    """Return what the photo's own file says."""
    return _pair(facts.embedded_latitude, facts.embedded_longitude)


def sidecar_place(facts: DigestResult) -> Place | None:
    """Return what the XMP file says."""
    return _pair(facts.sidecar_latitude, facts.sidecar_longitude)


def _pair(latitude: float | None, longitude: float | None) -> Place | None:
    return None if latitude is None or longitude is None else (latitude, longitude)


def xmp_text(degrees: float, letters: str) -> str:
    """Return degrees as XMP writes them: degrees, a comma, minutes, a letter."""
    whole, rest = divmod(abs(degrees), 1)
    return f"{int(whole)},{rest * 60:.6f}{letters[degrees < 0]}"


def _texts(place: Place | None) -> tuple[str, str]:
    return ("", "") if place is None else (f"{place[0]:.{DIGITS}f}", f"{place[1]:.{DIGITS}f}")


def _letter(text: str, letters: str) -> str:
    return letters[text.startswith("-")] if text else ""
