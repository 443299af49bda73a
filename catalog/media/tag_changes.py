"""What is to be written into a file, as exiftool's arguments, and how to tell from the file's facts that it is there."""

from __future__ import annotations

import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from catalog.media.dates import IN_THE_FILE as IN_THE_FILE
from catalog.media.iptc import caption_for_iptc
from catalog.media.results import DigestResult
from photolala.lib.wall_clock import offset_text

PERCENT_OF_STARS = {1: 1, 2: 25, 3: 50, 4: 75, 5: 99}
"""Windows' convention for RatingPercent."""
MOST_STARS = 5

EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/avif": ".avif",
    "image/jp2": ".jp2",
    "image/vnd.adobe.photoshop": ".psd",
    "image/x-adobe-dng": ".dng",
    "image/x-canon-cr2": ".cr2",
    "image/x-canon-cr3": ".cr3",
    "image/x-nikon-nef": ".nef",
    "image/x-sony-arw": ".arw",
    "image/x-olympus-orf": ".orf",
    "image/x-panasonic-rw2": ".rw2",
    "image/x-pentax-pef": ".pef",
    "image/x-fuji-raf": ".raf",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3g2",
    "video/x-m4v": ".m4v",
}
"""Media types that exiftool writes safely; its own extension for each, for names are strangers' claims."""


