"""Find the short video that phones append to a picture: a motion photo is one file.

Google's phones, and those that follow them, say in XMP how far before the end the video begins (`GCamera:MicroVideoOffset`), or
how long each part of the file is (`Container:Directory`, developer.android.com/media/platform/motion-photo-format); in HEIF the
box `mpvd` holds it. Samsung's end with a directory of what was appended (`SEFH` … `SEFT`).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from itertools import islice

from catalog.media.isobmff import boxes, first_box
from catalog.media.source import DescriptorSource, Source

_TYPES = frozenset(("image/jpeg", "image/heic", "image/heif", "image/avif"))
_MICRO_VIDEO = re.compile(rb"""(?:MicroVideo|MotionPhoto)Offset(?:\s*=\s*["']|\s*>\s*)(\d{1,12})""")
_ITEM = re.compile(rb"""<\w*:?Item\b(?=[^<>]*Semantic)[^<>]*>""")  # no element is looked for beyond the next one
_MOST_ITEMS = 50
_SEMANTIC = re.compile(rb"""Semantic\s*=\s*["'](\w+)""")
_NUMBERS = {name: re.compile(rb"\b" + name + rb"""\s*=\s*["'](\d{1,12})""") for name in (b"Length", b"Padding")}
_SAMSUNG_MOTION = 0x0A30
_MOST_APPENDED = 200
_LEAST_BYTES = 1000
_PARTS = frozenset(
    (
        b"ftyp",
        b"moov",
        b"mdat",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"udta",
        b"meta",
        b"moof",
        b"mfra",
        b"sidx",
        b"styp",
    )
)
"""The boxes at the top of an MP4; what follows them in the file is not the video's."""


def motion_bytes(source: Source, media_type: str, xmp_packets: list[bytes]) -> int:
    """Return how many bytes before the file's end the video of a motion photo begins; 0 if there is none. A few small reads."""
    if media_type not in _TYPES:
        return 0
    for before_end in _told(source, media_type, xmp_packets):
        start = source.size - before_end
        if _LEAST_BYTES <= before_end < source.size and source.read(start + 4, 4) == b"ftyp":
            return before_end
    return 0


def video_at_end(descriptor: int, before_end: int) -> tuple[int, int] | None:
    """Return where in an open file the video that begins `before_end` bytes before its end begins and ends; None if none does."""
    size = os.fstat(descriptor).st_size
    start = size - before_end
    source = DescriptorSource(descriptor, size)
    if before_end <= 0 or start <= 0 or source.read(start + 4, 4) != b"ftyp":
        return None
    end = start
    for kind, _, stop in boxes(source, start):
        if kind not in _PARTS:
            break
        end = stop
    return start, end


def _told(source: Source, media_type: str, xmp_packets: list[bytes]) -> Iterator[int]:
    """Yield where, before the end of the file, a video may begin."""
    if media_type != "image/jpeg":
        place = first_box(source, b"mpvd")
        if place is not None:
            yield source.size - place[0]
    for packet in xmp_packets[:8]:
        if b"Semantic" in packet:
            yield from _of_directory(packet)
        if told := _MICRO_VIDEO.search(packet):
            yield int(told[1])
    yield from _of_samsung(source)


def _of_directory(packet: bytes) -> Iterator[int]:
    """Yield the lengths of the video and of what follows it, by the list of the file's parts."""
    behind = 0
    for item in reversed([match[0] for match in islice(_ITEM.finditer(packet), _MOST_ITEMS)]):
        told = {name: pattern.search(item) for name, pattern in _NUMBERS.items()}
        length, padding = (int(match[1]) if match else 0 for match in (told[b"Length"], told[b"Padding"]))
        behind += length
        semantic = _SEMANTIC.search(item)
        if semantic and semantic[1] == b"MotionPhoto":
            yield behind
        behind += padding


def _of_samsung(source: Source) -> Iterator[int]:
    """Yield where the part `MotionPhoto_Data` of Samsung's appended directory begins."""
    end = source.read(source.size - 8, 8)
    if end[4:] != b"SEFT":
        return
    length = int.from_bytes(end[:4], "little")
    start = source.size - 8 - length
    directory = source.read(start, min(length, 12 + 12 * _MOST_APPENDED))
    if directory[:4] != b"SEFH" or len(directory) < 12:
        return
    count = min(int.from_bytes(directory[8:12], "little"), _MOST_APPENDED, (len(directory) - 12) // 12)
    for kind, before, _ in (struct.unpack_from("<2xHII", directory, 12 + 12 * one) for one in range(count)):
        if kind == _SAMSUNG_MOTION:
            name = int.from_bytes(source.read(start - before + 4, 4), "little")
            yield source.size - (start - before + 8 + min(name, 64))
