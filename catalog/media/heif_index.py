"""Read the index (the meta box) of HEIF and AVIF files: which items there are, what they are like, where their bytes lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from catalog.media.isobmff import boxes
from catalog.media.source import Source

_LONGEST_META_BYTES = 4 * 1024 * 1024
_LONGEST_ITEM_BYTES = 4 * 1024 * 1024
_MOST_ITEMS = 20_000
_MOST_EXTENTS = 64
# irot turns counter-clockwise in steps of 90 degrees, imir flips afterwards: (turns, mirror axis) -> EXIF orientation.
_TRANSFORMS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


@dataclass(slots=True)
class Meta:
    """What the index of a file says: kinds, places, properties and references by the numbers of items; `…_at` are places in
    the file, in bytes."""

    primary: int = 0
    primary_at: int = 0
    primary_bytes: int = 2
    kinds: dict[int, bytes] = field(default_factory=dict)
    mimes: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    profiles: dict[int, bytes] = field(default_factory=dict)
    """ICC profiles, by the number of their property."""
    uses: dict[int, list[int]] = field(default_factory=dict)
    uses_at: dict[int, int] = field(default_factory=dict)
    """Where in the file the numbers of an item's properties begin, if each takes one byte."""
    kinds_at: dict[int, int] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    reference_kinds_at: list[tuple[bytes, int]] = field(default_factory=list)
    data_start: int = 0


def kind_of(meta: Meta, number: int) -> bytes:
    """Return the name of a property by its number, nothing where there is none."""
    return meta.properties[number - 1][0] if 0 < number <= len(meta.properties) else b""


def read_meta(source: Source, start: int, end: int) -> Meta:
    """Return the index that lies between these bytes; boxes that break off are passed over."""
    meta = Meta()
    base = start + 4
    body = source.read(base, min(end - base, _LONGEST_META_BYTES))
    for kind, at, stop in boxes(body):
        part = body[at:stop]
        try:
            if kind == b"pitm":
                meta.primary_bytes = 4 if part[0] else 2
                meta.primary_at = base + at + 4
                meta.primary = int.from_bytes(part[4 : 4 + meta.primary_bytes], "big")
            elif kind == b"iinf":
                _read_item_kinds(part, meta, base + at)
            elif kind == b"iloc":
                _read_places(part, meta)
            elif kind == b"iprp":
                _read_properties(part, meta, base + at)
            elif kind == b"iref":
                _read_references(part, meta, base + at)
            elif kind == b"idat":
                meta.data_start = base + at
        except (struct.error, IndexError):
            continue
    return meta


def _read_item_kinds(part: bytes, meta: Meta, base: int) -> None:
    start = 8 if part[0] else 6
    for count, (kind, at, stop) in enumerate(boxes(part, start)):
        if count > _MOST_ITEMS:
            return
        if kind != b"infe" or part[at] < 2:
            continue
        wide = part[at] == 3
        item = int.from_bytes(part[at + 4 : at + (8 if wide else 6)], "big")
        kind_at = at + (10 if wide else 8)
        meta.kinds[item], meta.kinds_at[item] = part[kind_at : kind_at + 4], base + kind_at
        if meta.kinds[item] == b"mime":
            meta.mimes[item] = part[kind_at + 4 : stop]


def _read_places(part: bytes, meta: Meta) -> None:
    version = part[0]
    offset_bytes, length_bytes = part[4] >> 4, part[4] & 15
    base_bytes, index_bytes = part[5] >> 4, (part[5] & 15 if version else 0)
    id_bytes = 4 if version == 2 else 2
    position = 6
    count = int.from_bytes(part[position : position + id_bytes], "big")
    position += id_bytes
    for _ in range(min(count, _MOST_ITEMS)):
        if position + id_bytes + 4 > len(part):
            return
        item = int.from_bytes(part[position : position + id_bytes], "big")
        position += id_bytes
        method = 0
        if version:
            method = part[position + 1] & 15
            position += 2
        position += 2
        base = int.from_bytes(part[position : position + base_bytes], "big")
        position += base_bytes
        extent_count = int.from_bytes(part[position : position + 2], "big")
        position += 2
        extents: list[tuple[int, int]] = []
        for _ in range(extent_count):
            position += index_bytes
            offset = base + int.from_bytes(part[position : position + offset_bytes], "big")
            position += offset_bytes
            length = int.from_bytes(part[position : position + length_bytes], "big")
            position += length_bytes
            if position > len(part):
                return
            if len(extents) < _MOST_EXTENTS:
                extents.append((offset, length))
        meta.places[item] = (method, extents)


