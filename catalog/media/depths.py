"""Bring samples of more than eight bits, floating-point ones and masked ones to the eight that are drawn."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import cast

from PIL import Image

from catalog.media.decoder_libraries import load

_NEARLY_ONE = 1.5
_LARGEST_MASKS = 4
_AT_ONCE_PIXELS = 1 << 18


def eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey picture of 16 or 32 bits, or of floating-point numbers, in eight: 16 bits by their depth, others by
    the range that the brightest pixel shows."""
    if image.mode.startswith("I;16"):
        info, image = image.info, _sixteen_to_eight(image, _table())
        image.info = info
        return image
    low, high = cast(tuple[float, float], image.getextrema())
    if image.mode == "F" and high <= _NEARLY_ONE:
        top = 1.0
    elif low >= 0 and high <= 255:
        top = 255.0
    else:
        top = 65535.0 if high <= 65535 else high
    return image.convert("F").point(lambda value: value * (255 / top) + 0.5).convert("L")


def _sixteen_to_eight(image: Image.Image, table: list[int]) -> Image.Image:
    # Pillow has tables for 65,536 values in this mode only.
    return image.convert("I").point(table, "L")


@lru_cache(maxsize=1)
def _table() -> list[int]:
    return [(value * 255 + 32767) // 65535 for value in range(65536)]


def masked_bitmap(data: bytes) -> Image.Image | None:
    """Return the picture of a Windows bitmap whose colours are parts of 16 bits, or bytes of 32, by its masks; else None."""
    if len(data) < 70 or data[:2] != b"BM":
        return None
    start, head_bytes, width, height, _, bits, compression = struct.unpack("<IIiiHHI", data[10:34])
    if head_bytes < 40 or bits not in (16, 32) or compression not in (3, 6) or width <= 0 or height == 0:
        return None
    masks = struct.unpack("<III", data[54:66])
    stride = (width * bits + 31) // 32 * 4
    pixels, size = memoryview(data)[start : start + stride * abs(height)], (width, abs(height))
    if len(pixels) < stride * abs(height) or 0 in masks:
        return None
    way = -1 if height > 0 else 1
    if bits == 16:
        whole = Image.frombuffer("I;16", size, bytes(pixels), "raw", "I;16", stride, way)
        return Image.merge("RGB", [_sixteen_to_eight(whole, _mask_table(mask)) for mask in masks])
    places = {0xFF << 8 * place: place for place in range(_LARGEST_MASKS)}
    if any(mask not in places for mask in masks):
        return _by_any_masks(pixels, size, way, masks)
    channels = Image.frombuffer("RGBA", size, bytes(pixels), "raw", "RGBA", stride, way).split()
    return Image.merge("RGB", [channels[places[mask]] for mask in masks])


def _by_any_masks(pixels: memoryview, size: tuple[int, int], way: int, masks: tuple[int, ...]) -> Image.Image:
    """Return a picture of 32 bits whose colours have as many of them as the masks say: ten each, say."""
    numpy = load("numpy")
    whole = numpy.frombuffer(pixels, "<u4").reshape(size[1], size[0])[::way]
    out = Image.new("RGB", size)
    rows = max(1, _AT_ONCE_PIXELS // size[0])  # numbers of eight bytes, several times: never of all pixels at once
    for top in range(0, size[1], rows):
        part = whole[top : top + rows]
        colours = numpy.empty((*part.shape, 3), "uint8")
        for place, mask in enumerate(masks):
            least = mask & -mask
            colours[:, :, place] = (part & mask) // least * 255.0 / (mask // least) + 0.5
        out.paste(Image.fromarray(colours), (0, top))
    return out


def _mask_table(mask: int) -> list[int]:
    mask &= 0xFFFF
    least = (mask & -mask) or 1
    most = mask // least or 1
    return [(value & mask) // least * 255 // most for value in range(65536)]
