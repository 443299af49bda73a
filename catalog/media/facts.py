"""Turn what the containers hold into facts about a photo: camera, place, stars, words, candidate dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property

from catalog.media import dates
from catalog.media.exif import Tags, clean_text, number, tidy
from catalog.media.found import Found
from catalog.media.iptc import Iptc, is_cut_for_iptc, read_iptc
from catalog.media.keyword_lists import MOST, differ, united
from catalog.media.maker_notes import lens_of
from catalog.media.positions import checked_place, exif_degrees, iso6709, xmp_degrees
from catalog.media.recorded import has_clock
from catalog.media.words import (
    Words,
    are_cut,
    keywords_of,
    paths_of,
    rating_of,
    says_no_keywords,
    semicolons,
    stars_of_percent,
    user_comment,
    utf16,
)
from catalog.media.xmp import BadXmp, Properties, read_xmp, text_of

_MAKERS_PHRASES = frozenset(
    ("sony dsc", "olympus digital camera", "minolta digital camera", "kodak digital still camera")
)
_CAMERA_PHRASES = _MAKERS_PHRASES | {"default", "digital camera", "dcim", "screenshot"}
"""What devices write where people would write a caption. In XMP and IPTC, which cameras leave alone, the plain words count."""
_LONGEST_FLOAT = 1e7
_CREATED_TEXTS = ("Creation Time", "CreationTime", "Creation time", "creation_time")
"""What PNG's text about the moment of creation is called; ImageMagick's `date:create` is the file's time."""


