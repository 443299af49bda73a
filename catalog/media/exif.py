"""Read EXIF: the TIFF structure in JPEG, HEIF, PNG and WebP, and the one that TIFF and RAW files are made of."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from catalog.media.source import MemorySource, Source

TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_ENTRIES = 1000
_LONGEST_VALUE_BYTES = 64 * 1024
_LARGE_VALUE_TAGS = {0x02BC: 4 * 1024 * 1024, 0x83BB: 1024 * 1024, 0x8649: 4 * 1024 * 1024}
_MAKER_NOTE = 0x927C
_PREVIEW_OF_PANASONIC = 0x002E
_PLACES = frozenset((_MAKER_NOTE, _PREVIEW_OF_PANASONIC))
_IPTC = 0x83BB
_COLOUR_SPACE, _INTEROPERABILITY = 0xA001, 0xA005
_PICTURE_DIRECTORIES = 8

Tags = dict[int, Any]


@dataclass(slots=True)
class Exif:
    """The directories of one EXIF block; a rational is a (numerator, denominator) pair, text is bytes."""

    ifd0: Tags = field(default_factory=dict)
    exif: Tags = field(default_factory=dict)
    gps: Tags = field(default_factory=dict)
    ifd1: Tags = field(default_factory=dict)
    pictures: list[Tags] = field(default_factory=list)
    """Sub-directories of a TIFF or RAW file: its other pictures."""
    thumbnail: bytes = b""
    apple_content_identifier: str = ""
    is_adobe_rgb: bool = False
    """Its colours are those of Adobe RGB, as DCF says it without a profile."""
    reader: Reader | None = None
    """What it was read with, for what is asked for seldom."""
    problem: str = ""


class Reader:
    """Reads directories of one TIFF structure, whose header lies at `start`; `order` is empty where there is none."""

    def __init__(self, source: Source, start: int) -> None:
        self.source, self.start = source, start
        head = source.read(start, 16)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        self.big = False
        self.first = 0
        self.places: dict[int, tuple[int, int]] = {}
        """Where the values of some tags lie, and their length."""
        if not self.order or len(head) < 8:
            self.order = ""
            return
        (magic,) = struct.unpack(self.order + "H", head[2:4])
        if magic == 43 and len(head) == 16:
            self.big = True
            (self.first,) = struct.unpack(self.order + "Q", head[8:16])
        elif magic in (42, 0x55, 0x4F52, 0x5352):
            (self.first,) = struct.unpack(self.order + "I", head[4:8])
        else:
            self.order = ""

    def directory(self, offset: int, only: frozenset[int] | None = None) -> tuple[Tags, int]:
        """Return the tags of the directory at `offset`, or `only` some, and the offset of the next one (0: none)."""
        count_format, entry_bytes, next_format = ("Q", 20, "Q") if self.big else ("H", 12, "I")
        count_bytes = 8 if self.big else 2
        raw = self.source.read(self.start + offset, count_bytes)
        if offset <= 0 or len(raw) < count_bytes:
            return {}, 0
        (count,) = struct.unpack(self.order + count_format, raw)
        body = self.source.read(self.start + offset + count_bytes, min(count, _MOST_ENTRIES) * entry_bytes + 8)
        entry_format = struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))
        tags: Tags = {}
        for position in range(0, min(count, _MOST_ENTRIES) * entry_bytes, entry_bytes):
            if position + entry_bytes > len(body):
                return tags, 0
            tag, kind, number, inline = entry_format.unpack_from(body, position)
            if tag in tags or (only is not None and tag not in only):
                continue
            value = self._value(tag, kind, number, inline)
            if value is not None:
                tags[tag] = value
        tail = body[count * entry_bytes : count * entry_bytes + struct.calcsize(next_format)]
        if len(tail) < struct.calcsize(next_format):
            return tags, 0
        return tags, struct.unpack(self.order + next_format, tail)[0]

    def _value(self, tag: int, kind: int, number: int, inline: bytes) -> Any:
        size = TYPE_BYTES.get(kind)
        if size is None:
            return None
        length = size * number
        if length <= len(inline):
            raw = inline[:length]
        else:
            (offset,) = struct.unpack(self.order + ("Q" if self.big else "I"), inline)
            if tag in _PLACES:
                self.places[tag] = offset, length
            if length > _LARGE_VALUE_TAGS.get(tag, _LONGEST_VALUE_BYTES):
                return None
            raw = self.source.read(self.start + offset, length)
            if len(raw) < length and kind != 2:
                return None
        if kind in (2, 7) or tag == _IPTC:  # which many write as numbers of four bytes
            return raw
        if kind in (5, 10):
            numbers = struct.unpack(self.order + ("I" if kind == 5 else "i") * (number * 2), raw)
            pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
            return pairs[0] if number == 1 else pairs
        if kind == 1 and number > 8:
            return raw
        values = struct.unpack(f"{self.order}{number}{_FORMATS[kind]}", raw)
        return values[0] if number == 1 else values


def read_exif(source: Source | bytes, start: int = 0, *, thumbnail: bool = True) -> Exif | None:
    """Return the EXIF whose TIFF header lies at `start`, or None when there is none.

    Loops and lies cost nothing but their tags.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = MemorySource(bytes(source))
    reader = Reader(source, start)
    if not reader.order:
        return None
    found = Exif(reader=reader)
    seen = {reader.first}
    found.ifd0, following = reader.directory(reader.first)
    if not found.ifd0:
        found.problem = "The EXIF directory is empty or lies outside the file."
    for name, tag in (("exif", 0x8769), ("gps", 0x8825)):
        pointer = _first_int(found.ifd0.get(tag))
        if pointer and pointer not in seen:
            seen.add(pointer)
            tags, _ = reader.directory(pointer)
            setattr(found, name, tags)
    if following and following not in seen:
        seen.add(following)
        found.ifd1, _ = reader.directory(following)
    sub = found.ifd0.get(0x014A, ())
    for pointer in (sub,) if isinstance(sub, int) else tuple(sub)[:_PICTURE_DIRECTORIES]:
        if isinstance(pointer, int) and pointer not in seen:
            seen.add(pointer)
            found.pictures.append(reader.directory(pointer)[0])
    if thumbnail:
        found.thumbnail = _jpeg_at(reader, found.ifd1)
    space, pointer = found.exif.get(_COLOUR_SPACE), _first_int(found.exif.get(_INTEROPERABILITY))
    if space == 2 or (space == 0xFFFF and pointer and pointer not in seen):
        said = b"R03" if space == 2 else reader.directory(pointer)[0].get(1, b"")
        found.is_adobe_rgb = isinstance(said, bytes) and said[:3] == b"R03"
    maker_note = found.exif.get(_MAKER_NOTE)
    if isinstance(maker_note, bytes) and maker_note.startswith(b"Apple iOS\0"):
        found.apple_content_identifier = _apple_content_identifier(maker_note)
    return found


