"""Read the headers of HEIF and AVIF pictures: the primary item's size and turns, its EXIF and XMP, its thumbnail item."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

from catalog.media.exif import read_exif
from catalog.media.found import Found
from catalog.media.heif_index import Meta, is_alpha, item_bytes, kind_of, read_meta, shape_of
from catalog.media.isobmff import boxes, first_box
from catalog.media.quicktime import read_quicktime
from catalog.media.source import Source


def read_heif(source: Source) -> Found:
    """Return what the meta box says. Sets `problem` when there is none, or when it names no picture."""
    found = Found()
    place = first_box(source, b"meta")
    if place is None:
        found.problem = "The HEIF file holds no picture: its index is missing."
        return found
    meta = read_meta(source, place[0], place[1])
    size, transform = shape_of(meta, meta.primary)
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
    meta = read_meta(source, place[0], place[1])
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
    meta = read_meta(source, place[0], place[1])
    size = next((number for number in meta.uses.get(meta.primary, []) if kind_of(meta, number) == b"ispe"), 0)
    changed = bytearray(data)
    for (kind, item, targets), (_, at) in zip(meta.references, meta.reference_kinds_at, strict=True):
        used = [kind_of(meta, number) for number in meta.uses.get(item, [])]
        if kind != b"auxl" or meta.primary not in targets or not is_alpha(meta, item) or b"ispe" in used:
            continue
        spare = next((place for place, name in enumerate(used) if name in (b"", b"pixi")), None)
        if size and spare is not None and item in meta.uses_at:
            changed[meta.uses_at[item] + spare] = size
        else:
            changed[at : at + 4] = changed[meta.kinds_at[item] : meta.kinds_at[item] + 4] = b"skip"
    return bytes(changed) if changed != data else None


def picture_parts(source: Source) -> Iterator[tuple[int, int] | bytes]:
    """Yield what the pictures of a HEIF file are drawn from: for each item its kind, properties and references as bytes,
    and the places (start, end) of its data. EXIF and XMP items are left out; what lies at which place does not count.
    """
    place = first_box(source, b"meta")
    if place is None:
        return
    meta = read_meta(source, place[0], place[1])
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


def _read_samples(meta: Meta, found: Found) -> None:
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
        kind == b"auxl" and meta.primary in targets and is_alpha(meta, item) for kind, item, targets in meta.references
    )


def _thumbnail_item(meta: Meta, size: tuple[int, int]) -> int | None:
    """Return the smallest thumbnail of the primary item that is at least 256 pixels wide or high, turned alike and of the
    same shape."""
    best: tuple[int, int] | None = None
    for kind, item, targets in meta.references:
        if kind != b"thmb" or meta.primary not in targets:
            continue
        (width, height), transform = shape_of(meta, item)
        if max(width, height) < 256 or max(width, height) >= max(size) or transform != shape_of(meta, meta.primary)[1]:
            continue
        if abs(width * size[1] - height * size[0]) > 0.02 * width * size[1]:
            continue
        if best is None or width * height < best[0]:
            best = (width * height, item)
    return best[1] if best else None


def _read_items(source: Source, meta: Meta, found: Found) -> None:
    for item, kind in meta.kinds.items():
        if kind == b"Exif" and found.exif is None:
            data = item_bytes(source, meta, item)
            start = 4 + int.from_bytes(data[:4], "big")
            if data[start : start + 4] not in (b"II*\0", b"MM\0*"):
                start = max(data.find(b"II*\0", 0, 64), data.find(b"MM\0*", 0, 64))
            found.exif = read_exif(data[start:]) if start >= 0 else None
        elif kind == b"mime" and b"application/rdf+xml" in meta.mimes.get(item, b""):
            packet = item_bytes(source, meta, item)
            if packet:
                found.xmp_packets.append(packet)
