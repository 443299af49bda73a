"""Read what AVCHD camcorders write into the pictures themselves: the messages MDPM of H.264 (date, place, maker)."""

from __future__ import annotations

import struct
from datetime import datetime

from catalog.media.found import Found
from catalog.media.recorded import recorded_at

_MARK = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66") + b"MDPM"
_MAKERS = {0x0103: "Panasonic", 0x0108: "Sony", 0x1011: "Canon", 0x1104: "JVC"}
_DATE, _TIME, _MAKER = 0x18, 0x19, 0xE0
_NORTH_OR_SOUTH, _LATITUDE, _EAST_OR_WEST, _LONGITUDE = 0xB1, 0xB2, 0xB5, 0xB6
_LARGEST_ZONE_MINUTES = 14 * 60


def read_mdpm(packet: bytes, found: Found) -> bool:
    """Set date, place and maker in `found` from a packet of H.264; False if it holds no such message."""
    at = packet.find(_MARK)
    if at < 0:
        return False
    # A byte 3 is put after two zeros so that no start code appears in a message.
    message = packet[at + len(_MARK) : at + 2048].replace(b"\0\0\3", b"\0\0")
    count, body = message[:1], message[1:]
    most = 5 * int.from_bytes(count, "big")
    entries = {body[place]: body[place + 1 : place + 5] for place in range(0, min(most, len(body) - 4), 5)}
    _read_date(entries, found)
    _read_place(entries, found)
    if _MAKER in entries:
        maker = _MAKERS.get(int.from_bytes(entries[_MAKER][:2], "big"))
        if maker:
            found.texts.setdefault("make", maker)
    return True


def _read_date(entries: dict[int, bytes], found: Found) -> None:
    """Digits are binary-coded decimals; the first byte is the zone: summer time, sign, hours in four bits, half an hour."""
    if _DATE not in entries or _TIME not in entries:
        return
    zone, *digits = entries[_DATE] + entries[_TIME]
    try:
        century, year, month, day, hour, minute, second = (int(f"{digit:02x}") for digit in digits)
        local = datetime(century * 100 + year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return
    minutes = (zone >> 1 & 0x0F) * 60 + 30 * (zone & 1)
    offset = (-minutes if zone & 0x20 else minutes) + (60 if zone & 0x40 else 0)
    is_told = minutes and minutes <= _LARGEST_ZONE_MINUTES  # cameras without a zone write 0, or all bits
    found.recorded.append(recorded_at("AVCHD's date of recording", local, offset if is_told else None))


def _read_place(entries: dict[int, bytes], found: Found) -> None:
    latitude, longitude = _degrees(entries, _LATITUDE), _degrees(entries, _LONGITUDE)
    if latitude is None or longitude is None:
        return
    south = entries.get(_NORTH_OR_SOUTH, b"")[:1] == b"S"
    west = entries.get(_EAST_OR_WEST, b"")[:1] == b"W"
    found.position = (-latitude if south else latitude, -longitude if west else longitude)


def _degrees(entries: dict[int, bytes], first: int) -> float | None:
    """Return degrees, minutes and seconds from three entries, each a fraction of two 16-bit numbers."""
    total = 0.0
    for step in range(3):
        if first + step not in entries:
            return None
        above, below = struct.unpack(">HH", entries[first + step])
        if not below:
            return None
        total += above / below / 60**step
    return total
