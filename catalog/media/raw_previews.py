"""Find the JPEGs that cameras put into RAW files, without a library: they are whole where the RAW data are of a new kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from catalog.media.exif import Exif, Reader, Tags
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.isobmff import boxes, first_box
from catalog.media.jpeg import read_jpeg
from catalog.media.maker_notes import olympus_note
from catalog.media.raw_headers import nikon_note
from catalog.media.source import MemorySource, Source

_MOST_DIRECTORIES = 24
_HEAD_BYTES = 256 * 1024
_LONGEST_BYTES = 48 * 1024 * 1024
_JPEG_OFFSET, _JPEG_LENGTH, _STRIPS, _STRIP_BYTES, _SUB = 0x0201, 0x0202, 0x0111, 0x0117, 0x014A
_MAKER_NOTE, _NIKON_PREVIEW = 0x927C, 0x0011
_OLYMPUS_SETTINGS, _OLYMPUS_START, _OLYMPUS_LENGTH = 0x2020, 0x0101, 0x0102
_WANTED = frozenset((_JPEG_OFFSET, _JPEG_LENGTH, _STRIPS, _STRIP_BYTES, _SUB))
_CR3_PREVIEW = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
_JPEG_STARTS = b"\xff\xd8\xff"
_Place = tuple[int, int]


class Preview(NamedTuple):
    """A JPEG inside a RAW file; `found` is what its headers say."""

    offset: int
    length: int
    found: Found


def previews_in(source: Source, media_type: str, facts: Facts) -> list[Preview]:
    """Return the JPEGs in a RAW file, the largest first. Each is within the file, and coded as all programs know it."""
    seen: dict[int, Preview] = {}
    for offset, length in _places(source, media_type, facts.found):
        length = min(length, source.size - offset)
        if offset <= 0 or length < 64 or length > _LONGEST_BYTES or offset in seen:
            continue
        if source.read(offset, 3) != _JPEG_STARTS:
            continue
        found = read_jpeg(MemorySource(source.read(offset, min(length, _HEAD_BYTES))))
        if not found.problem and not found.is_lossless and found.depth == 8:
            seen[offset] = Preview(offset, length, found)
    return sorted(seen.values(), key=lambda one: one.found.width * one.found.height, reverse=True)


def _places(source: Source, media_type: str, found: Found) -> Iterator[_Place]:
    yield from found.previews
    if media_type == "image/x-canon-cr3":
        yield from _in_cr3(source)
        return
    reader = Reader(source, 0)
    if reader.order:
        yield from _in_directories(reader, reader.first)
    # The notes of a JPEG inside speak of places in that.
    if found.exif is not None and found.exif.reader is not None and found.exif.reader.source.size == source.size:
        yield from _in_notes(found.exif)


def _in_directories(reader: Reader, first: int) -> Iterator[_Place]:
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen:
            continue
        seen.add(offset)
        tags, following = reader.directory(offset, _WANTED)
        yield from _of_directory(reader, tags)
        sub = tags.get(_SUB, ())
        waiting += [one for one in (sub if isinstance(sub, tuple) else (sub,)) if isinstance(one, int)][:8]
        if following:
            waiting.append(following)


def _of_directory(reader: Reader, tags: Tags) -> Iterator[_Place]:
    for at, size in ((_JPEG_OFFSET, _JPEG_LENGTH), (_STRIPS, _STRIP_BYTES)):
        offset, length = tags.get(at), tags.get(size)
        if isinstance(offset, int) and isinstance(length, int):
            yield reader.start + offset, length


def _in_notes(exif: Exif) -> Iterator[_Place]:
    nikon, reader = nikon_note(exif), exif.reader
    if nikon is not None:
        pointer = nikon.directory(nikon.first, frozenset((_NIKON_PREVIEW,)))[0].get(_NIKON_PREVIEW)
        if isinstance(pointer, int):
            yield from _of_directory(nikon, nikon.directory(pointer, _WANTED)[0])
    place = reader.places.get(_MAKER_NOTE) if reader else None
    if reader is None or place is None:
        return
    head = reader.source.read(reader.start + place[0], 10)
    if head.startswith((b"OLYMPUS\0", b"OM SYSTEM\0")):
        notes = olympus_note(reader, place[0])
        pointer = _number(notes, 16 if head[:2] == b"OM" else 12, _OLYMPUS_SETTINGS)
        start, length = _number(notes, pointer, _OLYMPUS_START), _number(notes, pointer, _OLYMPUS_LENGTH)
        if start and length:
            yield notes.start + start, length


def _number(reader: Reader, offset: int, tag: int) -> int:
    value: Any = reader.directory(offset, frozenset((tag,)))[0].get(tag, 0)
    return value if isinstance(value, int) else 0


def _in_cr3(source: Source) -> Iterator[_Place]:
    for kind, start, end in boxes(source):
        if kind == b"uuid" and source.read(start, 16) == _CR3_PREVIEW:
            for inner, at, _ in boxes(source, start + 24, end):
                if inner == b"PRVW":
                    yield at + 16, int.from_bytes(source.read(at + 12, 4), "big")
        elif kind == b"moov":
            for inner, at, stop in boxes(source, start, end):
                if inner == b"trak":
                    yield from _of_track(source, at, stop)


def _of_track(source: Source, start: int, end: int) -> Iterator[_Place]:
    """Yield the one sample of a track of a CR3: the first track's is a JPEG of full size."""
    for name in (b"mdia", b"minf", b"stbl"):
        box = first_box(source, name, start, end)
        if box is None:
            return
        start, end = box
    sizes, large, small = (first_box(source, name, start, end) for name in (b"stsz", b"co64", b"stco"))
    if sizes is None or (large or small) is None:
        return
    length = int.from_bytes(source.read(sizes[0] + 4, 4), "big") or int.from_bytes(source.read(sizes[0] + 12, 4), "big")
    offset = int.from_bytes(source.read(large[0] + 8, 8), "big") if large else 0
    offset = offset or (int.from_bytes(source.read(small[0] + 8, 4), "big") if small else 0)
    yield offset, length
