"""Pictures of every depth and layout of samples are drawn as they are meant."""

from __future__ import annotations

import io
import struct
import zlib
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.catalog.media.test_colour import encoded, with_chunk
from tests.catalog.media.test_digest import digest

WIDTH, HEIGHT = 300, 20
LEFT, RIGHT = (200, 30, 90), (40, 160, 128)
GREYS = (40, 200)


def sides(thumbnail: bytes | None) -> tuple[Any, Any]:
    picture = Image.open(io.BytesIO(thumbnail or b"")).convert("RGB")
    return tuple(picture.getpixel((picture.width * n // 4, picture.height // 2)) for n in (1, 3))  # type: ignore[return-value]


def are_near(ours: Sequence[Any], theirs: Sequence[Any], tolerance: int = 3) -> bool:
    pairs = zip((v for side in ours for v in side), (v for side in theirs for v in side), strict=True)
    return all(abs(one - other) <= tolerance for one, other in pairs)


def tiff(order: str, bits: int, samples: int, data: bytes, **tags: Any) -> bytes:
    """Return a TIFF of one strip (a plane) that holds `data`."""
    is_planar = tags.get("planar") == 2
    planes = samples if is_planar else 1
    size = len(data) // planes
    values: dict[int, tuple[int, list[int]]] = {
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [bits] * samples), 259: (3, [1]),
        262: (3, [tags.get("photometric", 2 if samples >= 3 else 1)]), 273: (4, []), 277: (3, [samples]),
        278: (4, [HEIGHT]), 279: (4, [size] * planes), 284: (3, [2 if is_planar else 1]),
    }  # fmt: skip
    for tag in (274, 320, 338, 339):
        if f"t{tag}" in tags:
            values[tag] = (3, tags[f"t{tag}"])
    start = 8 + 2 + 12 * len(values) + 4
    room = sum(len(v) * (2 if k == 3 else 4) for k, v in values.values()) + 4 * planes
    first = start + room + room % 4
    values[273] = (4, [first + size * plane for plane in range(planes)])
    entries, beside = b"", b""
    for tag, (kind, numbers) in sorted(values.items()):
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            packed, beside = struct.pack(order + "I", start + len(beside)), beside + packed
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return (head + struct.pack(order + "H", len(values)) + entries + bytes(4) + beside).ljust(first, b"\0") + data


def rows(order: str, code: str, left: Sequence[float], right: Sequence[float]) -> bytes:
    row = [*left] * (WIDTH // 2) + [*right] * (WIDTH // 2)
    return struct.pack(f"{order}{len(row)}{code}", *row) * HEIGHT


def planes(order: str, code: str, scale: float) -> bytes:
    return b"".join(
        rows(order, code, [kind(one * scale)], [kind(other * scale)])
        for kind in [float if code == "f" else int]
        for one, other in zip(LEFT, RIGHT, strict=True)
    )


def scaled(values: Sequence[int], scale: float, kind: Callable[[float], float] = int) -> list[float]:
    return [kind(value * scale) for value in values]


GREY = [[(grey,) * 3 for grey in GREYS]][0]
COLOURS = [LEFT, RIGHT]
PALETTE = [LEFT[0], RIGHT[0], *[0] * 254, LEFT[1], RIGHT[1], *[0] * 254, LEFT[2], RIGHT[2], *[0] * 254]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("grey of 16 bits", GREY),
        ("white is zero", GREY),
        ("grey of 16 bits with alpha", GREY),
        ("grey of 32 bits", GREY),
        ("planes of 16 bits", COLOURS),
        ("colours of 32 bits", COLOURS),
        ("grey numbers", GREY),
        ("numbers", COLOURS),
        ("planes of numbers", COLOURS),
        ("a palette of 8 bits", COLOURS),
    ],
)
def test_samples_of_tiff(tmp_path: Path, order: str, kind: str, expected: Any) -> None:
    one, other = ([grey * 257] for grey in GREYS)
    wide = 256**3 + 256**2 + 257
    data = {
        "grey of 16 bits": lambda: tiff(order, 16, 1, rows(order, "H", one, other)),
        "white is zero": lambda: tiff(
            order, 16, 1, rows(order, "H", [65535 - one[0]], [65535 - other[0]]), photometric=0
        ),
        "grey of 16 bits with alpha": lambda: tiff(
            order, 16, 2, rows(order, "H", [*one, 65535], [*other, 65535]), t338=[2]
        ),
        "grey of 32 bits": lambda: tiff(order, 32, 1, rows(order, "I", scaled(GREYS[:1], wide), scaled(GREYS[1:], wide))),
        "planes of 16 bits": lambda: tiff(order, 16, 3, planes(order, "H", 257), planar=2),
        "colours of 32 bits": lambda: tiff(order, 32, 3, rows(order, "I", scaled(LEFT, wide), scaled(RIGHT, wide))),
        "grey numbers": lambda: tiff(
            order, 32, 1, rows(order, "f", scaled(GREYS[:1], 1 / 255, float), scaled(GREYS[1:], 1 / 255, float)), t339=[3]
        ),
        "numbers": lambda: tiff(
            order, 32, 3, rows(order, "f", scaled(LEFT, 1 / 255, float), scaled(RIGHT, 1 / 255, float)), t339=[3, 3, 3]
        ),
        "planes of numbers": lambda: tiff(order, 32, 3, planes(order, "f", 1 / 255), planar=2, t339=[3, 3, 3]),
        "a palette of 8 bits": lambda: tiff(order, 8, 1, rows(order, "B", [0], [1]), photometric=3, t320=PALETTE),
    }[kind]()  # fmt: skip
    result = digest(tmp_path, data, "a.tif")
    assert result.problem == "" and (result.width, result.height) == (WIDTH, HEIGHT)
    assert are_near(sides(result.thumbnail), expected)


def test_samples_are_turned_upright_once(tmp_path: Path) -> None:
    data = rows("<", "f", scaled(LEFT, 1 / 255, float), scaled(RIGHT, 1 / 255, float))
    result = digest(tmp_path, tiff("<", 32, 3, data, t339=[3, 3, 3], t274=[3]), "a.tif")
    assert are_near(sides(result.thumbnail), [RIGHT, LEFT])


def test_grey_of_16_bits_in_png_is_drawn_by_its_depth(tmp_path: Path) -> None:
    values = array("H", [GREYS[0] * 257] * (WIDTH // 2) + [GREYS[1] * 257] * (WIDTH // 2))
    picture = Image.frombytes("I;16", (WIDTH, HEIGHT), values.tobytes() * HEIGHT)
    assert are_near(sides(digest(tmp_path, encoded(picture, "PNG")).thumbnail), GREY)


def bitmap(bits: int, masks: tuple[int, ...], left: int, right: int, head_bytes: int = 40) -> bytes:
    code = "H" if bits == 16 else "I"
    pixels = struct.pack(f"<{WIDTH}{code}", *[left] * (WIDTH // 2), *[right] * (WIDTH // 2)) * HEIGHT
    parts = struct.pack(f"<{len(masks)}I", *masks).ljust(max(12, head_bytes - 40), b"\0")
    start = 14 + 40 + len(parts)
    info = struct.pack("<IiiHHIIiiII", head_bytes, WIDTH, HEIGHT, 1, bits, 3, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + parts + pixels


@pytest.mark.parametrize(
    "data",
    [
        bitmap(16, (0xF800, 0x7E0, 0x1F), 0xC8EB, 0x2D10),
        bitmap(16, (0xF00, 0xF0, 0xF, 0xF000), 0xFC25, 0xF2A8, 108),
        bitmap(32, (0xFF, 0xFF00, 0xFF0000), 0x5A1EC8, 0x80A028),
    ],
)
def test_bitmaps_with_masks(tmp_path: Path, data: bytes) -> None:
    result = digest(tmp_path, data, "a.bmp")
    assert result.problem == "" and are_near(sides(result.thumbnail), COLOURS, 14)


def test_a_bitmap_that_is_cut_off_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (WIDTH, HEIGHT), LEFT), "BMP")
    result = digest(tmp_path, data[: -len(data) // 4], "a.bmp")
    assert result.problem == "Only a part of the picture could be decoded: the file is cut off."
    assert result.thumbnail and result.damaged


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"a\0\7unknown"),
        (b"pHYs", b"\0"),
        (b"gAMA", b"\0"),
        (b"tIME", None),
        (b"iCCP", None),
    ],
)
def test_a_png_is_whole_whatever_is_said_beside_it(tmp_path: Path, kind: bytes, body: bytes | None) -> None:
    picture = Image.new("RGB", (WIDTH, HEIGHT), LEFT)
    picture.paste(RIGHT, (WIDTH // 2, 0, WIDTH, HEIGHT))
    data = with_chunk(encoded(picture, "PNG"), kind, body if body is not None else b"abcdefg")
    if body is None:  # its checksum is wrong
        at = data.index(kind) + 4
        data = data[:at] + b"A" + data[at + 1 :]
    result = digest(tmp_path, data)
    assert (result.problem, result.damaged) == ("", False) and are_near(sides(result.thumbnail), COLOURS)
    cut = digest(tmp_path, data[: data.index(b"IDAT") + 10])
    assert cut.damaged or not cut.thumbnail


def test_a_text_that_is_a_bomb_is_told_and_the_picture_drawn(tmp_path: Path) -> None:
    picture = encoded(Image.new("RGB", (WIDTH, HEIGHT), LEFT), "PNG")
    result = digest(tmp_path, with_chunk(picture, b"zTXt", b"a\0\0" + zlib.compress(bytes(4 << 20))))
    assert result.problem == "The picture is drawn, but a text in it takes far more room than texts do."
    assert result.damaged and are_near(sides(result.thumbnail), [LEFT, LEFT])


def test_a_directory_that_claims_more_than_there_is_damage(tmp_path: Path) -> None:
    """Its known entries are read all the same; the rewritten copy of it is not made of bytes behind the end."""
    data = bytearray(tiff("<", 16, 1, bytes(WIDTH * HEIGHT * 2), photometric=0))
    data[8:10] = struct.pack("<H", 4_000)
    result = digest(tmp_path, bytes(data), "a.tif")
    assert result.problem == "The picture could not be decoded: its data are damaged." and result.damaged
