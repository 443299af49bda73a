"""Read what a digital camcorder writes into each frame of a raw DV stream: when it was recorded."""

from __future__ import annotations

from datetime import datetime

from catalog.media.found import Found
from catalog.media.recorded import recorded_at
from catalog.media.source import Source

_BLOCK_BYTES, _PACK_BYTES, _PACKS = 80, 5, 15
_AUXILIARY = 0x50
"""The upper half of the first byte of a block about the pictures."""
_DATE, _TIME = 0x62, 0x63
_FIRST_YEAR, _LAST_YEAR = 90, 69
"""Years are told with two digits, and DV is of 1995: what is between, such as 1970, a clock says that nobody set."""


def read_dv(source: Source) -> Found:
    """Return the date and time of the first frame; size and length are left to the demuxer."""
    found = Found()
    head = source.read(0, 6 * _BLOCK_BYTES)
    packs: dict[int, bytes] = {}
    for block in range(_BLOCK_BYTES, len(head) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
        if head[block] & 0xF0 == _AUXILIARY:
            for at in range(block + 3, block + 3 + _PACKS * _PACK_BYTES, _PACK_BYTES):
                packs.setdefault(head[at], head[at + 1 : at + _PACK_BYTES])
    if _DATE in packs and _TIME in packs:
        _, day, month, year = packs[_DATE]
        _, second, minute, hour = packs[_TIME]
        # Binary-coded decimals, below bits that say other things; all bits are set where nothing is known.
        digits = (year, month & 0x1F, day & 0x3F, hour & 0x3F, minute & 0x7F, second & 0x7F)
        try:
            short, *rest = (int(f"{digit:02x}") for digit in digits)
            local = datetime((1900 if short >= _FIRST_YEAR else 2000) + short, *rest)  # type: ignore[arg-type]  # noqa: DTZ001
        except ValueError:
            return found
        if _LAST_YEAR < short < _FIRST_YEAR:
            return found
        found.recorded.append(recorded_at("DV's date of recording", local, None))
    return found
