"""Read the headers of AVI videos: size, length, date of recording."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from catalog.media.exif import clean_text
from catalog.media.found import Found
from catalog.media.recorded import recorded
from catalog.media.source import Source

_MOST_CHUNKS = 500
_LONGEST_TEXT_BYTES = 256
_LONGEST_SECONDS = 10 * 24 * 3600
_DATES = {b"IDIT": "AVI IDIT", b"ICRD": "AVI ICRD"}
_TEXTS = {b"INAM": "title", b"ICMT": "comment"}


def read_avi(source: Source) -> Found:
    """Return what the header list and the list of information say; in a video of several parts the length of all."""
    found = Found()
    microseconds = frames = 0
    dates: dict[bytes, str] = {}
    for kind, start, end in _chunks(source):
        if kind == b"avih":
            head = source.read(start, 40)
            if len(head) == 40:
                microseconds, frames = struct.unpack("<I12xI", head[:20])
                found.width, found.height = struct.unpack("<II", head[32:40])
        elif kind == b"dmlh":
            frames = max(frames, int.from_bytes(source.read(start, 4), "little"))
        elif kind in _DATES or kind in _TEXTS:
            text = clean_text(source.read(start, min(end - start, _LONGEST_TEXT_BYTES)))
            if kind in _DATES:
                dates.setdefault(kind, text)
            else:
                found.texts.setdefault(_TEXTS[kind], text)
    if 0 < microseconds * frames < _LONGEST_SECONDS * 1_000_000:
        found.duration_ms = microseconds * frames // 1000
    said = (recorded(label, dates[kind]) for kind, label in _DATES.items() if kind in dates)
    found.recorded += [candidate for candidate in said if candidate]
    return found


def _chunks(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks of all lists but the one of the pictures, each once, in the order in which they are in the file."""
    position, end = 12, source.size
    for _ in range(_MOST_CHUNKS):
        head = source.read(position, 12)
        if len(head) < 8 or position >= end:
            return
        kind, length = head[:4], int.from_bytes(head[4:8], "little")
        if kind in (b"LIST", b"RIFF") and head[8:] not in (b"movi", b"AVIX"):
            position += 12  # its chunks follow, as if they were not in a list
            continue
        if kind not in (b"LIST", b"RIFF"):
            yield kind, position + 8, position + 8 + length
        position += 8 + length + (length & 1)