class TagChange(Protocol):
    """One change of what a file says."""

    def arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments, printable ASCII, for a file with the facts `old`."""

    def is_consistent(self, facts: DigestResult) -> bool:
        """True if all fields of a new version that could say it say the same."""

    def is_done(self, facts: DigestResult) -> bool:
        """True if a file with these facts says what it should."""

    @property
    def sentence(self) -> str:
        """What is to be there, for people: `five stars`, `the date …`."""


@dataclass(frozen=True, slots=True)
class RatingChange:
    """Stars from 1 to 5; 0 takes the tags away."""

    stars: int

    def __post_init__(self) -> None:
        if not 0 <= self.stars <= MOST_STARS:
            raise ValueError("A rating is a number from 0 to 5.")

    def arguments(self, old: DigestResult) -> list[str]:
        """EXIF's and XMP's Rating, and the percents that Windows reads; what a format has not is left out by exiftool.

        `-Rating=` alone would write XMP only.
        """
        stars = str(self.stars) if self.stars else ""
        percent = str(PERCENT_OF_STARS[self.stars]) if self.stars else ""
        return [
            f"-IFD0:Rating={stars}",
            f"-IFD0:RatingPercent={percent}",
            f"-XMP-xmp:Rating={stars}",
            f"-XMP-microsoft:RatingPercent={percent}",
            "-XMP-acdsee:Rating=",  # it would count again where the others are taken away
        ]

    def is_consistent(self, facts: DigestResult) -> bool:
        """The percents follow the stars."""
        return True

    def is_done(self, facts: DigestResult) -> bool:
        """Zero stars and no tag at all are the same."""
        return (facts.embedded_rating or 0) == self.stars

    @property
    def sentence(self) -> str:
        """The stars, in words."""
        return "no rating" if not self.stars else f"a rating of {self.stars}"


_EXIF = ("ExifIFD:DateTimeOriginal", "ExifIFD:CreateDate")
_EXIF_OFFSETS = ("ExifIFD:OffsetTimeOriginal", "ExifIFD:OffsetTimeDigitized")
_EXIF_FRACTIONS = ("ExifIFD:SubSecTimeOriginal", "ExifIFD:SubSecTimeDigitized")
_XMP = ("XMP-exif:DateTimeOriginal", "XMP-photoshop:DateCreated")
_QUICKTIME = ("QuickTime:CreateDate", "QuickTime:TrackCreateDate", "QuickTime:MediaCreateDate")
_KEYS = "Keys:CreationDate"
_FIRST_OF_QUICKTIME = datetime(1904, 1, 2)  # noqa: DTZ001 - wall clocks have no zone
_LAST_OF_QUICKTIME = datetime(2040, 2, 5)  # noqa: DTZ001


@dataclass(frozen=True, slots=True)
class DateChange:
    """When it was taken: the wall clock's time, minutes east of UTC if they are known; `local` None takes the tags away.

    Films count in UTC: without an offset `zone`, an IANA name, tells the instant. `beside` is what an XMP file beside the
    photo is to say (local, offset) if that is something else: where a date is taken back, each gets its own again.
    """

    local: datetime | None
    offset_minutes: int | None = None
    zone: str = "UTC"
    is_video: bool = False
    beside: tuple[datetime, int | None] | None = None

    @property
    def in_sidecar(self) -> tuple[datetime | None, int | None]:
        """What an XMP file beside the photo is to say, if it says anything of the kind."""
        return self.beside or (self.local, self.offset_minutes)

    def sidecar_arguments(self) -> list[str]:
        """Return exiftool's arguments for that."""
        local, offset = self.in_sidecar
        assert local is not None
        return [f"-{tag}={_stamp(local)}{offset_text(offset)}" for tag in _XMP]

    def arguments(self, old: DigestResult) -> list[str]:
        """EXIF's, XMP's and for films QuickTime's dates; what a format has not is left out by exiftool."""
        if self.local is None:
            video = [*(f"{tag}=0000:00:00 00:00:00" for tag in _QUICKTIME), f"{_KEYS}="] if self.is_video else []
            cleared = [f"{tag}=" for tag in (*_EXIF, *_EXIF_OFFSETS, *_EXIF_FRACTIONS, *_XMP)]
            return [f"-{argument}" for argument in (*cleared, *video)]
        stamp, offset = _stamp(self.local), offset_text(self.offset_minutes)
        values = [f"{tag}={stamp}" for tag in _EXIF]
        values += [f"{tag}={offset}" for tag in _EXIF_OFFSETS]
        if not self.local.microsecond:  # else it was only moved, and the fraction stays what it is
            values += [f"{tag}=" for tag in _EXIF_FRACTIONS]
        values += [f"{tag}={stamp}{offset}" for tag in _XMP]
        if self.is_video:
            instant, minutes = self._instant()
            values += [f"{tag}={_stamp(instant)}" for tag in _QUICKTIME]
            values.append(f"{_KEYS}={stamp}{offset_text(minutes)}")
        return [f"-{value}" for value in values]

    def _instant(self) -> tuple[datetime, int]:
        """Return the instant in UTC, naive, and the minutes east of UTC."""
        assert self.local is not None
        if self.offset_minutes is None:
            there = self.local.replace(tzinfo=ZoneInfo(self.zone), fold=0)
        else:
            there = self.local.replace(tzinfo=timezone(timedelta(minutes=self.offset_minutes)))
        east = there.utcoffset() or timedelta()
        return there.astimezone(UTC).replace(tzinfo=None), round(east.total_seconds() / 60)

    def is_consistent(self, facts: DigestResult) -> bool:
        """What the best source says counts."""
        return True

    def is_done(self, facts: DigestResult) -> bool:
        """Whole seconds count, and the offset where one is wanted."""
        said = date_said(facts)
        if self.local is None:
            return not said["taken"]
        if not said["taken"]:
            return False
        local = datetime.fromisoformat(said["taken"])
        same_offset = self.offset_minutes is None or said["offset"] == self.offset_minutes
        return local.replace(microsecond=0) == self.local.replace(microsecond=0) and same_offset

    @property
    def sentence(self) -> str:
        """The date, in words."""
        if self.local is None:
            return "no date"
        return f"the date {self.local:%Y-%m-%d %H:%M:%S}{offset_text(self.offset_minutes)}"


def date_said(facts: DigestResult) -> dict[str, Any]:
    """Return the capture time that the file itself says, as `{"taken": ISO 8601 or "", "offset": minutes or None}`."""
    if facts.taken_source not in IN_THE_FILE or not facts.taken_local:
        return {"taken": "", "offset": None}
    return {"taken": facts.taken_local, "offset": facts.offset_minutes}


