"""Read the headers of RAW formats that are not TIFF inside: Canon's CRW, Minolta's MRW, Sigma's X3F."""

from __future__ import annotations

import struct
from datetime import timedelta

from catalog.media.dates import EPOCH
from catalog.media.exif import Exif, clean_text, read_exif
from catalog.media.found import Found
from catalog.media.jpeg import read_jpeg
from catalog.media.source import MemorySource, Source

_MOST_ENTRIES = 500
_MOST_DIRECTORIES = 20
_LONGEST_BYTES = 1024 * 1024
_JPEG = struct.pack("<II", 2, 18)
"""Type and format of a picture that is a JPEG, as newer cameras put in, with EXIF."""
_CRW_JPEG = 0x2007
_TURNS = {0: 1, 90: 6, 180: 3, 270: 8}
"""Degrees clockwise -> EXIF orientation."""


def read_mrw(source: Source) -> Found:
    """Return what a Minolta RAW says: its size, and the EXIF in its block TTW."""
    found = Found()
    position, end = 8, 8 + int.from_bytes(source.read(4, 4), "big")
    for _ in range(_MOST_ENTRIES):
        head = source.read(position, 8)
        if len(head) < 8 or position >= end:
            break
        length = int.from_bytes(head[4:], "big")
        if head[:4] == b"\0PRD":
            size = source.read(position + 20, 4)
            found.height, found.width = int.from_bytes(size[:2], "big"), int.from_bytes(size[2:4], "big")
        elif head[:4] == b"\0TTW":
            found.exif = read_exif(source.read(position + 8, min(length, _LONGEST_BYTES)))
        position += 8 + length
    if not found.width or not found.height:
        found.problem = "The MRW file's header gives no size."
    return found


def read_crw(source: Source) -> Found:
    """Return what a CRW says: its size and turn, the camera, and the moment by the camera's clock, in its heap of records."""
    found = Found()
    order = {b"II": "<", b"MM": ">"}.get(source.read(0, 2), "")
    if order:
        (start,) = struct.unpack(order + "I", source.read(2, 4))
        found.exif = Exif()
        _read_heap(source, order, (start, source.size), found, found.exif, [_MOST_DIRECTORIES])
    if not found.width or not found.height:
        found.problem = "The CRW file's directory is damaged or gives no size."
    return found


def _read_heap(source: Source, order: str, heap: tuple[int, int], found: Found, exif: Exif, left: list[int]) -> None:
    left[0] -= 1
    start, end = heap
    if left[0] < 0 or not 0 <= start < end - 4:
        return
    (offset,) = struct.unpack(order + "I", source.read(end - 4, 4))
    count = int.from_bytes(source.read(start + offset, 2), "little" if order == "<" else "big")
    body = source.read(start + offset + 2, 10 * min(count, _MOST_ENTRIES))
    for at in range(0, len(body) - 9, 10):
        kind, size, place = struct.unpack(order + "HII", body[at : at + 10])
        if kind & 0x4000:  # the value stands in the directory
            value = body[at + 2 : at + 10]
        elif kind & 0x3800 in (0x2800, 0x3000):
            if place + size <= end - start:
                _read_heap(source, order, (start + place, start + place + size), found, exif, left)
            continue
        else:
            value = source.read(start + place, min(size, 256))
            if kind & 0x3FFF == _CRW_JPEG and value[:2] == b"\xff\xd8":
                found.previews.append((start + place, size))
        _keep_record(kind & 0x3FFF, value, order, found, exif)


def _keep_record(kind: int, value: bytes, order: str, found: Found, exif: Exif) -> None:
    if kind == 0x080A:
        make, _, model = value.partition(b"\0")
        exif.ifd0.update({0x010F: make, 0x0110: model})
    elif kind == 0x180E and len(value) >= 4:
        (seconds,) = struct.unpack(order + "I", value[:4])
        exif.exif[0x9003] = _stamp(seconds)
    elif kind == 0x1810 and len(value) >= 16:
        found.width, found.height, _, degrees = struct.unpack(order + "IIfi", value[:16])
        exif.ifd0[0x0112] = _TURNS.get(degrees % 360, 1)


def read_x3f(source: Source) -> Found:
    """Return what an X3F says: its size and turn, and in its properties the camera and the moment by the camera's clock."""
    found = Found()
    head = source.read(0, 52)
    if len(head) == 52:
        at = 40 if head[6] >= 4 else 28  # since version 4 the header is another
        found.width, found.height, degrees = struct.unpack("<III", head[at : at + 12])
        found.exif = Exif(ifd0={0x0112: _TURNS.get(degrees % 360, 1)})
        _read_sections(source, found, found.exif)
    if not found.width or not found.height:
        found.problem = "The X3F file's header gives no size."
    return found


def _read_sections(source: Source, found: Found, exif: Exif) -> None:
    directory = int.from_bytes(source.read(max(source.size - 4, 0), 4), "little")
    head = source.read(directory, 12)
    if head[:4] != b"SECd" or len(head) < 12:
        return
    entries = source.read(directory + 12, 12 * min(int.from_bytes(head[8:12], "little"), _MOST_ENTRIES))
    for at in range(0, len(entries) - 11, 12):
        place, size, kind = struct.unpack("<II4s", entries[at : at + 12])
        if kind == b"PROP":
            _read_properties(source.read(place, min(size, _LONGEST_BYTES)), exif)
        elif kind in (b"IMAG", b"IMA2") and source.read(place + 8, 8) == _JPEG:
            found.previews.append((place + 28, size - 28))
            if exif.exif:
                continue
            inner = read_jpeg(MemorySource(source.read(place + 28, min(size, _LONGEST_BYTES)))).exif
            if inner is not None:
                exif.exif, exif.gps = inner.exif, inner.gps
                exif.ifd0 = inner.ifd0 | exif.ifd0


def _read_properties(section: bytes, exif: Exif) -> None:
    if section[:4] != b"SECp" or len(section) < 24:
        return
    count = min(int.from_bytes(section[8:12], "little"), _MOST_ENTRIES)
    texts = section[24 + 8 * count :]
    said: dict[str, str] = {}
    for at in range(24, min(24 + 8 * count, len(section) - 7), 8):
        name, value = (_text_at(texts, place) for place in struct.unpack("<II", section[at : at + 8]))
        said.setdefault(name, value)
    exif.ifd0 |= {0x010F: said.get("CAMMANUF", "").encode(), 0x0110: said.get("CAMMODEL", "").encode()}
    seconds = said.get("TIME", "")
    if seconds.isascii() and seconds.isdigit() and len(seconds) < 12:
        exif.exif[0x9003] = _stamp(int(seconds))


def _text_at(texts: bytes, place: int) -> str:
    """Return the text that begins at character `place` and ends with a zero."""
    text = texts[2 * place : 2 * place + 512].decode("utf-16-le", "ignore")
    return clean_text(text.partition("\0")[0], 200)


def _stamp(seconds: int) -> bytes:
    """Return the wall clock's time as EXIF writes it: these cameras count in seconds since 1970, and know no zone."""
    return f"{EPOCH + timedelta(seconds=seconds):%Y:%m:%d %H:%M:%S}".encode() if 0 < seconds < 2**32 else b""
