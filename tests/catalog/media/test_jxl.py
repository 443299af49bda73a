"""JPEG XL is drawn upright in its colours, in a sealed decoder, and refused where memory would lack."""

from __future__ import annotations

import io
import os
from functools import partial
from pathlib import Path
from typing import Any

import pillow_jxl
import pytest
from PIL import Image

from catalog.media.jxl import read_jxl
from catalog.media.limits import DEFAULT_LIMITS, MIB
from catalog.media.pool import DecoderPool
from catalog.media.source import MemorySource
from catalog.media.task import Job
from tests.catalog.media.photos import corner_picture, corners_of, exif_block, jpeg
from tests.catalog.media.test_digest import digest

assert pillow_jxl  # it lets Pillow write JPEG XL
CORNERS = ["red", "green", "blue", "white"]


def jxl(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JXL", effort=1, **options)
    return out.getvalue()


def from_jpeg(folder: Path, data: bytes) -> bytes:
    """Return the JPEG XL of which the same JPEG can be made again."""
    (folder / "a.jpg").write_bytes(data)
    with Image.open(folder / "a.jpg") as image:
        return jxl(image, lossless_jpeg=True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_colours(tmp_path: Path, mode: str, lossless: bool) -> None:
    result = digest(tmp_path, jxl(corner_picture(300, 200).convert(mode), lossless=lossless), "a.jxl")
    assert (result.problem, result.width, result.height) == ("", 300, 200)
    assert corners_of(result.thumbnail or b"") == CORNERS


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("L", 128, 128), ("LA", (128, 255), 128), ("I;16", 128 * 257, 188), ("F", 128 / 255, 188)],
)
def test_grey(tmp_path: Path, mode: str, value: Any, expected: int) -> None:
    """What has more than eight bits is written as linear light, and says so."""
    result = digest(tmp_path, jxl(Image.new(mode, (300, 20), value), lossless=True), "a.jxl")
    thumbnail = Image.open(io.BytesIO(result.thumbnail or b"")).convert("RGB")
    assert result.problem == "" and all(abs(v - expected) <= 2 for v in thumbnail.getpixel((9, 9)))  # type: ignore[union-attr]


def test_a_jpeg_inside_is_drawn_upright_by_a_sealed_decoder(tmp_path: Path) -> None:
    upright = corner_picture(320, 240)
    data = jpeg(upright.transpose(Image.Transpose.ROTATE_90), exif=exif_block({0x0112: 6}))
    (tmp_path / "a.jxl").write_bytes(from_jpeg(tmp_path, data))
    opened = partial(os.open, tmp_path / "a.jxl", os.O_RDONLY)
    with DecoderPool(1) as pool:
        ((_, result),) = pool.digest([Job("a", "a.jxl", opened, {"zone": "UTC", "mtime_ns": 1})])
    assert (result.problem, result.width, result.height) == ("", 320, 240)
    assert corners_of(result.thumbnail or b"") == CORNERS


def test_what_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    data = jxl(corner_picture(300, 200))
    result = digest(tmp_path, data[: len(data) // 2], "a.jxl")
    assert result.damaged and result.problem == "The picture could not be decoded: its data are damaged."


def test_what_needs_too_much_is_not_decoded(tmp_path: Path) -> None:
    data = jxl(Image.new("L", (2000, 1500)), lossless=True)
    result = digest(tmp_path, data, "a.jxl", DEFAULT_LIMITS.with_memory(64 * MIB))
    assert result.too_large and not result.damaged and result.needed_bytes > 3_000_000 * 19


@pytest.mark.parametrize(
    ("mode", "options", "least", "most"),
    [("RGB", {}, 7.1, 9), ("RGBA", {}, 11.3, 13), ("RGB", {"lossless": True}, 15.5, 20)],
)
def test_needed_memory_by_the_header(mode: str, options: dict[str, Any], least: float, most: float) -> None:
    found = read_jxl(MemorySource(jxl(Image.new(mode, (300, 200)), **options)))
    assert least < found.decoded_bytes / 60_000 < most
