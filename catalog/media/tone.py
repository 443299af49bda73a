"""Show pictures and frames of high dynamic range, or of a wider gamut, on displays of sRGB: one table for each kind of signal.

Transfers and primaries are named by the code points of ITU-T H.273, as in nclx boxes, H.264, HEVC and FFmpeg.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from PIL import Image, ImageFilter

PQ = 16
HLG = 18
_LINEAR = 8
ADOBE_RGB = 1998
"""Transfer and primaries of Adobe RGB (1998), which have no code points."""
_BT2020, _P3_D65 = 9, 12

_WHITE_NITS = 203.0
"""The luminance of diffuse white in HDR (ITU-R BT.2408): the white of sRGB."""
_PEAK_NITS = 1_000.0
"""What is brighter becomes white."""
_HLG_WHITE = (math.exp((0.75 - 0.55991073) / 0.17883277) + 0.28466892) / 12
"""Diffuse white in HLG is a signal of 75 %. It is shown as by a display on which the system gamma is 1 (BT.2390)."""
_KNEE = 0.6
"""Below that share of diffuse white, everything stays as it is; what is above is compressed."""
_NODES = 41
_EXACT_NODES = 4097

_Triple = tuple[float, float, float]
_TO_BT709: dict[int, tuple[_Triple, _Triple, _Triple]] = {
    _BT2020: (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    _P3_D65: (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    ),
    ADOBE_RGB: (
        (1.398364, -0.398364, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, -0.042939, 1.042939),
    ),
}
"""Linear light of those primaries to that of BT.709, whose primaries sRGB has."""


def shown_in_srgb(image: Image.Image, transfer: int, primaries: int) -> Image.Image:
    """Return the picture of mode RGB, whose values are coded by `transfer` with `primaries`, as sRGB.

    Unchanged where the two are those of sRGB, near enough (BT.601, BT.709), or unknown.
    """
    table = _table(transfer, primaries)
    return image if table is None else image.filter(table)


def is_wide(transfer: int, primaries: int) -> bool:
    """Return whether `shown_in_srgb` changes anything."""
    return transfer in _LIGHT or primaries in _TO_BT709


def shown_exactly(values: Any, transfer: int, primaries: int, numpy: Any) -> Any:
    """Return RGB values from 0 to 1, an array of `numpy`, coded as above, as those of sRGB from 0 to 1."""
    nodes = numpy.linspace(0, 1, _EXACT_NODES)
    curve = numpy.array([_LIGHT.get(transfer, _srgb_light)(float(node)) for node in nodes])
    light = numpy.interp(values, nodes, curve)
    peak = max(1.0, float(curve[-1]))
    brightest = light.max(axis=-1, keepdims=True)
    if peak > 1:
        room = 1 - _KNEE
        above, most = numpy.maximum(numpy.minimum(brightest, peak) - _KNEE, 0) / room, (peak - _KNEE) / room
        compressed = _KNEE + room * above * (1 + above / most**2) / (1 + above)
        light = light * numpy.where(brightest <= _KNEE, 1, compressed / numpy.maximum(brightest, _KNEE))
    matrix = _TO_BT709.get(primaries)
    if matrix is not None:
        light = light @ numpy.array(matrix).T
    light = light.clip(0, 1)
    return numpy.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@lru_cache(maxsize=8)
def _table(transfer: int, primaries: int) -> ImageFilter.Color3DLUT | None:
    if not is_wide(transfer, primaries):
        return None
    light_of = _LIGHT.get(transfer, _srgb_light)
    matrix = _TO_BT709.get(primaries)
    light = [light_of(node / (_NODES - 1)) for node in range(_NODES)]
    peak = max(1.0, light[-1])
    values: list[float] = []
    for blue in light:
        for green in light:
            for red in light:
                scale = _compression(max(red, green, blue), peak)
                rgb = (red * scale, green * scale, blue * scale)
                if matrix is not None:
                    rgb = _multiplied(matrix, rgb)
                values += map(_srgb_signal, rgb)
    return ImageFilter.Color3DLUT(_NODES, values, _copy_table=False)


def _multiplied(matrix: tuple[_Triple, _Triple, _Triple], rgb: _Triple) -> _Triple:
    red, green, blue = rgb
    first, second, third = (row[0] * red + row[1] * green + row[2] * blue for row in matrix)
    return first, second, third


def _compression(brightest: float, peak: float) -> float:
    """Return the factor by which a pixel becomes darker, the same for its three colours so that its hue stays.

    Above the knee it is Reinhard's curve, extended so that `peak` becomes 1.
    """
    if peak <= 1 or brightest <= _KNEE:
        return 1.0
    room = 1 - _KNEE
    above, most = (min(brightest, peak) - _KNEE) / room, (peak - _KNEE) / room
    return (_KNEE + room * above * (1 + above / most**2) / (1 + above)) / brightest


def _pq_light(signal: float) -> float:
    """Return the light of a signal of SMPTE ST 2084, as a share of diffuse white."""
    root = signal ** (1 / 78.84375)
    nits = 10_000 * (max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return min(nits, _PEAK_NITS) / _WHITE_NITS


def _hlg_light(signal: float) -> float:
    """Return the light of a signal of ARIB STD-B67, as a share of diffuse white."""
    scene = signal**2 / 3 if signal <= 0.5 else (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return scene / _HLG_WHITE


def _srgb_light(signal: float) -> float:
    return signal / 12.92 if signal <= 0.04045 else ((signal + 0.055) / 1.055) ** 2.4


def _srgb_signal(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


_LIGHT: dict[int, Callable[[float], float]] = {
    PQ: _pq_light,
    HLG: _hlg_light,
    _LINEAR: lambda signal: signal,
    ADOBE_RGB: lambda signal: signal**2.19921875,
}
