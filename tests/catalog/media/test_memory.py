"""Want of memory is no damage: what fails for it is tried in a fresh decoder, or drawn when somebody looks."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from catalog.media import memory, picture, webp_drawing
from catalog.media.found import Found
from catalog.media.heif import read_heif
from catalog.media.limits import DEFAULT_LIMITS, MIB
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.source import DescriptorSource, MemorySource
from catalog.media.task import Job
from tests.catalog.media.photos import corner_picture, corners_of, jpeg
from tests.catalog.media.test_digest import digest

LITTLE = DEFAULT_LIMITS.with_memory(64 * MIB)
CORNERS = ["red", "green", "blue", "white"]


def jobs(paths: list[Path]) -> Iterator[Job]:
    for path in paths:
        params = {"zone": "UTC", "mtime_ns": 1, "size_bytes": path.stat().st_size}
        yield Job(path.name, path.name, partial(os.open, path, os.O_RDONLY), params)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_what_is_drawn_does_not_depend_on_what_was_drawn_before(tmp_path: Path) -> None:
    """A progressive JPEG takes nearly all the memory of a decoder, and of what others left it could have less."""
    large = corner_picture(2400, 1950)
    (tmp_path / "webp").write_bytes(encoded(corner_picture(1300, 1300), "WEBP", method=0))
    (tmp_path / "jpeg").write_bytes(jpeg(large, progressive=True))
    (tmp_path / "damaged").write_bytes(jpeg(corner_picture(640, 480))[:3000])
    (tmp_path / "png").write_bytes(encoded(corner_picture(1500, 1500), "PNG", compress_level=1))
    paths = sorted(tmp_path.iterdir())
    with DecoderPool(1, LITTLE) as pool:
        told = [dict(kept(pool.digest(jobs(order)))) for order in (paths, paths[::-1], paths[2:] + paths[:2])]
    assert told[0] == told[1] == told[2]
    assert {name: (bool(thumbnail), damaged) for name, (thumbnail, damaged, _) in told[0].items()} == {
        "webp": (True, False), "jpeg": (True, False), "damaged": (True, True), "png": (True, False),
    }  # fmt: skip
    assert corners_of(told[0]["jpeg"][0] or b"") == CORNERS


def kept(results: Iterator[tuple[Job, DigestResult]]) -> Iterator[tuple[str, tuple[bytes | None, bool, str]]]:
    for job, result in results:
        yield job.key, (result.thumbnail, result.damaged, result.problem)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError("cannot allocate memory"),
        RuntimeError("Memory allocation error: Unspecified: Allocating 24000015 bytes failed"),
        OSError("could not create decoder object"),
    ],
)
def test_want_of_memory_is_told_from_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the picture's data are damaged") from error

    data = encoded(Image.new("RGB", (2600, 2000)), "WEBP", method=0)
    monkeypatch.setattr(webp_drawing, "finish", fail)
    result = digest(tmp_path, data)
    assert result.short_of_memory and result.too_large and not result.damaged
    assert result.needed_bytes > DEFAULT_LIMITS.picture_bytes and result.problem.startswith("Too large to draw")


def test_what_is_small_by_its_headers_and_takes_too_much_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(picture, "finish", fail)
    result = digest(tmp_path, jpeg())
    assert (result.damaged, result.short_of_memory, result.too_large) == (True, True, False)


def test_what_is_too_large_says_how_much_it_needs(tmp_path: Path) -> None:
    data = jpeg(corner_picture(2700, 2700), progressive=True)
    result = digest(tmp_path, data, limits=LITTLE)
    assert result.too_large and not result.short_of_memory and not result.damaged
    assert 2700 * 2700 * 6 + len(data) < result.needed_bytes < 2700 * 2700 * 6 + len(data) + 2 * MIB


@pytest.mark.parametrize(("mode", "lossless"), [("RGB", False), ("RGB", True), ("RGBA", False)])
def test_a_webp_of_twelve_megapixels_is_drawn_in_a_scan(tmp_path: Path, mode: str, lossless: bool) -> None:
    large = corner_picture(4032, 3024).convert(mode)
    (tmp_path / "large.webp").write_bytes(encoded(large, "WEBP", lossless=lossless, method=0, quality=1))
    with DecoderPool(1) as pool:
        ((_, result),) = pool.digest(jobs([tmp_path / "large.webp"]))
    assert not result.problem and (result.width, result.height) == (4032, 3024)
    assert result.thumbnail and corners_of(result.thumbnail) == CORNERS


@pytest.mark.parametrize(
    ("chroma", "depth", "alpha", "least", "most"),
    [(420, 8, False, 8.4, 9), (422, 10, False, 14.7, 16), (444, 10, False, 16.3, 18), (420, 8, True, 11, 13)],
)
def test_heif_of_more_samples_needs_more(chroma: int, depth: int, alpha: bool, least: float, most: float) -> None:
    mode = "RGBA" if alpha else "RGB"
    size = (64, 64)
    deep = depth > 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", False)
        pixels = bytes(64 * 64 * len(mode) * (2 if deep else 1))
        out = io.BytesIO()
        pillow_heif.from_bytes(mode + (";16" if deep else ""), size, pixels).save(out, chroma=chroma)
    source = MemorySource(out.getvalue())
    found = read_heif(source)
    found.width = found.height = 4000
    needed = memory.needed_bytes("image/heic", found, source, 256) / 16_000_000
    assert (found.depth, found.has_alpha) == (depth, alpha) and least < needed < most


def test_a_large_file_that_can_be_streamed_is_not_held_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    found = Found(1000, 1000, decoded_bytes=4_000_000)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        streamed = memory.needed_bytes("image/png", found, DescriptorSource(descriptor, 50_000_000), 256)
        whole = memory.needed_bytes("image/avif", found, DescriptorSource(descriptor, 50_000_000), 256)
    finally:
        os.close(descriptor)
    assert 4_000_000 < streamed < 6_000_000 and whole > 50_000_000


@pytest.mark.parametrize("edge_px", [256, 2048])
def test_a_bitmap_of_ten_bits_and_twelve_megapixels_is_drawn_and_not_called_damaged(
    tmp_path: Path, edge_px: int
) -> None:
    width, height = 4000, 3000
    masks = struct.pack("<4I", 0x3FF00000, 0xFFC00, 0x3FF, 0)
    head = b"BM" + struct.pack("<IHHI", 0, 0, 0, 70)
    head += struct.pack("<IiiHHIIiiII", 56, width, height, 1, 32, 3, 0, 0, 0, 0, 0) + masks
    (tmp_path / "large.bmp").write_bytes(head + struct.pack("<I", 0x3FF << 20 | 0x200 << 10) * (width * height))
    (job,) = jobs([tmp_path / "large.bmp"])
    with DecoderPool(1) as pool:
        result = next(iter(pool.digest([job])))[1] if edge_px == 256 else pool.preview(job, edge_px)
    shown = result.thumbnail if edge_px == 256 else result.picture
    assert not result.problem and shown
    colour = Image.open(io.BytesIO(shown)).getpixel((9, 9))
    assert isinstance(colour, tuple) and all(abs(a - b) < 4 for a, b in zip(colour, (255, 128, 0), strict=True))
