"""Pictures are shown in the colours that their files mean."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy
import pillow_heif
import pytest
from PIL import Image, ImageCms

from catalog.media import tone
from catalog.media.digest import preview_file
from catalog.media.limits import DEFAULT_LIMITS
from tests.catalog.media.profiles import P3_COLUMNS, SRGB_COLUMNS, profile
from tests.catalog.media.test_digest import digest

LINEAR = profile("RGB", 1.0, SRGB_COLUMNS)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RENAMED = SRGB.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
P3 = profile("RGB", 2.2, P3_COLUMNS, "Display P3")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def shown(thumbnail: bytes | None) -> tuple[int, ...]:
    """Return the colour at the centre of a drawn picture."""
    picture = Image.open(io.BytesIO(thumbnail or b""))
    return tuple(picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2)))  # type: ignore[arg-type]


def is_near(ours: tuple[int, ...], theirs: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("mode", "colour", "icc", "expected"),
    [
        ("RGB", (128, 128, 128), LINEAR, (188, 188, 188)),  # called sRGB, and is not
        ("RGBA", (128, 128, 128, 255), LINEAR, (188, 188, 188)),
        ("RGB", (40, 90, 200), RENAMED, (40, 90, 200)),
        ("RGB", (200, 30, 30), P3, (220, 0, 0)),
        ("L", 128, profile("GRAY", 1.0), (188, 188, 188)),
        ("LA", (128, 255), profile("GRAY", 1.0), (188, 188, 188)),
        ("L", 128, profile("GRAY", 1.8), (146, 146, 146)),
        ("L", 128, LINEAR, (188, 188, 188)),
        ("L", 128, SRGB, (128, 128, 128)),
        ("RGB", (40, 90, 200), profile("GRAY", 1.0), (40, 90, 200)),  # fits no picture with colours
        ("RGB", (40, 90, 200), LINEAR[:90], (40, 90, 200)),
        ("RGB", (40, 90, 200), SRGB, (40, 90, 200)),
    ],
    ids=range(12),
)
def test_profiles_count_by_what_they_say(tmp_path: Path, mode: str, colour: Any, icc: bytes, expected: Any) -> None:
    result = digest(tmp_path, encoded(Image.new(mode, (40, 30), colour), "PNG", icc_profile=icc))
    assert result.problem == "" and is_near(shown(result.thumbnail), expected)


def test_lab_is_shown(tmp_path: Path) -> None:
    result = digest(tmp_path, encoded(Image.new("LAB", (40, 30), (137, 128, 128)), "TIFF"))
    assert result.problem == "" and is_near(shown(result.thumbnail), (128, 128, 128))


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    at = png.index(b"IDAT") - 4
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return png[:at] + struct.pack(">I", len(body)) + kind + body + checksum + png[at:]


def test_png_says_by_code_points_what_its_colours_mean(tmp_path: Path) -> None:
    png = encoded(Image.new("RGB", (40, 30), (200, 30, 30)), "PNG")
    assert is_near(shown(digest(tmp_path, png).thumbnail), (200, 30, 30))
    wide = with_chunk(png, b"cICP", bytes((12, 13, 0, 1)))
    assert is_near(shown(digest(tmp_path, wide).thumbnail), (218, 0, 6))


def test_the_thumbnail_in_a_heic_means_the_colours_of_its_picture(tmp_path: Path) -> None:
    out = io.BytesIO()
    heif = pillow_heif.from_pillow(Image.new("RGB", (640, 480), (200, 30, 30)))
    heif.info["icc_profile"] = P3
    heif.save(out, quality=90, thumbnails=[256])
    result = digest(tmp_path, out.getvalue())
    assert result.problem == "" and is_near(shown(result.thumbnail), (220, 0, 0), 5)


def test_previews_say_that_they_are_srgb_and_thumbnails_say_nothing(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (400, 300), (200, 30, 30)), "PNG", icc_profile=P3)
    thumbnail = Image.open(io.BytesIO(digest(tmp_path, data).thumbnail or b""))
    (tmp_path / "a.png").write_bytes(data)
    descriptor = os.open(tmp_path / "a.png", os.O_RDONLY)
    try:
        preview = preview_file(descriptor, 1600, DEFAULT_LIMITS).picture
    finally:
        os.close(descriptor)
    tag = Image.open(io.BytesIO(preview or b"")).info["icc_profile"]
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(tag))).startswith("sRGB")
    assert "icc_profile" not in thumbnail.info and is_near(shown(preview), (220, 0, 0), 5)


@pytest.mark.parametrize(("has_room", "expected"), [(True, (228, 142, 142)), (False, (200, 30, 30))])
def test_the_transparency_of_old_avif_has_no_size(tmp_path: Path, has_room: bool, expected: tuple[int, ...]) -> None:
    """As libheif wrote it before 1.12; without it, the picture is opaque."""
    data = bytearray(encoded(Image.new("RGBA", (300, 200), (200, 30, 30, 128)), "AVIF", speed=10))
    # Item 2, the transparency, has the properties 1 (ispe), 5 (pixi), 6 (av1C) and 7 (auxC).
    at = data.index(b"\x00\x02\x04\x01\x05\x86\x07", data.index(b"ipma")) + 3
    data[at : at + 4] = b"\x00\x05\x86\x07" if has_room else b"\x07\x07\x86\x07"
    result = digest(tmp_path, bytes(data))
    assert result.problem == "" and is_near(shown(result.thumbnail), expected)


@pytest.mark.parametrize("transfer", [tone.PQ, tone.HLG])
@pytest.mark.parametrize("colour", [(200, 30, 30), (30, 160, 60), (40, 60, 200), (128, 128, 128)])
def test_numbers_are_toned_as_the_table_of_eight_bits_does(transfer: int, colour: tuple[int, ...]) -> None:
    signal = [round(255 * (0.1 + value / 500)) for value in colour]
    picture = Image.new("RGB", (1, 1), tuple(signal))
    table = tone.shown_in_srgb(picture, transfer, 9).getpixel((0, 0))
    exact = tone.shown_exactly(numpy.array([signal]) / 255, transfer, 9, numpy)[0] * 255
    assert is_near(tuple(table), tuple(exact), 9)  # type: ignore[arg-type]


def test_heic_of_high_dynamic_range_is_drawn_from_all_bits(tmp_path: Path) -> None:
    """From eight bits of the same signal, the red of this green comes out as 15 to 23."""
    signal = [round(value * 1023) * 64 for value in (0.37793545, 0.466804, 0.33105974)]
    out = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", False)
        pixels = struct.pack("<3H", *signal) * (640 * 480)
        heif = pillow_heif.from_bytes("RGB;16", (640, 480), pixels)
        heif.save(out, quality=100, chroma=444, color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    result = digest(tmp_path, out.getvalue())
    assert result.problem == "" and is_near(shown(result.thumbnail), (28, 160, 61), 3)
