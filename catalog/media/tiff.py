"""Read the headers of TIFF files and of the RAW formats that are TIFF inside."""

from __future__ import annotations

from typing import Any

from catalog.media.exif import Exif, Tags, clean_text, read_exif
from catalog.media.found import Found
from catalog.media.iptc import iptc_from_photoshop
from catalog.media.raw_headers import correct_raw
from catalog.media.source import Source

_WIDTH, _HEIGHT, _SUBFILE, _BITS, _SAMPLES = 0x0100, 0x0101, 0x00FE, 0x0102, 0x0115
_DNG_VERSION, _CFA = 0xC612, 32803


def read_tiff(source: Source) -> Found:
    """Return what the directories say: the largest picture's size, EXIF, XMP (tag 700) and IPTC.

    Sets `problem` when there are none.
    """
    found = Found()
    exif = read_exif(source)
    if exif is None or not exif.ifd0:
        found.problem = "The TIFF file's first directory is empty or lies outside the file."
        return found
    found.exif = exif
    for picture in (exif.ifd0, *exif.pictures):
        width, height = _dimension(picture, _WIDTH), _dimension(picture, _HEIGHT)
        is_main = picture.get(_SUBFILE, 0) == 0
        if is_main and width * height > found.width * found.height:
            found.width, found.height = width, height
            found.decoded_bytes = width * height * _pixel_bytes(picture)
    if not found.width or not found.height:
        found.width, found.height = _dimension(exif.ifd0, _WIDTH), _dimension(exif.ifd0, _HEIGHT)
    correct_raw(source, found, exif, raw_media_type(exif))
    if not found.width or not found.height:
        found.problem = "The TIFF file's first directory gives no size."
    packet = exif.ifd0.pop(0x02BC, None)
    if isinstance(packet, bytes):
        found.xmp_packets.append(packet)
    iptc = exif.ifd0.pop(0x83BB, None)
    if isinstance(iptc, bytes):
        found.iptc = iptc if iptc[:1] == b"\x1c" else _turned(iptc)
    resources = exif.ifd0.pop(0x8649, None)
    if isinstance(resources, bytes) and not found.iptc:
        found.iptc = iptc_from_photoshop(resources)
    return found


def _turned(iptc: bytes) -> bytes:
    """Return records whose groups of four bytes somebody turned round, as if they were numbers; nothing if they are none."""
    turned = b"".join(iptc[at : at + 4][::-1] for at in range(0, len(iptc), 4))
    return turned if turned[:1] == b"\x1c" else b""


def raw_media_type(exif: Exif | None) -> str:
    """Return the RAW type of a file that begins like TIFF, or an empty text when it is an ordinary TIFF."""
    if exif is None:
        return ""
    if _DNG_VERSION in exif.ifd0:
        return "image/x-adobe-dng"
    if not any(picture.get(0x0106) == _CFA for picture in (exif.ifd0, *exif.pictures)):
        return ""
    maker = clean_text(exif.ifd0.get(0x010F)).lower()
    for word, media_type in (
        ("nikon", "image/x-nikon-nef"),
        ("sony", "image/x-sony-arw"),
        ("pentax", "image/x-pentax-pef"),
    ):
        if maker.startswith(word):
            return media_type
    return "image/x-raw"


def _dimension(tags: Tags, tag: int) -> int:
    value: Any = tags.get(tag, 0)
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _pixel_bytes(tags: Tags) -> int:
    bits = tags.get(_BITS, 8)
    depth = max((bit for bit in bits if isinstance(bit, int)), default=8) if isinstance(bits, tuple) else int(bits)
    samples = tags.get(_SAMPLES, 1)
    channels = samples if isinstance(samples, int) else 1
    plain = 1 if channels == 1 and depth <= 8 else 4
    return plain * (2 if depth > 8 else 1)
