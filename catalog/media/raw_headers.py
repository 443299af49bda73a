"""What the headers of RAW files say in their makers' own ways: how large the photo is, and what the JPEG inside knows."""

from __future__ import annotations

import struct

from catalog.media.exif import Exif, Reader
from catalog.media.found import Found
from catalog.media.jpeg import read_jpeg
from catalog.media.source import MemorySource, Source

_LONGEST_HEAD_BYTES = 1024 * 1024
_EXIF_WIDTH, _EXIF_HEIGHT, _ISO = 0xA002, 0xA003, 0x8827
_PANASONIC_JPEG = 0x002E
_LEAST_SHARE = 0.8
"""The photo is a little smaller than what the sensor holds."""
_NEAR_SHAPE = 1.2
_RAF_CROPPED, _RAF_FULL = 0x0111, 0x0100
_MOST_RAF_ENTRIES = 256


def correct_raw(source: Source, found: Found, exif: Exif, media_type: str) -> None:
    """Set the size of a RAW that is TIFF inside to that of its photo, not of the sensor or of a preview; DNG says it itself.

    Of Panasonic's also what only the JPEG inside says: lens and such.
    """
    magic = source.read(0, 10)
    if magic[:4] == b"IIU\0":
        _correct_panasonic(source, found, exif)
        return
    is_raw = magic[8:10] == b"CR" or magic[2:4] in (b"RO", b"RS", b"OR")
    if not is_raw and media_type in ("", "image/x-adobe-dng"):
        return
    width, height = exif.exif.get(_EXIF_WIDTH), exif.exif.get(_EXIF_HEIGHT)
    if not isinstance(width, int) or not isinstance(height, int) or max(width, height) > 0xFFFF:
        return
    is_like = not found.width or (width >= height) == (found.width >= found.height)
    if is_like and width * height >= _LEAST_SHARE * found.width * found.height:
        found.width, found.height = width, height


def _correct_panasonic(source: Source, found: Found, exif: Exif) -> None:
    top, left, bottom, right = (exif.ifd0.get(tag) for tag in (4, 5, 6, 7))
    if isinstance(top, int) and isinstance(left, int) and isinstance(bottom, int) and isinstance(right, int):
        found.width, found.height = (right - left, bottom - top) if right > left and bottom > top else (0, 0)
    if isinstance(iso := exif.ifd0.get(0x17), int):
        exif.exif.setdefault(_ISO, iso)
    place = exif.reader.places.get(_PANASONIC_JPEG) if exif.reader else None
    if place is None:
        return
    found.previews.append(place)
    inner = read_jpeg(MemorySource(source.read(place[0], min(place[1], _LONGEST_HEAD_BYTES)))).exif
    if inner is not None:
        sizes = (_EXIF_WIDTH, _EXIF_HEIGHT)
        exif.exif = {tag: value for tag, value in inner.exif.items() if tag not in sizes} | exif.exif
        exif.reader, exif.thumbnail = inner.reader, exif.thumbnail or inner.thumbnail
        exif.is_adobe_rgb = exif.is_adobe_rgb or inner.is_adobe_rgb


def read_raf(source: Source) -> Found:
    """Return what Fujifilm's RAF says: all in its JPEG, but how large the photo is in a table of its own."""
    offset, length = struct.unpack(">II", source.read(84, 8).ljust(8, b"\0"))
    found = Found()
    if length and source.read(offset, 2) == b"\xff\xd8":
        found = read_jpeg(MemorySource(source.read(offset, min(length, _LONGEST_HEAD_BYTES))))
        found.decoded_bytes = 0
        found.previews.append((offset, length))
    width, height = _raf_size(source)
    is_turned = (width >= height) != (found.width >= found.height)
    shape = found.width * height / (found.height * width) if found.height and width else 1.0
    if width and not (found.width and (is_turned or not 1 / _NEAR_SHAPE < shape < _NEAR_SHAPE)):
        found.width, found.height = width, height
        found.problem = ""
    return found


def _raf_size(source: Source) -> tuple[int, int]:
    start, length = struct.unpack(">II", source.read(92, 8).ljust(8, b"\0"))
    table = source.read(start, min(length, _LONGEST_HEAD_BYTES))
    sizes: dict[int, tuple[int, int]] = {}
    position = 4
    for _ in range(min(int.from_bytes(table[:4], "big"), _MOST_RAF_ENTRIES)):
        if position + 4 > len(table):
            break
        tag, size = struct.unpack_from(">HH", table, position)
        if tag in (_RAF_CROPPED, _RAF_FULL) and size == 4 and position + 8 <= len(table):
            height, width = struct.unpack_from(">HH", table, position + 4)
            sizes[tag] = (width, height)
        position += 4 + size
    return sizes.get(_RAF_CROPPED) or sizes.get(_RAF_FULL) or (0, 0)


def nikon_note(exif: Exif) -> Reader | None:
    """Return a reader of Nikon's notes, which are a TIFF structure of their own, or None if there are none."""
    place = exif.reader.places.get(0x927C) if exif.reader else None
    if exif.reader is None or place is None:
        return None
    start = exif.reader.start + place[0]
    if exif.reader.source.read(start, 7) != b"Nikon\0\2":
        return None
    reader = Reader(exif.reader.source, start + 10)
    return reader if reader.order else None
