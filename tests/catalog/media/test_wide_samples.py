"""TIFF of floating-point and wide samples with every predictor, bitmaps of ten bits a colour, PNGs that tell their gamma."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from tests.catalog.media.photos import jpeg
from tests.catalog.media.test_colour import encoded, with_chunk
from tests.catalog.media.test_depths import COLOURS, GREY, HEIGHT, LEFT, RIGHT, WIDTH, are_near, bitmap, sides
from tests.catalog.media.test_depths import tiff as depths_tiff
from tests.catalog.media.test_digest import digest

DEFLATE, NONE = 8, 1
TILE = 112  # does not divide the width


def samples(code: str, count: int, order: str) -> Any:
    """Return rows of two colours, or greys, as numbers up to one, or up to what the depth holds."""
    pixels = [(colour if count >= 3 else (grey[0],)) for colour, grey in zip(COLOURS, GREY, strict=True)]
    if count in (2, 4):
        pixels = [(*pixel, 255) for pixel in pixels]
    row = numpy.array([pixels[0]] * (WIDTH // 2) + [pixels[1]] * (WIDTH // 2), "float64") / 255
    if code[0] == "u":
        row *= 256 ** int(code[1:]) - 1
    return numpy.broadcast_to(row, (HEIGHT, WIDTH, count)).astype(order + code)


def predicted(values: Any, predictor: int, order: str) -> bytes:
    """Return rows as a writer packs them: numbers less the one of the pixel before, or bytes by their weight, likewise."""
    height, width, count = values.shape
    size = values.itemsize
    if predictor == 2:
        whole = values.view(f"{order}u{size}").astype(f"u{size}")
        whole[:, 1:] -= whole[:, :-1].copy()
        return bytes(whole.astype(f"{order}u{size}").tobytes())
    if predictor == 3:
        heavy_first = values.astype(values.dtype.newbyteorder(">")).reshape(height, width * count)
        planes = heavy_first.view("u1").reshape(height, width * count, size).swapaxes(1, 2).reshape(height, -1).copy()
        planes[:, count:] -= planes[:, :-count].copy()
        return bytes(planes.tobytes())
    return bytes(values.tobytes())


def tiff(
    order: str, code: str, count: int, predictor: int, compression: int, *, planar: bool = False, tiled: bool = False
) -> bytes:
    values = samples(code, count, order)
    planes = [values[:, :, n : n + 1] for n in range(count)] if planar else [values]
    parts = []
    for plane in planes:
        if tiled:
            wide = numpy.zeros((32, -(-WIDTH // TILE) * TILE, plane.shape[2]), plane.dtype)
            wide[:HEIGHT, :WIDTH] = plane
            parts += [wide[:, at : at + TILE] for at in range(0, wide.shape[1], TILE)]
        else:
            parts.append(plane)
    packed = [predicted(numpy.ascontiguousarray(part), predictor, order) for part in parts]
    packed = [zlib.compress(part) if compression == DEFLATE else part for part in packed]
    places = [8 + sum(map(len, packed[:number])) for number in range(len(packed))]
    lengths = [len(part) for part in packed]
    each = {256: [WIDTH], 257: [HEIGHT], 258: [8 * values.itemsize] * count, 259: [compression], 277: [count]}
    each |= {262: [2 if count >= 3 else 1], 284: [2 if planar else 1], 339: [3 if code[0] == "f" else 1] * count}
    each |= {317: [predictor]} | ({338: [2]} if count in (2, 4) else {})
    if tiled:
        each |= {322: [TILE], 323: [32], 324: places, 325: lengths}
    else:
        each |= {273: places, 278: [HEIGHT], 279: lengths}
    data, entries, beside = b"".join(packed), b"", b""
    start = 8 + len(data) + 2 + 12 * len(each) + 4
    for tag, numbers in sorted(each.items()):
        body = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(body) > 4:
            body, beside = struct.pack(order + "I", start + len(beside)), beside + body
        entries += struct.pack(order + "HHI", tag, 4, len(numbers)) + body
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(each)) + entries + bytes(4) + beside


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("code", "count", "predictor", "compression", "more"),
    [
        ("f2", 3, 1, NONE, {}),
        ("f2", 1, 1, NONE, {}),
        ("f2", 3, 3, DEFLATE, {}),
        ("f2", 3, 2, DEFLATE, {"tiled": True}),
        ("f4", 1, 1, DEFLATE, {}),
        ("f4", 3, 1, DEFLATE, {}),
        ("f4", 1, 3, DEFLATE, {}),
        ("f4", 3, 3, DEFLATE, {}),
        ("f4", 4, 3, DEFLATE, {"tiled": True}),
        ("f4", 3, 3, DEFLATE, {"planar": True}),
        ("f4", 3, 2, DEFLATE, {}),
        ("f8", 3, 1, NONE, {}),
        ("f8", 1, 3, DEFLATE, {"tiled": True}),
        ("u4", 3, 2, DEFLATE, {}),
        ("u4", 1, 2, DEFLATE, {"tiled": True}),
        ("u2", 3, 2, DEFLATE, {}),
        ("u2", 1, 2, DEFLATE, {"tiled": True}),
        ("u2", 2, 2, DEFLATE, {}),
    ],
)
def test_tiff(tmp_path: Path, order: str, code: str, count: int, predictor: int, compression: int, more: Any) -> None:
    result = digest(tmp_path, tiff(order, code, count, predictor, compression, **more), "a.tif")
    assert result.problem == "" and (result.width, result.height) == (WIDTH, HEIGHT)
    assert are_near(sides(result.thumbnail), GREY if count < 3 else COLOURS)


def bit_by_bit(bits: int, left: tuple[int, ...], right: tuple[int, ...]) -> bytes:
    """Return rows of two colours whose samples lie bit by bit; each row begins with a byte."""
    digits = ["".join(f"{round(value * (2**bits - 1) / 255):0{bits}b}" for value in side) for side in (left, right)]
    row = digits[0] * (WIDTH // 2) + digits[1] * (WIDTH // 2)
    row += "0" * (-len(row) % 8)
    return int(row, 2).to_bytes(len(row) // 8, "big") * HEIGHT


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_samples_that_are_no_whole_bytes(tmp_path: Path, order: str, bits: int) -> None:
    colours = bit_by_bit(bits, LEFT, RIGHT)
    planar = b"".join(bit_by_bit(bits, (one,), (other,)) for one, other in zip(LEFT, RIGHT, strict=True))
    grey, inverted = ([(one,) for one, *_ in GREY], [(255 - one,) for one, *_ in GREY])
    for name, data, expected in (
        ("a", depths_tiff(order, bits, 3, colours), COLOURS),
        ("b", depths_tiff(order, bits, 3, planar, planar=2), COLOURS),
        ("c", depths_tiff(order, bits, 1, bit_by_bit(bits, *grey)), GREY),
        ("d", depths_tiff(order, bits, 1, bit_by_bit(bits, *inverted), photometric=0), GREY),
    ):
        result = digest(tmp_path, data, f"{name}.tif")
        assert result.problem == "" and are_near(sides(result.thumbnail), expected), name


def test_a_number_that_is_none_is_black_and_bright_ones_are_scaled(tmp_path: Path) -> None:
    data = tiff("<", "f2", 3, 1, NONE)
    at = 8 + WIDTH * HEIGHT * 3
    data = data[:8] + struct.pack("<e", float("nan")) * (at - 8 - WIDTH * HEIGHT * 3 + 300) + data[8 + 600 :]
    result = digest(tmp_path, data, "a.tif")
    assert result.problem == "" and result.thumbnail


def test_cut_off_samples_are_told(tmp_path: Path) -> None:
    data = tiff(">", "f4", 3, 3, DEFLATE)
    result = digest(tmp_path, data[:8] + b"\0" * 40 + data[48:], "a.tif")
    assert result.damaged and result.problem


@pytest.mark.parametrize("masks", [(0x3FF00000, 0xFFC00, 0x3FF), (0x3FF, 0xFFC00, 0x3FF00000, 0xC0000000)])
def test_bitmaps_of_ten_bits(tmp_path: Path, masks: tuple[int, ...]) -> None:
    def pixel(colour: tuple[int, int, int]) -> int:
        return sum(value * 1023 // 255 * (mask & -mask) for value, mask in zip(colour, masks, strict=False))

    result = digest(tmp_path, bitmap(32, masks, pixel(LEFT), pixel(RIGHT), 108), "a.bmp")
    assert result.problem == "" and are_near(sides(result.thumbnail), COLOURS)


ADOBE = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)
SRGB = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)


@pytest.mark.parametrize(
    ("mode", "colour", "chunks", "expected"),
    [
        ("RGB", (128, 64, 20), [(b"gAMA", 100_000)], (188, 137, 79)),  # light itself
        ("L", 128, [(b"gAMA", 100_000)], (188, 188, 188)),
        ("RGB", (128, 64, 20), [(b"gAMA", 45_455), (b"cHRM", SRGB)], (128, 64, 20)),
        ("RGB", (60, 190, 90), [(b"gAMA", 45_455), (b"cHRM", ADOBE)], (0, 190, 82)),
        ("RGB", (128, 64, 20), [(b"gAMA", 100_000), (b"sRGB", b"\0")], (128, 64, 20)),  # which counts before
        ("RGB", (128, 64, 20), [(b"cHRM", ADOBE)], (128, 64, 20)),
        ("RGB", (128, 64, 20), [(b"gAMA", 0)], (128, 64, 20)),
        ("RGB", (128, 64, 20), [(b"gAMA", 100_000), (b"cHRM", bytes(32))], (128, 64, 20)),
    ],
)
def test_png_that_tells_its_colours(tmp_path: Path, mode: str, colour: Any, chunks: Any, expected: Any) -> None:
    data = encoded(Image.new(mode, (64, 48), colour), "PNG")
    for kind, body in reversed(chunks):
        data = with_chunk(data, kind, body if isinstance(body, bytes) else struct.pack(">I", body))
    result = digest(tmp_path, data)
    shown = Image.open(io.BytesIO(result.thumbnail or b"")).convert("RGB").getpixel((32, 24))
    assert not result.problem and isinstance(shown, tuple)
    assert all(abs(a - b) <= 4 for a, b in zip(shown, expected, strict=True)), shown


@pytest.mark.parametrize(
    ("old", "new"), [(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"), (b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c")]
)
def test_a_jpeg_of_another_kind_is_told_and_not_called_damaged(tmp_path: Path, old: bytes, new: bytes) -> None:
    data = jpeg()
    assert old in data
    result = digest(tmp_path, data.replace(old, new))
    assert "coded without loss or has more than eight bits" in result.problem
    assert not result.damaged and not result.thumbnail and (result.width, result.height) == (64, 48)