HAS_IPTC = frozenset(("image/jpeg", "image/tiff", "image/vnd.adobe.photoshop"))
"""Kinds in which other programs look for IPTC records; elsewhere only records that are there are changed."""
_DESCRIPTION = "XMP-dc:Description"
_PLAIN = frozenset(string.ascii_letters + string.digits + " ")


@dataclass(frozen=True, slots=True)
class CaptionChange:
    """A caption, as `edits.captions` lets it pass; the empty text says that there is none.

    XMP's dc:description, IPTC's Caption-Abstract and EXIF's ImageDescription are kept the same. IPTC holds as much as its
    record can, which readers know; its text is UTF-8, and records in another encoding are translated. Films have their
    Keys' description instead of IPTC and EXIF. `beside` is what an XMP file beside the photo is to say if that is
    something else: where a caption is taken back, each gets its own again.
    """

    text: str
    beside: str | None = None

    @property
    def in_sidecar(self) -> str:
        """What an XMP file beside the photo is to say, if it says anything of the kind."""
        return self.text if self.beside is None else self.beside

    def arguments(self, old: DigestResult) -> list[str]:
        """Without a caption XMP says so by an empty text: titles, comments and sidecars would be taken for one otherwise."""
        arguments = ["-E", *_description_arguments(self.text)]
        if old.media_type.startswith("video/"):
            return [*arguments, f"-Keys:Description={escaped(self.text)}"]
        is_native = old.media_type in HAS_IPTC
        if old.has_iptc_caption or (self.text and is_native):
            if self.text and old.iptc_text == "legacy":
                arguments += ["-tagsFromFile", "@", "-IPTC:all"]
            if self.text:
                arguments.append("-IPTC:CodedCharacterSet=UTF8")
            arguments.append(f"-IPTC:Caption-Abstract={escaped(caption_for_iptc(self.text))}")
            if is_native:
                arguments.append("-Photoshop:IPTCDigest=new")  # else Adobe's programs take IPTC for the later word
        return [*arguments, f"-IFD0:ImageDescription={escaped(self.text)}"]

    def sidecar_arguments(self) -> list[str]:
        """Return exiftool's arguments for an XMP file; they are to follow `-E`."""
        return _description_arguments(self.in_sidecar)

    def is_done(self, facts: DigestResult) -> bool:
        """True if this is what counts, whatever says it; without a caption, if nothing is taken for one."""
        return facts.caption == self.text

    def is_consistent(self, facts: DigestResult) -> bool:
        """What the three have is the same; IPTC's may be cut."""
        return not facts.captions_differ

    @property
    def sentence(self) -> str:
        """The caption's beginning."""
        if not self.text:
            return "no caption"
        return f"the caption “{self.text if len(self.text) <= 60 else self.text[:60] + ' …'}”"


def _description_arguments(text: str) -> list[str]:
    if text:
        return [f"-{_DESCRIPTION}={escaped(text)}"]
    return [f"-{_DESCRIPTION}=", f"-{_DESCRIPTION}^="]  # no language has one


def escaped(text: str) -> str:
    """Return `text` as exiftool reads it under `-E`: one line of ASCII in which nothing but letters stands for itself."""
    return "".join(one if one in _PLAIN else f"&#x{ord(one):x};" for one in text)


def date_problem(local: datetime, media_type: str) -> str:
    """Return why a file of that kind cannot hold the wall clock's time `local`, as a sentence, or nothing."""
    if media_type.startswith("video/") and not _FIRST_OF_QUICKTIME <= local <= _LAST_OF_QUICKTIME:
        return "Films can only hold dates from 1904 to 2040."
    return ""


def _stamp(local: datetime) -> str:
    return f"{local:%Y:%m:%d %H:%M:%S}"
