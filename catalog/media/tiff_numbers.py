"""Draw TIFF pictures of floating-point and wide samples, whatever predictor they are packed with, and of samples that are no
whole bytes (10, 12, 14 bits), by way of their bytes.

The first directory is changed so that each byte is a grey pixel and there is no predictor: libtiff then unpacks the bytes
as they are, and what they mean is worked out here, a few rows at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image, TiffImagePlugin

from catalog.media.decoder_libraries import load
from catalog.media.tiff_samples import (
    FLOAT,
    MODES,
    UNSIGNED,
    Layout,
    first_directory,
    layout_of,
    needs_samples,
    open_samples,
    rows_of_planes,
)

_COMPRESSION, _TILE_WIDTH, _ROWS, _FILL_ORDER = 259, 322, 278, 266
_PACKED_BYTES = frozenset((1, 5, 8, 32946, 32773, 34925, 50000))
"""Compressions that know nothing of samples: none, LZW, Deflate (twice), PackBits, LZMA, Zstandard."""
_HORIZONTAL, _FLOATING = 2, 3
_AT_ONCE_BYTES = 4 * 1024 * 1024
_NEARLY_ONE = 1.5
_SAMPLES_BYTES_PER_PIXEL = 36


class _Tiles(NamedTuple):
    """How the rows lie in the picture of bytes."""

    across: int
    """Bytes of a row, those beside the picture included."""
    unit: int
    """Pixels that a predictor counts through: a tile's, or a row's."""


def wide_bytes(tags: dict[int, Any], size_bytes: int) -> int:
    """Return how much memory `open_wide` takes for a file of that size whose first directory is `tags`; 0 if Pillow opens it
    as it is meant."""
    layout = layout_of(tags)
    if layout is None:
        return 0
    pixels = layout.width * layout.height
    if needs_numbers(tags):
        return pixels * layout.samples * (2 * layout.bits // 8 + 3) + 4 * _AT_ONCE_BYTES + 2 * size_bytes
    if needs_samples(tags):
        return pixels * _SAMPLES_BYTES_PER_PIXEL + 2 * size_bytes
    return 0


def open_wide(data: bytes, tags: dict[int, Any]) -> Image.Image:
    """Return a picture whose samples Pillow does not know, with eight bits each, not turned. Raises ValueError."""
    return open_numbers(data, tags) if needs_numbers(tags) else open_samples(data, tags)


def needs_numbers(tags: dict[int, Any]) -> bool:
    """Return whether a first directory describes such samples, packed in a way that is known."""
    layout = layout_of(tags)
    if layout is None or tags.get(_COMPRESSION, 1) not in _PACKED_BYTES or tags.get(_FILL_ORDER, 1) != 1:
        return False
    if layout.kind == FLOAT:
        if (layout.bits, layout.samples, layout.predictor, tags.get(_COMPRESSION, 1)) == (32, 1, 1, 1):
            return False  # Pillow knows these; of unpacked ones it turns the bytes of big-endian files once too often
        return layout.bits in (16, 32, 64) and layout.predictor in (1, _HORIZONTAL, _FLOATING)
    if _is_of_bits(layout):
        return layout.kind == UNSIGNED and layout.predictor == 1
    is_wide = layout.bits == 32 or (layout.bits, layout.samples) == (16, 2)
    return layout.kind == UNSIGNED and is_wide and layout.predictor == _HORIZONTAL


def _is_of_bits(layout: Layout) -> bool:
    """Return whether samples lie bit by bit, of which Pillow knows those of one, two and four in grey."""
    return layout.bits < 16 and layout.bits % 8 > 0 and (layout.samples > 1 or layout.bits not in (1, 2, 4))


def open_numbers(data: bytes, tags: dict[int, Any]) -> Image.Image:
    """Return such a picture with eight bits a sample, not turned. Raises ValueError when its storage is not known."""
    numpy = load("numpy")
    layout = layout_of(tags)
    if layout is None:
        raise ValueError("its samples are of a kind that cannot be drawn")
    flat, tiles = _as_bytes(data, layout)
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(flat))
    profile = image.info.get("icc_profile")
    rows = numpy.asarray(image)
    top = _brightest(rows, data, layout, tiles, numpy)
    planes = layout.samples if layout.is_planar else 1
    shape = (layout.height * planes, layout.width, layout.samples // planes)
    out = numpy.empty(shape, "uint8")
    for start, values in _numbers(rows, data, layout, tiles, numpy):
        part = (values / top * 255 + 0.5).clip(0, 255).astype("uint8")
        out[start : start + len(values)] = 255 - part if layout.is_inverted else part
    if layout.is_planar:
        out = out.reshape(layout.samples, layout.height, layout.width).transpose(1, 2, 0)
    whole = Image.fromarray(numpy.ascontiguousarray(out).reshape(layout.height, -1), "L")
    if layout.samples > 1:
        mode = MODES[layout.samples]
        whole = Image.frombytes(mode, (layout.width, layout.height), whole.tobytes())
    if profile:
        whole.info["icc_profile"] = profile
    return whole


def _as_bytes(data: bytes, layout: Layout) -> tuple[bytearray, _Tiles]:
    """Return a copy of the file whose first directory says that each byte is a pixel."""
    flat = bytearray(data)
    each = (1 if layout.is_planar else layout.samples) * layout.bits
    entries = list(first_directory(flat))
    tile = next((entry.value for entry in entries if entry.tag == _TILE_WIDTH), 0)
    count = -(-layout.width // tile) if tile else 1
    across = count * _whole_bytes((tile or layout.width) * each)
    height = layout.height * (layout.samples if layout.is_planar else 1)
    for entry in entries:
        value = rows_of_planes(entry, layout)
        new = {256: across, 257: height, _TILE_WIDTH: _whole_bytes(value * each), _ROWS: value} | _PLAIN
        if entry.tag in new:
            entry.write(new[entry.tag])
        elif entry.tag == 338:
            entry.remove()
    return flat, _Tiles(across, tile or layout.width)


def _whole_bytes(bits: int) -> int:
    return -(-bits // 8)


_PLAIN = {258: 8, 262: 1, 274: 1, 277: 1, 284: 1, 317: 1, 339: 1}
"""Tags of the first directory, and what they become."""


def _numbers(rows: Any, data: bytes, layout: Layout, tiles: _Tiles, numpy: Any) -> Iterator[tuple[int, Any]]:
    """Yield rows of numbers, (row, pixel, sample), with the number of the first; what is no number is 0."""
    samples = 1 if layout.is_planar else layout.samples
    size = layout.bits // 8
    order = "<" if data[:2] == b"II" else ">"
    code = f"{order}{'f' if layout.kind == FLOAT else 'u'}{size}"
    is_of_bits = _is_of_bits(layout)
    step = max(1, _AT_ONCE_BYTES // (32 if is_of_bits else 1) // max(1, tiles.across))
    for start in range(0, len(rows), step):
        some = numpy.ascontiguousarray(rows[start : start + step])
        count = len(some)
        if is_of_bits:
            yield (
                start,
                _numbers_of_bits(some, layout, tiles.unit * samples, numpy).reshape(count, -1, samples)[
                    :, : layout.width
                ],
            )
            continue
        units = some.reshape(count, -1, tiles.unit * samples * size)
        if layout.predictor == _FLOATING:
            # Bytes were subtracted from those one pixel before, and lie by their weight, the heaviest first.
            summed = numpy.cumsum(units.reshape(count, -1, tiles.unit * size, samples), axis=2, dtype="uint8")
            planes = summed.reshape(count, -1, size, tiles.unit * samples)
            values = numpy.ascontiguousarray(planes.swapaxes(2, 3)).view(f">{code[1:]}")
        else:
            values = units.view(code)
            if layout.predictor == _HORIZONTAL:
                whole = values.view(f"{order}u{size}").reshape(count, -1, tiles.unit, samples)
                values = numpy.cumsum(whole, axis=2, dtype=f"u{size}").view(code[1:])
        pixels = values.reshape(count, -1, samples)[:, : layout.width].astype("float32")
        yield start, numpy.nan_to_num(pixels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _numbers_of_bits(rows: Any, layout: Layout, samples: int, numpy: Any) -> Any:
    """Return the numbers in rows of bytes, each of whose units has so many samples, the highest bit first."""
    units = rows.reshape(len(rows), -1, _whole_bytes(samples * layout.bits))
    bits = numpy.unpackbits(units, axis=2)[:, :, : samples * layout.bits]
    weights = (2.0 ** numpy.arange(layout.bits - 1, -1, -1)).astype("float32")
    return bits.reshape(len(rows), -1, layout.bits) @ weights


def _brightest(rows: Any, data: bytes, layout: Layout, tiles: _Tiles, numpy: Any) -> float:
    """Return the number that is drawn as white: by the depth, or by the brightest pixel of floating-point numbers."""
    if layout.kind == UNSIGNED:
        return float(2**layout.bits - 1)
    low, high = 0.0, 0.0
    for _, values in _numbers(rows, data, layout, tiles, numpy):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if high <= _NEARLY_ONE:
        return 1.0
    if low >= 0 and high <= 255:
        return 255.0
    return 65535.0 if high <= 65535 else high
