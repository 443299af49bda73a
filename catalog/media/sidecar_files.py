"""XMP files beside photos: the name of a new one, and its first content."""

from __future__ import annotations

from catalog.media.tag_changes import PERCENT_OF_STARS, RatingChange

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


def sidecar_name(filename: str) -> str:
    """Return the name of a new sidecar: the photo's whole name and `.xmp`, which tells RAW and JPEG of one shot apart."""
    return f"{filename}.xmp"


def new_sidecar(stars: int) -> bytes:
    """Return a new XMP file that holds nothing but the stars; 0 is written, too, for it overrules what the photo says."""
    percent = f'\n    MicrosoftPhoto:Rating="{PERCENT_OF_STARS[stars]}"' if stars else ""
    return _PACKET.format(stars=stars, percent=percent).encode("utf-8")


def sidecar_arguments(change: RatingChange, *, is_zero_written: bool) -> list[str]:
    """Return exiftool's arguments for an XMP file that is there; without `is_zero_written` zero stars take the tags away."""
    stars = str(change.stars) if change.stars or is_zero_written else ""
    percent = str(PERCENT_OF_STARS[change.stars]) if change.stars else ""
    return [f"-XMP-xmp:Rating={stars}", f"-XMP-microsoft:RatingPercent={percent}"]
