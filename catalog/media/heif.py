"""Read the headers of HEIF and AVIF pictures: the primary item's size and turns, its EXIF and XMP, its thumbnail item."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from catalog.media.exif import read_exif
from catalog.media.found import Found
from catalog.media.isobmff import boxes, first_box
from catalog.media.quicktime import read_quicktime
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
class _Meta:
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


def read_heif(source: Source) -> Found:
    """Return what the meta box says. Sets `problem` when there is none, or when it names no picture."""
    found = Found()
    place = first_box(source, b"meta")
    if place is None:
        found.problem = "The HEIF file holds no picture: its index is missing."
        return found
    meta = _read_meta(source, place[0], place[1])
    size, transform = _shape(meta, meta.primary)
    found.width, found.height = size
    found.transform = transform
    found.decoded_bytes = size[0] * size[1] * 4
    _read_items(source, meta, found)
    _read_samples(meta, found)
    found.thumbnail_item = _thumbnail_item(meta, size)
    if first_box(source, b"moov") is not None:
        film = read_quicktime(source)
        found.created_utc_seconds, found.duration_ms = film.created_utc_seconds, film.duration_ms
    if not found.width or not found.height:
        found.problem = "The HEIF file's index names no picture."
    return found


def thumbnail_as_primary(data: bytes, item: int) -> bytes | None:
    """Return a copy of a HEIF file whose primary picture is its thumbnail `item`, or None: a decoder then needs a hundredth
    of the work."""
    from catalog.media.source import MemorySource

    source = MemorySource(data)
    place = first_box(source, b"meta")
    if place is None:
        return None
    meta = _read_meta(source, place[0], place[1])
    if not meta.primary_at or item >= 1 << (8 * meta.primary_bytes):
        return None
    changed = bytearray(data)
    changed[meta.primary_at : meta.primary_at + meta.primary_bytes] = item.to_bytes(meta.primary_bytes, "big")
    for kind, at in meta.reference_kinds_at:
        if kind == b"thmb":
            changed[at : at + 4] = b"skip"
    return bytes(changed)


def with_known_alpha(data: bytes) -> bytes | None:
    """Return a copy of an AVIF file whose transparency has the size that early writers left out, or is left out where there
    is no room for it; None if nothing lacks."""
    from catalog.media.source import MemorySource

    source = MemorySource(data)
    place = first_box(source, b"meta")
    if place is None:
        return None
    meta = _read_meta(source, place[0], place[1])
    size = next((number for number in meta.uses.get(meta.primary, []) if _kind_of(meta, number) == b"ispe"), 0)
    changed = bytearray(data)
    for (kind, item, targets), (_, at) in zip(meta.references, meta.reference_kinds_at, strict=True):
        used = [_kind_of(meta, number) for number in meta.uses.get(item, [])]
        if kind != b"auxl" or meta.primary not in targets or not _is_alpha(meta, item) or b"ispe" in used:
            continue
        spare = next((place for place, name in enumerate(used) if name in (b"", b"pixi")), None)
        if size and spare is not None and item in meta.uses_at:
            changed[meta.uses_at[item] + spare] = size
        else:
            changed[at : at + 4] = changed[meta.kinds_at[item] : meta.kinds_at[item] + 4] = b"skip"
    return bytes(changed) if changed != data else None


def _kind_of(meta: _Meta, number: int) -> bytes:
    """Return the name of a property by its number, nothing where there is none."""
    return meta.properties[number - 1][0] if 0 < number <= len(meta.properties) else b""


def picture_parts(source: Source) -> Iterator[tuple[int, int] | bytes]:
    """Yield what the pictures of a HEIF file are drawn from: for each item its kind, properties and references as bytes,
    and the places (start, end) of its data. EXIF and XMP items are left out; what lies at which place does not count.
    """
    place = first_box(source, b"meta")
    if place is None:
        return
    meta = _read_meta(source, place[0], place[1])
    words = {item for item, kind in meta.kinds.items() if kind in (b"Exif", b"mime")}
    yield repr(meta.primary).encode()
    for item in sorted(meta.kinds.keys() - words):
        used = [meta.properties[index - 1] for index in meta.uses.get(item, []) if 0 < index <= len(meta.properties)]
        yield repr((item, meta.kinds[item], used)).encode()
        method, extents = meta.places.get(item, (0, []))
        start = meta.data_start if method == 1 else 0
        for offset, length in extents:
            yield start + offset, start + offset + length
    yield repr(sorted(one for one in meta.references if one[1] not in words)).encode()
    for kind, start, end in boxes(source):
        if kind == b"moov":  # sequences of pictures lie in films
            yield start, end


def _read_meta(source: Source, start: int, end: int) -> _Meta:
    meta = _Meta()
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


def _read_item_kinds(part: bytes, meta: _Meta, base: int) -> None:
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


def _read_places(part: bytes, meta: _Meta) -> None:
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


def _read_properties(part: bytes, meta: _Meta, base: int) -> None:
    for kind, at, stop in boxes(part):
        if kind == b"ipco":
            for number, (name, start, end) in enumerate(boxes(part, at, stop), 1):
                meta.properties.append((name, part[start : min(end, start + 64)]))
                if name == b"colr" and part[start : start + 4] in (b"prof", b"rICC"):
                    meta.profiles[number] = part[start + 4 : end]
        elif kind == b"ipma":
            _read_uses(part[at:stop], meta, base + at)


def _read_uses(part: bytes, meta: _Meta, base: int) -> None:
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


def _read_references(part: bytes, meta: _Meta, base: int) -> None:
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


def _shape(meta: _Meta, item: int) -> tuple[tuple[int, int], int]:
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


def _read_samples(meta: _Meta, found: Found) -> None:
    """Set what is said of the primary item's samples, or of those of the first tile that it is put together from."""
    tiles = [targets[:1] for kind, item, targets in meta.references if kind == b"dimg" and item == meta.primary]
    for item in (*chain(*tiles[:1]), meta.primary):
        for number in meta.uses.get(item, []):
            if not 0 < number <= len(meta.properties):
                continue
            kind, body = meta.properties[number - 1]
            if kind == b"hvcC" and len(body) > 18:
                found.chroma, found.depth = body[16] & 3, 8 + max(body[17] & 7, body[18] & 7)
            elif kind == b"av1C" and len(body) > 2:
                # 4:4:4, 4:2:2 and 4:2:0 by how the two axes are subsampled; one bit says that there is no colour.
                flags = body[2]
                found.chroma = 0 if flags & 16 else {0: 3, 8: 2, 12: 1}.get(flags & 12, 3)
                found.depth = (12 if flags & 32 else 10) if flags & 64 else 8
            elif kind == b"colr" and number in meta.profiles:
                found.profile = meta.profiles[number]
            elif kind == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
                found.primaries, found.transfer = struct.unpack(">HH", body[4:8])
    found.has_alpha = any(
        kind == b"auxl" and meta.primary in targets and _is_alpha(meta, item) for kind, item, targets in meta.references
    )


