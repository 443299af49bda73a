"""XMP files beside photos: the name of a new one, its first content, and what is to be written into one that is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from catalog.media.file_changes import FileChange, KeywordChange, PlaceChange, embedded_place, sidecar_place
from catalog.media.place_change import xmp_text
from catalog.media.results import DigestResult
from catalog.media.tag_changes import PERCENT_OF_STARS, CaptionChange, DateChange, RatingChange
from photolala.lib.places import Place, are_near

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmp:Rating="{stars}"{percent}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_CAPTION_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">{text}</rdf:li>
    </rdf:Alt>
   </dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_KEYWORDS_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
{items}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_PLACE_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    exif:GPSLatitude="{latitude}"
    exif:GPSLongitude="{longitude}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def sidecar_name(filename: str) -> str:
    """Return the name of a new sidecar: the photo's whole name and `.xmp`, which tells RAW and JPEG of one shot apart."""
    return f"{filename}.xmp"


def new_sidecar(stars: int) -> bytes:
    """Return a new XMP file that holds nothing but the stars; 0 is written, too, for it overrules what the photo says."""
    percent = f'\n    MicrosoftPhoto:Rating="{PERCENT_OF_STARS[stars]}"' if stars else ""
    return _PACKET.format(stars=stars, percent=percent).encode("utf-8")


def new_caption_sidecar(text: str) -> bytes:
    """Return a new XMP file that holds nothing but the caption; the empty one is written, too, as zero stars are."""
    return _CAPTION_PACKET.format(text=escape(text)).encode("utf-8")


def new_keywords_sidecar(words: list[str]) -> bytes:
    """Return a new XMP file that holds nothing but the keywords; that there are none is written, too."""
    items = "\n".join(f"     <rdf:li>{escape(word)}</rdf:li>" for word in words or [""])
    return _KEYWORDS_PACKET.format(items=items).encode("utf-8")


def new_place_sidecar(place: Place) -> bytes:
    """Return a new XMP file that holds nothing but the place."""
    latitude, longitude = xmp_text(place[0], "NS"), xmp_text(place[1], "EW")
    return _PLACE_PACKET.format(latitude=latitude, longitude=longitude).encode("utf-8")


def sidecar_arguments(change: RatingChange, *, is_zero_written: bool) -> list[str]:
    """Return exiftool's arguments for an XMP file that is there; without `is_zero_written` zero stars take the tags away."""
    stars = str(change.stars) if change.stars or is_zero_written else ""
    percent = str(PERCENT_OF_STARS[change.stars]) if change.stars else ""
    return [f"-XMP-xmp:Rating={stars}", f"-XMP-microsoft:RatingPercent={percent}", "-XMP-acdsee:Rating="]


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """A change as it is made in an XMP file. Facts are those of the photo beside it."""

    change: FileChange

    def is_wanted(self, facts: DigestResult) -> bool:
        """True if that is to be written where such files hold it (not dates): something else counts by now."""
        if isinstance(self.change, RatingChange):
            says = facts.sidecar_rating if facts.sidecar_rating is not None else facts.embedded_rating
            return (says or 0) != self.change.stars
        if isinstance(self.change, DateChange):
            return self.is_contradicted(facts)
        if isinstance(self.change, KeywordChange):
            says = facts.sidecar_keywords if self._has_keywords(facts) else facts.embedded_keywords
            return says != self.change.in_sidecar
        if isinstance(self.change, PlaceChange):  # that there is no place no XMP file can say
            wanted, own = self.change.in_sidecar, sidecar_place(facts)
            return not are_near(own if wanted is None else own or embedded_place(facts), wanted)
        return (facts.sidecar_caption if self._has_caption(facts) else facts.caption) != self.change.in_sidecar

    def is_contradicted(self, facts: DigestResult) -> bool:
        """True if the XMP file says something else; False also if it says nothing of the kind."""
        if isinstance(self.change, RatingChange):
            return facts.sidecar_rating is not None and facts.sidecar_rating != self.change.stars
        if isinstance(self.change, DateChange):
            return bool(facts.sidecar_taken) and self.change.in_sidecar[0] is not None and not self.is_done(facts)
        if isinstance(self.change, KeywordChange):
            return self._has_keywords(facts) and facts.sidecar_keywords != self.change.in_sidecar
        if isinstance(self.change, PlaceChange):
            return sidecar_place(facts) is not None and not self.is_done(facts)
        return self._has_caption(facts) and facts.sidecar_caption != self.change.in_sidecar

    def new_file(self) -> bytes:
        """Return the content of a new XMP file. Dates go into none."""
        if isinstance(self.change, RatingChange):
            return new_sidecar(self.change.stars)
        if isinstance(self.change, KeywordChange):
            return new_keywords_sidecar(list(self.change.words))
        if isinstance(self.change, PlaceChange):
            assert self.change.place is not None
            return new_place_sidecar(self.change.place)
        assert isinstance(self.change, CaptionChange)
        return new_caption_sidecar(self.change.text)

    def arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments for one that is there."""
        if isinstance(self.change, RatingChange):
            return sidecar_arguments(self.change, is_zero_written=bool(old.embedded_rating))
        if isinstance(self.change, DateChange):
            return self.change.sidecar_arguments()
        if isinstance(self.change, (KeywordChange, PlaceChange)):
            return self.change.sidecar_arguments(old)
        return ["-E", *self.change.sidecar_arguments()]

    def is_done(self, facts: DigestResult) -> bool:
        """True if the XMP file says it."""
        if isinstance(self.change, RatingChange):
            return (facts.sidecar_rating or 0) == self.change.stars
        if isinstance(self.change, DateChange):
            local, offset = self.change.in_sidecar
            said = datetime.fromisoformat(facts.sidecar_taken).replace(microsecond=0) if facts.sidecar_taken else None
            is_same = said == (local.replace(microsecond=0) if local else None)
            return is_same and (offset is None or facts.sidecar_offset == offset)
        if isinstance(self.change, KeywordChange):
            words = self.change.in_sidecar
            return facts.sidecar_keywords == words and bool(words or facts.sidecar_keywords_are_none)
        if isinstance(self.change, PlaceChange):
            return are_near(sidecar_place(facts), self.change.in_sidecar)
        text = self.change.in_sidecar
        return facts.sidecar_caption == text and bool(text or facts.sidecar_caption_is_none)

    @staticmethod
    def _has_keywords(facts: DigestResult) -> bool:
        return bool(facts.sidecar_keywords or facts.sidecar_keywords_are_none)

    @staticmethod
    def _has_caption(facts: DigestResult) -> bool:
        return bool(facts.sidecar_caption or facts.sidecar_caption_is_none)

    def is_consistent(self, facts: DigestResult) -> bool:
        """XMP has one field for it."""
        return True

    @property
    def sentence(self) -> str:
        """What is to be there, for people."""
        return self.change.sentence
