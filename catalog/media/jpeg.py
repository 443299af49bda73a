"""Walk the segments of a JPEG file: size, EXIF, XMP, IPTC, and how much memory its decoder needs."""

from __future__ import annotations

from catalog.media.exif import clean_text, read_exif
from catalog.media.found import Found
from catalog.media.iptc import iptc_from_photoshop
from catalog.media.source import Source

_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_MOST_SEGMENTS = 100_000
_LONGEST_JUNK_BYTES = 64 * 1024


def read_jpeg(source: Source) -> Found:
    """Return what the headers of a JPEG say; stops at the first scan. Sets `problem` when no frame is found."""
    found = Found()
    position = 2
    photoshop = b""
    for _ in range(_MOST_SEGMENTS):
        head = source.read(position, 4)
        if len(head) < 4:
            break
        if head[0] != 0xFF:
            position = _next_marker(source, position)
            if position < 0:
                break
            continue
        marker = head[1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            position += 2
            continue
        if marker in (0xD9, 0xDA):
            break
        length = int.from_bytes(head[2:4], "big")
        if marker in _FRAMES:
            _read_frame(source.read(position + 4, min(length, 64)), marker, found)
        elif marker == 0xE1 and length > 8:
            _read_app1(source, position + 4, length - 2, found)
        elif marker == 0xED and length > 16:
            photoshop += source.read(position + 4, length - 2).removeprefix(b"Photoshop 3.0\0")
        elif marker == 0xFE and "comment" not in found.texts:
            found.texts["comment"] = clean_text(source.read(position + 4, length - 2), 2000)
        position += 2 + max(length, 2)
    if photoshop:
        found.iptc = iptc_from_photoshop(photoshop)
    if not found.width or not found.height:
        found.problem = "The JPEG holds no picture: its headers end before the picture begins."
    return found


def _next_marker(source: Source, position: int) -> int:
    junk = source.read(position, _LONGEST_JUNK_BYTES)
    start = junk.find(b"\xff")
    return position + start if start >= 0 else -1


def _read_frame(frame: bytes, marker: int, found: Found) -> None:
    if len(frame) < 6:
        return
    found.height, found.width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    count = frame[5]
    factors = [frame[position] for position in range(7, min(6 + 3 * count, len(frame)), 3)]
    widest = max((factor >> 4 for factor in factors), default=1) or 1
    tallest = max((factor & 15 for factor in factors), default=1) or 1
    samples = sum((factor >> 4) * (factor & 15) for factor in factors) / (widest * tallest) if factors else 1
    found.depth, found.is_lossless = frame[0], marker in _LOSSLESS
    pixels = found.width * found.height
    # A sequential file is decoded at one eighth, four bytes a pixel; a progressive one keeps all its coefficients, two
    # bytes each.
    found.decoded_bytes = pixels // 64 * 4
    if marker in _PROGRESSIVE:
        found.decoded_bytes += int(pixels * samples * 2)


def _read_app1(source: Source, start: int, length: int, found: Found) -> None:
    signature = source.read(start, 36)
    if signature.startswith(b"Exif\0"):
        exif = read_exif(source.read(start + 6, length - 6))
        if exif is not None and (found.exif is None or not found.exif.ifd0):
            found.exif = exif
        elif exif is None:
            found.note("The EXIF data are damaged and were skipped.")
    elif signature.startswith(_XMP):
        found.xmp_packets.append(source.read(start + len(_XMP), length - len(_XMP)))
    elif signature.startswith(_XMP_EXTENSION):
        return
