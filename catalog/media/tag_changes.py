"""What is to be written into a file, as exiftool's arguments, and how to tell from the file's facts that it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from catalog.media.results import DigestResult

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

    def arguments(self) -> list[str]:
        """Return exiftool's arguments, printable ASCII."""

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

    def arguments(self) -> list[str]:
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
        ]

    def is_done(self, facts: DigestResult) -> bool:
        """Zero stars and no tag at all are the same."""
        return (facts.embedded_rating or 0) == self.stars

    @property
    def sentence(self) -> str:
        """The stars, in words."""
        return "no rating" if not self.stars else f"a rating of {self.stars}"
