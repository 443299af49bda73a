"""The lens, where only the notes of a camera's maker name it: of Canon, Nikon, Olympus and Panasonic."""

from __future__ import annotations

import struct
from typing import Any

from catalog.media.exif import Exif, Reader, clean_text, number
from catalog.media.raw_headers import nikon_note

_MAKER_NOTE = 0x927C
_CANON_LENS, _NIKON_LENS, _PANASONIC_LENS = 0x0095, 0x0084, 0x0051
_OLYMPUS_EQUIPMENT, _OLYMPUS_LENS = 0x2010, 0x0203
_SPECIFICATION = 0xA432
_NOTHING = frozenset(("", "0.0 mm", "---", "----", "none", "unknown"))


def lens_of(exif: Exif) -> str:
    """Return the lens as the maker's notes name it, else by its focal lengths and apertures; "" when nothing is said."""
    named = clean_text(_in_notes(exif), 200)
    if named.lower() not in _NOTHING:
        return named
    nikon = nikon_note(exif)
    if nikon is not None:
        numbers = nikon.directory(nikon.first, frozenset((_NIKON_LENS,)))[0].get(_NIKON_LENS)
        if words := _described(numbers):
            return words
    return _described(exif.exif.get(_SPECIFICATION))


def _in_notes(exif: Exif) -> Any:
    reader = exif.reader
    place = reader.places.get(_MAKER_NOTE) if reader else None
    if reader is None or place is None:
        return ""
    offset = place[0]
    head = reader.source.read(reader.start + offset, 16)
    if head.startswith(b"Panasonic\0\0\0"):
        return _one(reader, offset + 12, _PANASONIC_LENS)
    if head.startswith((b"OLYMPUS\0", b"OM SYSTEM\0")):
        notes = olympus_note(reader, offset)
        pointer = _one(notes, 16 if head[:2] == b"OM" else 12, _OLYMPUS_EQUIPMENT)
        return _one(notes, pointer, _OLYMPUS_LENS) if isinstance(pointer, int) else ""
    if clean_text(exif.ifd0.get(0x010F), 20).lower().startswith("canon"):
        return _one(reader, offset, _CANON_LENS)
    return ""


def olympus_note(reader: Reader, offset: int) -> Reader:
    """Return a reader of notes of Olympus, whose offsets count from their own beginning."""
    notes = Reader(reader.source, reader.start + offset)
    head = reader.source.read(reader.start + offset, 16)
    notes.order = ">" if b"MM" in head[8:14] else "<"
    notes.big = False
    return notes


def _one(reader: Reader, offset: int, tag: int) -> Any:
    return reader.directory(offset, frozenset((tag,)))[0].get(tag, "")


def _described(numbers: Any) -> str:
    """Return a lens by its shortest and longest focal length and the largest apertures there: `18-70mm f/3.5-4.5`."""
    if not isinstance(numbers, tuple) or len(numbers) != 4 or not all(isinstance(part, tuple) for part in numbers):
        return ""
    try:
        values = [number(part) or 0.0 for part in numbers]
    except (TypeError, struct.error):
        return ""
    if not values[0] or max(values) > 5000:
        return ""
    focal, aperture = _range(*values[:2]), _range(*values[2:]) if values[2] else ""
    return f"{focal}mm f/{aperture}" if aperture else f"{focal}mm"


def _range(low: float, high: float) -> str:
    return f"{low:.3g}" if high in (0.0, low) else f"{low:.3g}-{high:.3g}"