def _jpeg_at(reader: Reader, tags: Tags) -> bytes:
    offset, length = _first_int(tags.get(0x0201)), _first_int(tags.get(0x0202))
    if not offset or not length or length > 256 * 1024:
        return b""
    data = reader.source.read(reader.start + offset, length)
    return data if data[:2] == b"\xff\xd8" else b""


def _apple_content_identifier(maker_note: bytes) -> str:
    # "Apple iOS\0\0\1MM" and then a directory whose offsets count from the start of the note.
    if maker_note[12:14] != b"MM":
        return ""
    reader = Reader(MemorySource(maker_note), 0)
    reader.order, reader.first = ">", 14
    tags, _ = reader.directory(14)
    value = tags.get(0x0011)
    return clean_text(value)[:100] if isinstance(value, bytes) else ""


def _first_int(value: Any) -> int:
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, int) else 0


def clean_text(value: Any, limit: int = 10_000) -> str:
    """Return text as people should see it: UTF-8 or else Latin-1, cut at the first NUL, no control characters, at most
    `limit` long."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (bytes, bytearray)):
        raw = bytes(value).split(b"\0", 1)[0]
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    else:
        return ""
    return tidy(text, limit)


def tidy(text: str, limit: int = 10_000) -> str:
    """Drop control characters and lone surrogates from `text`, strip it, and cut it at `limit` characters."""
    if not text.isprintable():
        text = "".join(
            c for c in text if (c >= " " and not "\x7f" <= c <= "\x9f" and not "\ud800" <= c <= "\udfff") or c in "\n\t"
        )
    return text.strip()[:limit].rstrip()


def number(value: Any) -> float | None:
    """Return a tag's first value as a float; a rational with denominator 0 is None."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        value = value[0]
    if isinstance(value, tuple):
        if len(value) == 2 and all(isinstance(part, int) for part in value):
            return value[0] / value[1] if value[1] else None
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if value == value and abs(value) != float("inf") else None
