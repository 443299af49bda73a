"""Of each kind of RAW the JPEG inside is drawn, upright and in its colours, whatever a library makes of the rest."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from catalog.media.drawing import Drawing
from catalog.media.facts import Facts
from catalog.media.limits import DEFAULT_LIMITS, MIB
from catalog.media.picture import draw
from catalog.media.raw_previews import previews_in
from catalog.media.results import DigestResult
from catalog.media.source import MemorySource
from catalog.media.survey import apply_dates, begin
from tests.catalog.media import raw_files
from tests.catalog.media.photos import corners_of, jpeg
from tests.catalog.media.raw_files import KINDS, PHOTO, PREVIEW, Blob

Build = Callable[[Blob], bytes]
each_kind = pytest.mark.parametrize(("kind", "build"), KINDS.items())
TURNED = ["blue", "red", "white", "green"]


def read(data: bytes) -> tuple[DigestResult, Facts]:
    result = DigestResult()
    facts = begin(MemorySource(data), result)
    assert facts is not None
    return result, facts


def drawn(data: bytes, edge_px: int = 256) -> Drawing:
    result, facts = read(data)
    return draw(MemorySource(data), result.media_type, facts, edge_px, DEFAULT_LIMITS)


@each_kind
def test_what_it_says(kind: str, build: Build) -> None:
    result, facts = read(build(raw_files.preview()))
    apply_dates(result, facts, "IMG.RAW", {"zone": "UTC"}, {})
    assert (result.media_type, result.problem) == (f"image/{kind}", "")
    assert (result.width, result.height, result.orientation) == (*PHOTO[::-1], 6)
    assert str(result.taken_local)[:19].replace("T", " ") == "2021-06-05 10:11:12"
    assert facts.lens == ("24-105mm f/4" if kind == "x-nikon-nef" else raw_files.LENS)
    assert facts.iso == 200


@each_kind
def test_the_preview_is_drawn_upright(kind: str, build: Build) -> None:
    for edge in (256, 1024):
        drawing = drawn(build(raw_files.preview()), edge)
        assert (drawing.problem, drawing.damaged) == ("", False)
        assert drawing.jpeg and corners_of(drawing.jpeg) == TURNED
        assert (drawing.width, drawing.height) == (round(edge * PREVIEW[1] / PREVIEW[0]), edge)


@pytest.mark.parametrize("build", [build for kind, build in KINDS.items() if kind != "x-fuji-raf"])
def test_a_preview_that_the_camera_turned_is_not_turned_again(build: Build) -> None:
    upright = Image.open(io.BytesIO(raw_files.preview())).transpose(Image.Transpose.ROTATE_270)
    drawing = drawn(build(Blob(jpeg(upright))))
    assert drawing.jpeg and corners_of(drawing.jpeg) == TURNED and drawing.height == 256


@pytest.mark.parametrize("kind", ["x-sony-arw", "x-canon-cr3", "x-pentax-pef"])
def test_a_damaged_preview_leaves_it_to_the_next(kind: str) -> None:
    whole = raw_files.preview()
    data = KINDS[kind](whole)
    at = data.index(whole) + len(whole) // 2
    drawing = drawn(data[:at] + bytes(len(whole) // 2) + data[at + len(whole) // 2 :], 100)
    assert drawing.jpeg and not drawing.damaged and corners_of(drawing.jpeg) == TURNED


@each_kind
def test_a_large_file_is_not_read_for_its_preview(kind: str, build: Build) -> None:
    class Counted(MemorySource):
        count = 0

        def read(self, offset: int, length: int) -> bytes:
            part = super().read(offset, length)
            self.count += len(part)
            return part

    picture = raw_files.preview()
    source = Counted(build(picture) + bytes(8 * MIB))
    result, facts = read(source.data)
    reader = facts.found.exif.reader if facts.found.exif else None
    if reader is not None and reader.source.size == source.size:
        reader.source = source
    found = previews_in(source, result.media_type, facts)
    assert (found[0].found.width, found[0].found.height) == PREVIEW and found[0].length >= len(picture)
    assert source.count < MIB


def test_what_cannot_be_drawn_is_told() -> None:
    drawing = drawn(raw_files.dng(Blob(b"nothing")))
    assert drawing.damaged and not drawing.jpeg and "RAW data are damaged" in drawing.problem


def test_adobe_rgb_without_a_profile_is_shown_in_srgb() -> None:
    plain = raw_files.adobe_rgb((60, 190, 90))
    inside = raw_files.cr2(raw_files.preview())
    expected = _srgb((60, 190, 90))
    assert expected[0] == 0  # a green that sRGB does not have
    for data in (plain, _with_colours_of_adobe(inside, (60, 190, 90))):
        drawing = drawn(data)
        assert drawing.jpeg
        shown = Image.open(io.BytesIO(drawing.jpeg)).getpixel((100, 60))
        assert isinstance(shown, tuple) and all(abs(a - b) <= 4 for a, b in zip(shown, expected, strict=True))


def _with_colours_of_adobe(data: bytes, colour: tuple[int, int, int]) -> bytes:
    picture = Blob(jpeg(Image.new("RGB", PREVIEW, colour)))
    first = raw_files.sized(PHOTO) | raw_files.camera(b"Canon") | raw_files.as_strip(picture, 6)
    exif = raw_files.shot()[0] | {0xA001: 0xFFFF, 0xA005: [{1: b"R03\0"}]}
    return raw_files.tiff([first | {0x8769: [exif]}], head=data[8:16])


def _srgb(colour: tuple[int, int, int]) -> tuple[int, ...]:
    """By way of XYZ, with the matrices that the two standards print."""
    red, green, blue = ((value / 255) ** 2.19921875 for value in colour)
    x = 0.57667 * red + 0.18556 * green + 0.18823 * blue
    y = 0.29734 * red + 0.62736 * green + 0.07529 * blue
    z = 0.02703 * red + 0.07069 * green + 0.99134 * blue
    light = (
        3.2406 * x - 1.5372 * y - 0.4986 * z,
        -0.9689 * x + 1.8758 * y + 0.0415 * z,
        0.0557 * x - 0.2040 * y + 1.0570 * z,
    )
    return tuple(
        round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055))
        for v in (min(max(value, 0.0), 1.0) for value in light)
    )
