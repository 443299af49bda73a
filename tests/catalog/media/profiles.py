"""Small ICC profiles for the tests of colour."""

from __future__ import annotations

import struct

_D50 = (0.9642, 1.0, 0.8249)
SRGB_COLUMNS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_COLUMNS = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def profile(space: str, gamma: float, columns: tuple[tuple[float, ...], ...] = (), name: str = "sRGB") -> bytes:
    """Return a profile of a display, version 2, of the space "RGB" or "GRAY"."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + bytes(2)
    words = name.encode() + b"\0"
    tags = [
        (b"desc", b"desc" + struct.pack(">II", 0, len(words)) + words + bytes(78)),
        (b"wtpt", _xyz(_D50)),
    ]
    if space == "GRAY":
        tags.append((b"kTRC", curve))
    for letter, column in zip((b"r", b"g", b"b"), columns, strict=False):
        tags += [(letter + b"XYZ", _xyz(column)), (letter + b"TRC", curve)]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for kind, data in tags:
        body += bytes(-len(body) % 4)
        table += struct.pack(">4sII", kind, start + len(body), len(data))
        body += data
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", space.ljust(4).encode(), b"XYZ ")
    head += struct.pack(">6H4sI", 2026, 1, 1, 0, 0, 0, b"acsp", 0) + bytes(24) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _fixed(values: tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)
