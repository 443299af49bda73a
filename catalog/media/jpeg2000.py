"""Read the boxes of JPEG 2000 files: size, EXIF, XMP and IPTC."""

from __future__ import annotations

from catalog.media.exif import read_exif
from catalog.media.found import Found
from catalog.media.isobmff import boxes, first_box
from catalog.media.source import Source

_EXIF_UUID = b"JpgTiffExif->JP2"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_LONGEST_BYTES = 4 * 1024 * 1024


def read_jp2(source: Source) -> Found:
    """Return what the boxes say; of a bare codestream, which has none, the size."""
    found = Found()
    if source.read(0, 4) == b"\xff\x4f\xff\x51":
        size = source.read(8, 16)
        if len(size) == 16:
            right, bottom, left, top = (int.from_bytes(size[at : at + 4], "big") for at in (0, 4, 8, 12))
            found.width, found.height = max(0, right - left), max(0, bottom - top)
        return found
    for kind, start, end in boxes(source):
        if kind == b"jp2h" and (header := first_box(source, b"ihdr", start, end)):
            size = source.read(header[0], 8)
            found.height, found.width = int.from_bytes(size[:4], "big"), int.from_bytes(size[4:8], "big")
        elif kind == b"uuid":
            body = source.read(start + 16, min(end - start - 16, _LONGEST_BYTES))
            keep_words(source.read(start, 16), body, found)
        elif kind == b"xml ":
            keep_words(kind, source.read(start, min(end - start, _LONGEST_BYTES)), found)
    return found


def keep_words(kind: bytes, body: bytes, found: Found) -> None:
    """Keep the content of a box called `kind` (or with that UUID) if it is EXIF, XMP or IPTC; the first EXIF and IPTC count."""
    if kind == _EXIF_UUID and found.exif is None:
        found.exif = read_exif(body.removeprefix(b"Exif\0\0"))
    elif kind == b"Exif" and found.exif is None:
        found.exif = read_exif(body[4 + int.from_bytes(body[:4], "big") :].removeprefix(b"Exif\0\0"))
    elif kind in (_XMP_UUID, b"xml ") and b"http://www.w3.org/1999/02/22-rdf-syntax-ns#" in body:
        found.xmp_packets.append(body)
    elif kind == _IPTC_UUID and not found.iptc:
        found.iptc = body
