"""What the reader of a container found in a file, before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.media.dates import Candidate
    from catalog.media.exif import Exif


@dataclass(slots=True)
class Found:
    """Raw findings in one file. Sizes are as stored, before any orientation."""

    width: int = 0
    height: int = 0
    exif: Exif | None = None
    xmp_packets: list[bytes] = field(default_factory=list)
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    """Text chunks of PNG, text atoms of QuickTime, comments."""
    transform: int | None = None
    """Orientation (1 to 8) that the container itself prescribes (HEIF irot and imir, a film's matrix); EXIF's is then ignored."""
    decoded_bytes: int = 0
    """Bytes that a decoder needs for it at the smallest scale it offers; 0 when unknown."""
    depth: int = 8
    """HEIF and JPEG: bits of a sample."""
    is_lossless: bool = False
    """JPEG: it is coded in the way that loses nothing, as in RAW files and scans of hospitals."""
    previews: list[tuple[int, int]] = field(default_factory=list)
    """RAW: offset and length of JPEGs that the camera put in, as far as the headers' reader saw them."""
    chroma: int = 1
    """HEIF: 0 grey, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4."""
    has_alpha: bool = False
    """HEIF: whether there is a picture of its transparency."""
    primaries: int = 0
    transfer: int = 0
    """HEIF and PNG: what the colours mean, by the code points of ITU-T H.273; 0 when nothing is said."""
    profile: bytes = b""
    """HEIF: the ICC profile."""
    thumbnail_item: int | None = None
    """HEIF: the item that holds a ready thumbnail."""
    duration_ms: int | None = None
    created_utc_seconds: int | None = None
    """QuickTime creation time, seconds since 1970."""
    created_text: str = ""
    """Apple's creationdate with its offset."""
    recorded: list[Candidate] = field(default_factory=list)
    """What else a video's container says about the moment of recording, best first."""
    location_text: str = ""
    """ISO 6709 position of a film."""
    position: tuple[float, float] | None = None
    """Latitude and longitude of a video in degrees, where they are told as numbers."""
    problem: str = ""
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Keep `sentence` for people, unless there are many already."""
        if len(self.notes) < 30:
            self.notes.append(sentence)