def _is_alpha(meta: _Meta, item: int) -> bool:
    used = [meta.properties[number - 1] for number in meta.uses.get(item, []) if 0 < number <= len(meta.properties)]
    return any(kind == b"auxC" and (b":alpha" in body or b"auxid:1" in body) for kind, body in used)


def _thumbnail_item(meta: _Meta, size: tuple[int, int]) -> int | None:
    """Return the smallest thumbnail of the primary item that is at least 256 pixels wide or high, turned alike and of the
    same shape."""
    best: tuple[int, int] | None = None
    for kind, item, targets in meta.references:
        if kind != b"thmb" or meta.primary not in targets:
            continue
        (width, height), transform = _shape(meta, item)
        if max(width, height) < 256 or max(width, height) >= max(size) or transform != _shape(meta, meta.primary)[1]:
            continue
        if abs(width * size[1] - height * size[0]) > 0.02 * width * size[1]:
            continue
        if best is None or width * height < best[0]:
            best = (width * height, item)
    return best[1] if best else None


def _item_bytes(source: Source, meta: _Meta, item: int) -> bytes:
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


def _read_items(source: Source, meta: _Meta, found: Found) -> None:
    for item, kind in meta.kinds.items():
        if kind == b"Exif" and found.exif is None:
            data = _item_bytes(source, meta, item)
            start = 4 + int.from_bytes(data[:4], "big")
            if data[start : start + 4] not in (b"II*\0", b"MM\0*"):
                start = max(data.find(b"II*\0", 0, 64), data.find(b"MM\0*", 0, 64))
            found.exif = read_exif(data[start:]) if start >= 0 else None
        elif kind == b"mime" and b"application/rdf+xml" in meta.mimes.get(item, b""):
            packet = _item_bytes(source, meta, item)
            if packet:
                found.xmp_packets.append(packet)
