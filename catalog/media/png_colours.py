"""What PNG's chunks gAMA and cHRM say of its colours, as an ICC profile: so they are converted like all others."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SRGB_GAMMA = range(44_000, 47_000)
"""Files that say so mean sRGB's own curve, which is near it."""
_LEAST_GAMMA, _MOST_GAMMA = 10_000, 200_000
_SRGB = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""White, red, green, blue: x and y of each, in parts of 100,000."""
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_BACK = ((0.9869929, -0.1470543, 0.1599627), (0.4323053, 0.5183603, 0.0492912), (-0.0085287, 0.0400428, 0.9684867))
_Row = tuple[float, float, float]


def profile_of(gamma: bytes, chromaticities: bytes) -> bytes:
    """Return the ICC profile of what the bodies of the two chunks say; nothing where they say sRGB, nothing, or nonsense.

    Without a gamma the rest counts for nothing, as in browsers.
    """
    value = int.from_bytes(gamma, "big") if len(gamma) == 4 else 0
    points = struct.unpack(">8I", chromaticities) if len(chromaticities) == 32 else _SRGB
    if not _LEAST_GAMMA <= value <= _MOST_GAMMA or (value in _SRGB_GAMMA and points == _SRGB):
        return b""
    columns = _columns(points)
    if columns is None:
        return b""
    curve = (
        b"para"
        + bytes(4)
        + struct.pack(">HH5i", 3, 0, *map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
        if value in _SRGB_GAMMA
        else b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * 100_000 / value)) + bytes(2)
    )
    colours = [b"XYZ " + bytes(4) + struct.pack(">3i", *map(_fixed, column)) for column in (*columns, _D50)]
    return _profile(dict(zip((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), colours, strict=True)), curve)


def _profile(tags: dict[bytes, bytes], curve: bytes) -> bytes:
    every = tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body, at = struct.pack(">I", len(every)), b"", 128 + 4 + 12 * len(every)
    for name, data in every.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = struct.pack(">I", at + len(body))
    head = size + bytes(4) + struct.pack(">I", 0x04200000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    return head + struct.pack(">3i", *map(_fixed, _D50)) + bytes(128 - len(head) - 12) + table + body


def _columns(points: Sequence[int]) -> list[_Row] | None:
    """Return the colours of the three primaries in XYZ for D50; None where they span no colours."""
    if any(not 0 < y <= 100_000 or x > 100_000 for x, y in zip(points[::2], points[1::2], strict=True)):
        return None
    white, *primaries = [(x / y, 1.0, (100_000 - x - y) / y) for x, y in zip(points[::2], points[1::2], strict=True)]
    shares = _solved(primaries, white)
    if shares is None or min(shares) <= 0:
        return None
    to_d50 = [new / old for new, old in zip(_times(_BRADFORD, _D50), _times(_BRADFORD, white), strict=True)]
    found = []
    for primary, share in zip(primaries, shares, strict=True):
        one, two, three = (part * share for part in primary)
        first, second, third = (a * b for a, b in zip(_times(_BRADFORD, (one, two, three)), to_d50, strict=True))
        found.append(_times(_BACK, (first, second, third)))
    return found


def _solved(columns: Sequence[_Row], target: _Row) -> _Row | None:
    """Return how much of each column gives the target, by Cramer's rule."""
    whole = _determinant(*columns)
    if abs(whole) < 1e-6:
        return None
    red, green, blue = columns
    return (
        _determinant(target, green, blue) / whole,
        _determinant(red, target, blue) / whole,
        _determinant(red, green, target) / whole,
    )


def _determinant(a: _Row, b: _Row, c: _Row) -> float:
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])


def _times(matrix: Sequence[_Row], vector: _Row) -> _Row:
    one, two, three = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return one, two, three


def _fixed(value: float) -> int:
    return round(max(-30_000.0, min(30_000.0, value)) * 65_536)
