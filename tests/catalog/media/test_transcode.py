"""Renditions show what the video shows: its shape, its colours, whole pictures, its times, its sound."""

from __future__ import annotations

import fractions
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy
import pytest

from catalog.media import tone, transcode
from catalog.media.found import Found
from catalog.media.video import turn_of
from tests.catalog.media.test_videos import coded, pq
from tests.catalog.media.videos import colours_of, farthest, quadrants, video


class Made:
    """A rendition, decoded."""

    def __init__(self, folder: Path, data: bytes) -> None:
        (folder / "video").write_bytes(data)
        with open(folder / "video", "rb") as source, open(folder / "made.mp4", "w+b") as target:
            self.size = transcode.convert(source.fileno(), target, lambda *done: None)
        with av.open(str(folder / "made.mp4")) as made:
            context = made.streams.video[0].codec_context
            self.aspect = context.sample_aspect_ratio
            self.tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
            self.start, self.duration = made.start_time, made.duration
            self.frames = list(made.decode(video=0))
        with av.open(str(folder / "made.mp4")) as made:
            tracks = made.streams.audio
            self.sound = [frame.to_ndarray() for frame in made.decode(audio=0)] if tracks else []

    def colours(self) -> list[tuple[int, ...]]:
        return colours_of(self.frames[0].reformat(format="rgb24", interpolation=0x42020, threads=1).to_image())


@pytest.mark.parametrize(
    ("container", "codec"), [("mpegts", "libx264"), ("matroska", "mpeg2video"), ("mp4", "libx264")]
)
def test_pixels_that_are_not_square_become_square(tmp_path: Path, container: str, codec: str) -> None:
    made = Made(tmp_path, video(container, codec, frames=3, sample_aspect_ratio=fractions.Fraction(4, 3)))
    assert made.size == (made.frames[0].width, made.frames[0].height) == (84, 48)
    assert made.aspect in (None, 0, 1) and farthest(made.colours()) <= 6


def test_high_dynamic_range_becomes_srgb_and_everything_is_tagged(tmp_path: Path) -> None:
    tags = {"color_primaries": 9, "color_trc": tone.PQ, "colorspace": 9, "color_range": 1}
    made = Made(tmp_path, video(picture=coded(pq, quadrants()), frames=2, options={"crf": "4"}, **tags))
    assert farthest(made.colours()) <= 12
    assert made.tags == (1, 1, 1, 1)


@pytest.mark.parametrize("tags", [{}, {"colorspace": 1, "color_range": 1}, {"colorspace": 5, "color_range": 2}])
def test_colours_stay_whatever_matrix_and_range_coded_them(tmp_path: Path, tags: dict[str, int]) -> None:
    made = Made(tmp_path, video(frames=2, options={"crf": "4"}, **tags))
    assert farthest(made.colours()) <= 6 and made.tags == (1, 1, 1, 1)


def combs(frame: Any) -> int:
    """The number of points that differ from the lines above and below alike, as between two fields."""
    light = frame.reformat(format="gray", threads=1).to_ndarray().astype(int)
    above, here, below = light[:-2], light[1:-1], light[2:]
    return int(((abs(here - above) > 60) & (abs(here - below) > 60) & (abs(above - below) < 30)).sum())


def test_interlaced_videos_become_whole_pictures(tmp_path: Path) -> None:
    def moving(number: int) -> Any:
        picture = numpy.full((96, 128, 3), 40, numpy.uint8)
        for field in (0, 1):
            left = 8 + 2 * (2 * number + field)
            picture[field::2, left : left + 24] = 220
        return picture

    options = {"flags": "+ilme+ildct", "qscale": "2"}
    data = video("mpegts", "mpeg2video", picture=moving, frames=12, size=(128, 96), options=options)
    with av.open(io.BytesIO(data)) as before:
        assert combs(list(before.decode(video=0))[5]) > 100
    made = Made(tmp_path, data)
    assert len(made.frames) == 12 and max(combs(frame) for frame in made.frames) < 10


def test_times_stay_however_uneven_they_are(tmp_path: Path) -> None:
    """Ten frames within a third of a second, and then one each second."""
    times = [*range(10), *range(40, 190, 30)]
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as target:
        track = target.add_stream("libx264", rate=30)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for time in times:
            frame = av.VideoFrame.from_ndarray(quadrants(), format="rgb24")
            frame.pts, frame.time_base = time, fractions.Fraction(1, 30)
            target.mux(track.encode(frame))
        target.mux(track.encode(None))
    made = Made(tmp_path, out.getvalue())
    assert [round(frame.time * 30) for frame in made.frames] == times


def recording(layout: str, *, frames: int = 50) -> bytes:
    """A transport stream of two seconds with a tone of 1 kHz in one channel: the centre of 5.1, the left one of stereo."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as target:
        pictures = target.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = target.add_stream("ac3", rate=48_000, layout=layout)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(quadrants(), format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, 25)
            target.mux(pictures.encode(frame))
        for start in range(0, frames * 1920, 1536):
            samples = numpy.zeros((6 if layout == "5.1" else 2, 1536), numpy.float32)
            samples[2 if layout == "5.1" else 0] = numpy.sin(numpy.arange(start, start + 1536) * 0.1309) / 2
            heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            heard.sample_rate, heard.pts, heard.time_base = 48_000, start, fractions.Fraction(1, 48_000)
            target.mux(sound.encode(heard))
        target.mux(pictures.encode(None))
        target.mux(sound.encode(None))
    return out.getvalue()


def test_surround_sound_is_mixed_down_and_joined_recordings_go_on(tmp_path: Path) -> None:
    """The second half begins its clock anew, and has other sound."""
    made = Made(tmp_path, recording("stereo") + recording("5.1"))
    assert len(made.frames) == 100 and made.start == 0
    assert 3_900_000 < made.duration < 4_200_000
    heard = numpy.concatenate(made.sound, axis=1)
    first, second = heard[:, 20_000:80_000], heard[:, -80_000:-20_000]
    assert abs(first[0]).max() > 0.3 and abs(first[1]).max() < 0.05
    assert abs(second[0]).max() > 0.1 and abs(second[1]).max() > 0.1


@pytest.mark.parametrize(("rotation", "turn"), [(0, 1), (90, 8), (-90, 6), (180, 3), (270, 6)])
def test_frames_tell_their_turn_where_the_container_is_not_read(rotation: int, turn: int) -> None:
    assert turn_of(Found(), SimpleNamespace(rotation=rotation)) == turn
    assert turn_of(Found(transform=3), SimpleNamespace(rotation=rotation)) == 3
