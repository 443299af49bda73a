"""Films that browsers cannot play: converted once, in a process that can do nothing else, upright, with their sound."""

import fractions
import os
from pathlib import Path

import av
import numpy
import pytest

from catalog.browsing import video_renditions
from catalog.browsing.stored import find
from catalog.cache import tree
from catalog.media import transcode
from catalog.media.transcode import fitted
from catalog.models import Photo
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import (
    library,  # noqa: F401
    root,  # noqa: F401
    scan,
)

pytestmark = pytest.mark.django_db


def make_film(
    path: Path, *, codec: str = "mpeg4", size: tuple[int, int] = (320, 180), frames: int = 45, sound: bool = True
) -> Path:
    """Write a film of a bright square that wanders over a dark ground, top left first, with a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=15)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = out.add_stream("aac", rate=44100, layout="mono") if sound else None
        for number in range(frames):
            picture = numpy.zeros((size[1], size[0], 3), numpy.uint8)
            picture[:60, :60] = 255
            picture[-20:, number : number + 20] = (200, 40, 40)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, 15)
            out.mux(video.encode(frame))
        if audio is not None:
            for number in range(frames * 44100 // 15 // 1024):
                wave = numpy.sin(numpy.arange(number * 1024, number * 1024 + 1024) / 20)
                tone = av.AudioFrame.from_ndarray(wave.astype(numpy.float32)[None], format="fltp", layout="mono")
                tone.sample_rate, tone.pts, tone.time_base = 44100, number * 1024, fractions.Fraction(1, 44100)
                out.mux(audio.encode(tone))
            out.mux(audio.encode(None))
        out.mux(video.encode(None))
    os.utime(path, (1_500_000_000, 1_500_000_000))
    return path


@pytest.fixture
def film(library, root):  # noqa: F811
    make_film(root / "film.avi")
    scan(library)
    return Photo.objects.get(library=library)


def convert(library, photo):  # noqa: F811
    status = video_renditions.want(find(library.owner, photo.pk), photo.pk, library.owner)
    assert status.state == "converting"
    return execute(Operation.objects.get(kind="rendition", state=State.PENDING).pk)


def rendition_of(photo):
    with tree.cache().open(tree.rendition_name(photo.photo_md5)) as file, av.open(file) as made:
        video, audio = made.streams.video[0], next(iter(made.streams.audio), None)
        facts = (video.codec_context.name, video.width, video.height, audio and audio.codec_context.name, made.duration)
        frames = [frame.to_ndarray(format="rgb24") for frame in made.decode(video)]
    return facts, frames


def test_a_film_is_converted_once_and_kept(library, film):  # noqa: F811
    operation = convert(library, film)
    assert operation.state == State.COMPLETED, operation.error
    (codec, width, height, sound, duration), frames = rendition_of(film)
    assert (codec, width, height, sound) == ("h264", 320, 180, "aac")
    assert abs(duration - 3_000_000) < 200_000 and len(frames) == 45
    assert frames[10][20, 20].min() > 180 and frames[10][100, 200].max() < 60
    assert video_renditions.want(find(library.owner, film.pk), film.pk, library.owner).state == "ready"
    assert not list(Path(os.fspath(library.root)).glob("*.mp4"))


def test_a_second_asker_learns_how_far_it_is_and_no_more(library, film, bob):  # noqa: F811
    photo = find(library.owner, film.pk)
    video_renditions.want(photo, film.pk, library.owner)
    status = video_renditions.want(photo, film.pk, bob)
    assert (status.state, status.reason) == ("converting", "") and Operation.objects.filter(
        kind="rendition"
    ).count() == 1


def test_damaged_and_hostile_films_fail_with_a_sentence_and_are_not_tried_for_ever(library, root):  # noqa: F811
    whole = make_film(root / "film.avi").read_bytes()
    (root / "film.avi").write_bytes(whole[:300] + bytes(len(whole) - 300))
    os.utime(root / "film.avi", (1_500_000_000, 1_500_000_000))
    scan(library)
    photo = Photo.objects.get(library=library)
    Photo.objects.update(state="ready", is_shown=True, media_type="video/x-msvideo")
    operation = convert(library, photo)
    assert (operation.state, operation.error_code) == (State.FAILED, "no_rendition")
    again = video_renditions.want(find(library.owner, photo.pk), photo.pk, library.owner)
    assert again.state == "failed" and again.reason.endswith("can be downloaded.")
    assert (
        video_renditions.want(find(library.owner, photo.pk), photo.pk, library.owner, again=True).state == "converting"
    )


def test_the_converter_writes_no_more_than_it_may(library, film, monkeypatch):  # noqa: F811
    monkeypatch.setattr(video_renditions, "LARGEST_BYTES", 4096)
    monkeypatch.setattr(video_renditions, "LEAST_BYTES", 4096)
    operation = convert(library, film)
    assert (operation.state, operation.error_code) == (State.FAILED, "no_rendition")
    assert not tree.cache().exists(tree.rendition_name(film.photo_md5))


def test_stopped_in_the_middle_it_begins_again(library, film, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(video_renditions, "_convert", die)
        convert(library, film)
    operation = Operation.objects.get(kind="rendition")
    Operation.objects.update(lease_until="2020-01-01T00:00:00Z")
    assert execute(operation.pk).state == State.COMPLETED
    assert rendition_of(film)[0][0] == "h264"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((320, 180), (320, 180)),
        ((3840, 2160), (1920, 1080)),
        ((1081, 1921), (1080, 1920)),
        ((1, 1), (2, 2)),
        ((4000, 3), (1920, 2)),
    ],
)
def test_sizes_fit_and_are_even(size, expected):
    assert fitted(*size) == expected


@pytest.mark.parametrize(("turn", "corner"), [(1, (20, 20)), (3, (160, 300)), (6, (20, 160)), (8, (300, 20))])
def test_films_become_upright(tmp_path, monkeypatch, turn, corner):
    """The bright square is top left in the stored frames; turned, it is elsewhere."""
    path = make_film(tmp_path / "film.avi", frames=5, sound=False)
    real = transcode.begin

    def begin(source, result):
        facts = real(source, result)
        facts.found.transform = turn
        return facts

    monkeypatch.setattr(transcode, "begin", begin)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with open(tmp_path / "made.mp4", "w+b") as target:
            size = transcode.convert(descriptor, target, lambda *done: None)
    finally:
        os.close(descriptor)
    with av.open(str(tmp_path / "made.mp4")) as made:
        frame = next(made.decode(video=0)).to_ndarray(format="rgb24")
    assert frame.shape[:2] == size[::-1] == ((320, 180) if turn in (6, 8) else (180, 320))
    assert frame[corner].min() > 180
