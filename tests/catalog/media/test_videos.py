"""Videos are drawn, measured and told rightly, whatever wrote them."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import numpy
import pytest
from PIL import Image

from catalog.media import tone
from catalog.media.detect import media_type_of
from catalog.media.isobmff import boxes
from tests.catalog.media.test_digest import digest
from tests.catalog.media.videos import QUADRANTS, colours_of, farthest, quadrants, video


def shown(thumbnail: bytes | None) -> list[tuple[int, ...]]:
    assert thumbnail is not None
    return colours_of(Image.open(io.BytesIO(thumbnail)))


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mp4", {}),  # x264's own: a key frame every 250 frames, and B-frames
        ("matroska", {}),
        ("mpegts", {}),
        ("mp4", {"x264-params": "intra-refresh=1:bframes=0"}),
    ],
)
def test_the_first_frame_needs_no_second_key_frame(tmp_path: Path, container: str, options: dict[str, str]) -> None:
    result = digest(tmp_path, video(container, frames=270, options=options), "video")
    assert result.problem == "" and farthest(shown(result.thumbnail)) <= 6
    assert result.duration_ms == 10_800


@pytest.mark.parametrize(
    ("container", "codec", "media_type", "size"),
    [
        ("dv", "dvvideo", "video/dv", (720, 576)),
        ("flv", "flv", "video/x-flv", (64, 48)),
        ("ogg", "libvpx", "video/ogg", (64, 48)),
        ("mxf", "mpeg2video", "video/mxf", (64, 48)),
        ("mpeg2video", "mpeg2video", "video/mpeg", (64, 48)),
        ("vob", "mpeg2video", "video/mpeg", (64, 48)),
        ("3gp", "libx264", "video/3gpp", (64, 48)),
        ("asf", "wmv2", "video/x-ms-wmv", (64, 48)),
    ],
)
def test_containers(tmp_path: Path, container: str, codec: str, media_type: str, size: tuple[int, int]) -> None:
    result = digest(tmp_path, video(container, codec, frames=5, size=size), "video")
    assert (result.media_type, result.problem) == (media_type, "")
    assert farthest(shown(result.thumbnail)) <= 12


def test_frames_are_drawn_where_no_packet_is_marked_as_a_key_frame(tmp_path: Path) -> None:
    """As in transport streams that were cut, and in broken indexes."""
    data = video(frames=50, options={"g": "10"})
    at = data.index(b"stss")
    unmarked = data[: at + 8] + struct.pack(">II", 1, 2**31) + data[at + 16 :]
    result = digest(tmp_path, unmarked, "video.mp4")
    assert result.problem == "" and farthest(shown(result.thumbnail)) <= 6


def test_transport_streams_that_were_cut_anywhere(tmp_path: Path) -> None:
    data = video("mpegts", frames=100, options={"g": "25"})
    for start in (188, 77, 188 * 20 + 5):
        result = digest(tmp_path, data[start:], "video.ts")
        assert (result.media_type, result.problem) == ("video/mp2t", "")
        assert farthest(shown(result.thumbnail)) <= 6
    assert media_type_of(b"some text, of Gs and others: GGGG" * 100) == ""


def test_what_begins_dark_is_shown_by_a_later_frame(tmp_path: Path) -> None:
    black = numpy.zeros((48, 64, 3), numpy.uint8)
    data = video(frames=100, options={"g": "20"}, picture=lambda number: quadrants() if number >= 65 else black)
    assert max(sum(colour) for colour in shown(digest(tmp_path, data, "video.mp4").thumbnail)) < 30
    data = video(frames=100, options={"g": "20"}, picture=lambda number: quadrants() if number >= 20 else black)
    assert farthest(shown(digest(tmp_path, data, "video.mp4").thumbnail)) <= 6


@pytest.mark.parametrize("options", [{}, {"movflags": "frag_keyframe+empty_moov"}, {"movflags": "cmaf+empty_moov"}])
def test_the_length_of_fragments_is_told_without_an_index(tmp_path: Path, options: dict[str, str]) -> None:
    data = video(frames=90, options={"g": "25"}, container_options=options)
    without = b"".join(data[start - 8 : end] for kind, start, end in boxes(data) if kind not in (b"mfra", b"sidx"))
    assert digest(tmp_path, without, "video.mp4").duration_ms == 3_600


def test_quicktime_that_begins_with_free_space(tmp_path: Path) -> None:
    body = {kind: data for data in [video("mov", frames=5)] for kind, data in _atoms(data)}
    free = struct.pack(">I4s", 70_000, b"free") + bytes(69_992)
    moved = len(free) - len(body[b"ftyp"]) - len(body[b"wide"])
    moov = bytearray(body[b"moov"])
    at = moov.index(b"stco") + 8
    for place in range(at + 4, at + 4 + 4 * int.from_bytes(moov[at : at + 4], "big"), 4):
        moov[place : place + 4] = (int.from_bytes(moov[place : place + 4], "big") + moved).to_bytes(4, "big")
    result = digest(tmp_path, free + body[b"mdat"] + moov, "video.mov")
    assert (result.media_type, result.problem, result.width) == ("video/quicktime", "", 64)
    assert farthest(shown(result.thumbnail)) <= 6


def _atoms(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(kind, data[start - 8 : end]) for kind, start, end in boxes(data)]


# -- high dynamic range and wide gamut --------------------------------------------------------------------------------


def linear(value: float) -> float:
    value /= 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def in_bt2020(colour: tuple[int, int, int]) -> list[float]:
    matrix = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
    return [sum(share * linear(one) for share, one in zip(row, colour, strict=True)) for row in matrix]


def pq(light: float) -> float:
    """SMPTE ST 2084, diffuse white at 203 cd/m²."""
    power = (light * 203 / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: float) -> float:
    """ARIB STD-B67, diffuse white at 75 %."""
    scene = light * 0.26496
    return math.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073


def coded(curve, picture):
    """The picture of sRGB as a signal of HDR."""
    colours = {colour: [round(255 * curve(light)) for light in in_bt2020(colour)] for colour in QUADRANTS}
    return numpy.array([[colours[tuple(pixel)] for pixel in row] for row in picture.tolist()], numpy.uint8)


@pytest.mark.parametrize(("curve", "transfer"), [(pq, tone.PQ), (hlg, tone.HLG)])
def test_high_dynamic_range_is_shown_in_srgb(tmp_path: Path, curve, transfer: int) -> None:
    tags = {"color_primaries": 9, "color_trc": transfer, "colorspace": 9, "color_range": 1}
    data = video(picture=coded(curve, quadrants()), frames=2, options={"crf": "4"}, **tags)
    assert farthest(shown(digest(tmp_path, data, "video.mp4").thumbnail)) <= 10  # the signal has 8 bits only


@pytest.mark.parametrize(("curve", "transfer"), [(pq, tone.PQ), (hlg, tone.HLG)])
def test_what_is_brighter_than_white_stays_apart_and_grey_stays_grey(curve, transfer: int) -> None:
    steps = [round(255 * curve(light)) for light in (0.2159, 1.0, 1.8, 3.0)]
    image = Image.new("RGB", (4, 1))
    for place, step in enumerate(steps):
        image.putpixel((place, 0), (step, step, step))
    pixels = [tone.shown_in_srgb(image, transfer, 9).getpixel((place, 0)) for place in range(4)]
    greys = [pixel[0] for pixel in pixels]
    assert all(max(pixel) - min(pixel) <= 2 for pixel in pixels)
    assert abs(greys[0] - 128) <= 1 and 215 <= greys[1] < greys[2] < greys[3] <= 255


def test_display_p3_is_shown_in_srgb_and_srgb_stays_as_it_is() -> None:
    image = Image.new("RGB", (1, 1), (200, 30, 30))
    assert tone.shown_in_srgb(image, 13, 12).getpixel((0, 0)) == pytest.approx((218, 0, 8), abs=1)
    for transfer, primaries in ((1, 1), (13, 1), (2, 2), (6, 6), (0, 0)):
        assert tone.shown_in_srgb(image, transfer, primaries) is image