def _read_properties(part: bytes, meta: Meta, base: int) -> None:
    for kind, at, stop in boxes(part):
        if kind == b"ipco":
            for number, (name, start, end) in enumerate(boxes(part, at, stop), 1):
                meta.properties.append((name, part[start : min(end, start + 64)]))
                if name == b"colr" and part[start : start + 4] in (b"prof", b"rICC"):
                    meta.profiles[number] = part[start + 4 : end]
        elif kind == b"ipma":
            _read_uses(part[at:stop], meta, base + at)


def _read_uses(part: bytes, meta: Meta, base: int) -> None:
    id_bytes = 4 if part[0] else 2
    wide = part[3] & 1
    count = int.from_bytes(part[4:8], "big")
    position = 8
    for _ in range(min(count, _MOST_ITEMS)):
        if position + id_bytes >= len(part):
            return
        item = int.from_bytes(part[position : position + id_bytes], "big")
        position += id_bytes
        number = part[position]
        position += 1
        uses = []
        if not wide:
            meta.uses_at[item] = base + position
        for _ in range(number):
            if wide:
                uses.append(int.from_bytes(part[position : position + 2], "big") & 0x7FFF)
            else:
                uses.append(part[position] & 0x7F if position < len(part) else 0)
            position += 2 if wide else 1
        meta.uses[item] = uses


def _read_references(part: bytes, meta: Meta, base: int) -> None:
    id_bytes = 4 if part[0] else 2
    for kind, at, _stop in boxes(part, 4):
        source_item = int.from_bytes(part[at : at + id_bytes], "big")
        count = int.from_bytes(part[at + id_bytes : at + id_bytes + 2], "big")
        first = at + id_bytes + 2
        targets = [
            int.from_bytes(part[first + id_bytes * n : first + id_bytes * (n + 1)], "big")
            for n in range(min(count, 256))
        ]
        meta.references.append((kind, source_item, targets))
        meta.reference_kinds_at.append((kind, base + at - 4))


def shape_of(meta: Meta, item: int) -> tuple[tuple[int, int], int]:
    """Return width and height in pixels as stored and cropped, and the EXIF orientation of an item."""
    width = height = turns = 0
    mirror: int | None = None
    for index in meta.uses.get(item, []):
        if not 0 < index <= len(meta.properties):
            continue
        kind, body = meta.properties[index - 1]
        if kind == b"ispe" and len(body) >= 12 and not width:
            width, height = struct.unpack(">II", body[4:12])
        elif kind == b"clap" and len(body) >= 16:
            parts = struct.unpack(">IIII", body[:16])
            if parts[1] and parts[3] and parts[0] // parts[1] <= width and parts[2] // parts[3] <= height:
                width, height = max(1, parts[0] // parts[1]), max(1, parts[2] // parts[3])
        elif kind == b"irot" and body:
            turns = body[0] & 3
        elif kind == b"imir" and body:
            mirror = body[0] & 1
    return (width, height), _TRANSFORMS[turns, mirror]


def is_alpha(meta: Meta, item: int) -> bool:
    """True if the item is the transparency of another one."""
    used = [meta.properties[number - 1] for number in meta.uses.get(item, []) if 0 < number <= len(meta.properties)]
    return any(kind == b"auxC" and (b":alpha" in body or b"auxid:1" in body) for kind, body in used)


def item_bytes(source: Source, meta: Meta, item: int) -> bytes:
    """Return the bytes of an item, at most 4 MiB; none if they lie in another item or file."""
    method, extents = meta.places.get(item, (0, []))
    start = meta.data_start if method == 1 else 0
    if method > 1 or (method == 1 and not meta.data_start):
        return b""
    parts, left = [], _LONGEST_ITEM_BYTES
    for offset, length in extents:
        part = source.read(start + offset, min(length or source.size, left))
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