class Facts:
    """One file's findings, interpreted when asked, so that a survey never pays for what it does not need."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.notes = found.notes
        exif = found.exif
        self.ifd0: Tags = exif.ifd0 if exif else {}
        self.exif: Tags = exif.exif if exif else {}
        self.gps: Tags = exif.gps if exif else {}

    @property
    def orientation(self) -> int:
        """The file's own EXIF orientation; 1 when absent or invalid."""
        value = self.ifd0.get(0x0112)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1

    @property
    def turn(self) -> int:
        """The orientation to apply: the container's own where it has one, else EXIF's."""
        return self.orientation if self.found.transform is None else self.found.transform

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        width, height = self.found.width, self.found.height
        return (height, width) if self.turn >= 5 else (width, height)

    @cached_property
    def xmp(self) -> Properties:
        """All properties of the embedded XMP packets, the first packet first."""
        merged: Properties = {}
        for packet in self.found.xmp_packets[:8]:
            try:
                properties = read_xmp(packet)
            except BadXmp as error:
                self.found.note(f"The XMP data were skipped: {error}.")
                continue
            for name, value in properties.items():
                merged.setdefault(name, value)
        return merged

    @cached_property
    def iptc(self) -> Iptc:
        """The IPTC records."""
        return read_iptc(self.found.iptc) if self.found.iptc else Iptc()

    def embedded_dates(self) -> Iterator[dates.Candidate]:
        """Yield the dates in the file itself, best first, computed one by one."""
        yield from self.camera_dates()
        if self.found.xmp_packets:
            for name in ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "exif:DateTimeDigitized"):
                text = text_of(self.xmp, name)
                if text:
                    yield dates.Candidate("xmp", f"XMP {name}", text)
        if self.found.created_text:
            yield dates.Candidate("quicktime", "QuickTime creationdate", self.found.created_text)
        yield from (candidate for candidate in self.found.recorded if has_clock(candidate))
        if self.found.created_utc_seconds is not None:
            created = dates.from_unix(self.found.created_utc_seconds, "quicktime", "QuickTime CreateDate")
            if created:
                yield created
        yield from (candidate for candidate in self.found.recorded if not has_clock(candidate))

        for name in _CREATED_TEXTS:
            text = self.found.texts.get(name, "")[:40]
            if text:
                yield dates.Candidate("exif", f"PNG {name}", text)

    def later_dates(self) -> Iterator[dates.Candidate]:
        """Yield the embedded date that ranks below a sidecar: IPTC's."""
        if self.found.iptc and self.iptc.date_created:
            yield dates.Candidate("iptc", "IPTC DateCreated", self.iptc.date_created)

    def last_dates(self) -> Iterator[dates.Candidate]:
        """Yield the date that tells of the last change rather than of the capture: EXIF ModifyDate."""
        text = clean_text(self.ifd0.get(0x0132), 40)
        if text:
            offset = clean_text(self.exif.get(0x9010), 10)
            yield dates.Candidate("exif", "EXIF ModifyDate", text, offset, is_fallback=True)

    def camera_dates(self) -> Iterator[dates.Candidate]:
        general = clean_text(self.exif.get(0x9010), 10)
        for label, tags, tag, offset, fraction in (
            ("EXIF DateTimeOriginal", self.exif, 0x9003, 0x9011, 0x9291),
            ("DateTimeOriginal beside EXIF", self.ifd0, 0x9003, 0x9011, 0x9291),  # as TIFF/EP has it
            ("EXIF CreateDate", self.exif, 0x9004, 0x9012, 0x9292),
            ("CreateDate beside EXIF", self.ifd0, 0x9004, 0x9012, 0x9292),
        ):
            text = clean_text(tags.get(tag), 40)
            if text:
                own = clean_text(tags.get(offset), 10) or general
                gps_utc = self.gps_time() if not own else None
                yield dates.Candidate("exif", label, text, own, clean_text(tags.get(fraction), 12), gps_utc)

    def gps_time(self) -> datetime | None:
        """Return the satellites' time, naive UTC."""
        day, clock = clean_text(self.gps.get(29), 12), self.gps.get(7)
        parts = re.fullmatch(r"(\d{4}):(\d\d):(\d\d)", day)
        if not parts or not isinstance(clock, tuple) or len(clock) != 3:
            return None
        values = [number(part) for part in clock]
        if any(value is None or not 0 <= value < 61 for value in values):
            return None
        try:
            start = datetime(int(parts[1]), int(parts[2]), int(parts[3]))  # noqa: DTZ001 - naive UTC
        except ValueError:
            return None
        hour, minute, second = (value or 0.0 for value in values)
        return start + timedelta(hours=hour, minutes=minute, seconds=second)

    @property
    def make(self) -> str:
        """The camera's maker."""
        return (
            clean_text(self.ifd0.get(0x010F), 200)
            or text_of(self.xmp, "tiff:Make")[:200]
            or self.found.texts.get("make", "")[:200]
        )

    @property
    def model(self) -> str:
        """The camera's model."""
        return (
            clean_text(self.ifd0.get(0x0110), 200)
            or text_of(self.xmp, "tiff:Model")[:200]
            or self.found.texts.get("model", "")[:200]
        )

    @property
    def lens(self) -> str:
        """The lens's model."""
        return (
            clean_text(self.exif.get(0xA434), 200)
            or text_of(self.xmp, "exifEX:LensModel", "aux:Lens")[:200]
            or (lens_of(self.found.exif) if self.found.exif else "")
        )

    @property
    def iso(self) -> int | None:
        """The sensitivity."""
        value = number(self.exif.get(0x8827))
        return int(value) if value is not None and 0 < value < 2**31 else None

    @property
    def aperture(self) -> float | None:
        """The f-number."""
        value = number(self.exif.get(0x829D))
        if value is None:
            apex = number(self.exif.get(0x9202))
            value = 2 ** (apex / 2) if apex is not None and 0 <= apex < 20 else None
        return round(value, 2) if value and 0 < value < 1000 else None

    @property
    def shutter_speed(self) -> str:
        """The exposure time as people write it: 1/250, 0.8, 30."""
        seconds = number(self.exif.get(0x829A))
        if seconds is None:
            apex = number(self.exif.get(0x9201))
            seconds = 2**-apex if apex is not None and -20 < apex < 20 else None
        if not seconds or not 0 < seconds < _LONGEST_FLOAT:
            return ""
        if seconds < 0.25001:
            return f"1/{round(1 / seconds)}"
        return f"{seconds:.1f}".removesuffix(".0")

    @property
    def focal_length(self) -> float | None:
        """Millimetres, as on the lens."""
        value = number(self.exif.get(0x920A))
        return round(value, 2) if value and 0 < value < _LONGEST_FLOAT else None

    @property
    def content_identifier(self) -> str:
        """What both halves of a Live Photo share."""
        own = self.found.exif.apple_content_identifier if self.found.exif else ""
        return own or self.found.texts.get("content_identifier", "")[:100]

    @cached_property
    def words(self) -> Words:
        """Rating, caption, keywords and place, each from the best place that has it."""
        words = Words(rating=self._rating())
        words.caption = self._described()
        if not words.caption:
            words.caption = self._titled()
            words.caption_is_title = bool(words.caption)
        words.caption_is_none = not words.caption and self._says_no_caption
        every = united(
            keywords_of(self.xmp),
            self.iptc.keywords,
            self.windows_keywords,
            is_legacy=self.iptc.text == "legacy",
            are_paths=not text_of(self.xmp, "dc:subject"),
        )
        words.keywords, words.keyword_paths = every[:MOST], paths_of(self.xmp)
        words.keywords_are_cut = are_cut(self.xmp) or len(every) > MOST
        words.keywords_are_none = not words.keywords and says_no_keywords(self.xmp)
        words.latitude, words.longitude = self._place()
        return words

    @property
    def windows_keywords(self) -> list[str]:
        """Those that Windows wrote."""
        return semicolons(utf16(self.ifd0.get(0x9C9E)))

    @property
    def keywords_differ(self) -> bool:
        """True if those that are there are not the same."""
        return differ(self.words.keywords, keywords_of(self.xmp), self.iptc.keywords, self.windows_keywords)

    def _rating(self) -> int | None:
        """XMP goes first, as in exiftool's and Adobe's world: every tool that writes EXIF's Rating writes XMP's too, and not
        the reverse."""
        stars, is_decided = rating_of(self.xmp, self.found)
        if is_decided:
            return stars
        value = self.ifd0.get(0x4746)
        if isinstance(value, int):
            if 0 <= value <= 5:
                return value
            self.found.note(f"The EXIF rating {value} is outside 0 to 5 and was ignored.")
        percent = self.ifd0.get(0x4749)
        return stars_of_percent(percent) if isinstance(percent, int) else None

    @cached_property
    def descriptions(self) -> tuple[str, str, str]:
        """The captions in XMP, IPTC and EXIF, in the order in which they count; empty where there is none."""
        in_xmp, in_iptc = text_of(self.xmp, "dc:description"), self.iptc.caption
        in_exif = clean_text(self.ifd0.get(0x010E))
        return (
            "" if in_xmp.lower() in _MAKERS_PHRASES else in_xmp,
            "" if in_iptc.lower() in _MAKERS_PHRASES else in_iptc,
            "" if in_exif.lower() in _CAMERA_PHRASES else in_exif,
        )

    @property
    def descriptions_differ(self) -> bool:
        """True if those that are there are not the same; IPTC's may be cut at the end, for its records are short."""
        in_xmp, in_iptc, in_exif = self.descriptions
        first = in_xmp or in_exif
        if in_xmp and in_exif and in_xmp != in_exif:
            return True
        return bool(first and in_iptc) and in_iptc != first and not is_cut_for_iptc(in_iptc, first)

    @property
    def _says_no_caption(self) -> bool:
        return "dc:description" in self.xmp and not text_of(self.xmp, "dc:description")

    def _described(self) -> str:
        in_xmp, in_iptc, in_exif = self.descriptions
        if is_cut_for_iptc(in_iptc, in_exif):
            in_iptc = ""
        return in_xmp or in_iptc or in_exif

    def _titled(self) -> str:
        """Return what counts as the caption where nobody wrote or refused one: titles and comments."""
        if self._says_no_caption:
            return ""
        texts = self.found.texts
        choices = (
            text_of(self.xmp, "dc:title", "acdsee:caption"),
            self.iptc.title,
            utf16(self.ifd0.get(0x9C9B)),
            utf16(self.ifd0.get(0x9C9C)),
            user_comment(self.exif.get(0x9286)),
            texts.get("Description", "") or texts.get("description", ""),
            texts.get("Title", "") or texts.get("title", ""),
        )
        return next((tidy(text) for text in choices if text and text.strip().lower() not in _CAMERA_PHRASES), "")

    def _place(self) -> tuple[float | None, float | None]:
        if self.gps.get(2) is not None or self.gps.get(4) is not None:
            latitude = exif_degrees(self.gps.get(2), clean_text(self.gps.get(1), 4), "NS")
            longitude = exif_degrees(self.gps.get(4), clean_text(self.gps.get(3), 4), "EW")
            if latitude is None or longitude is None:
                self.found.note("The GPS position is incomplete and was ignored.")
                return None, None
            return checked_place(latitude, longitude, self.found)
        pair = [
            xmp_degrees(text_of(self.xmp, f"exif:{name}"), text_of(self.xmp, f"exif:{name}Ref"), letters)
            for name, letters in (("GPSLatitude", "NS"), ("GPSLongitude", "EW"))
        ]
        if pair[0] is not None and pair[1] is not None:
            return checked_place(pair[0], pair[1], self.found)
        place = iso6709(self.found.location_text) or self.found.position
        return checked_place(*place, self.found) if place else (None, None)
