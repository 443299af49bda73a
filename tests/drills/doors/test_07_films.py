"""A film's claims buy it no time: what was made counts, and who cancels does not wait for the film."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from catalog.browsing import video_renditions
from catalog.media import pool as pools
from catalog.media import task
from catalog.media.decoder import Decoder
from catalog.media.limits import Limits
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import Photo
from operations.control import cancel
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.browsing.test_video_renditions import (
    film,  # noqa: F401
    make_film,
)
from tests.catalog.scanning.test_scan import (
    library,  # noqa: F401
    root,  # noqa: F401
    scan,
)

pytestmark = pytest.mark.django_db
CLAIM = """
import json, sys, time
while True:
    print(json.dumps({"done_ms": 10**12, "total_ms": 10**12, "frames": %s}), flush=True)
    time.sleep(0.05)
"""
SILENT = """
import json, pathlib, sys, time
print(json.dumps({"done_ms": 0, "total_ms": 1000, "frames": 1}), flush=True)
time.sleep(20)
pathlib.Path(%r).touch()
print(json.dumps({"done_ms": 0, "total_ms": 1000, "frames": 2}), flush=True)
"""
CLOSES_ITS_OUTPUT = """
import os, time
os.close(1)
time.sleep(600)
"""


def converting(photo: Photo, script: str, monkeypatch: pytest.MonkeyPatch) -> Operation:
    """Let a converter that is this script be at work on a photo; return the operation, which waits for a worker."""
    monkeypatch.setattr(video_renditions, "_CONVERTER", [sys.executable, "-c", script])
    video_renditions.want(video_renditions.find(photo.library.owner, photo.pk), photo.pk, photo.library.owner)
    return Operation.objects.get(kind="rendition", state=State.PENDING)


@pytest.mark.parametrize("frames", ["0", "3", '"many"'])
def test_what_a_film_claims_buys_it_no_time(film: Photo, monkeypatch: pytest.MonkeyPatch, frames: str) -> None:  # noqa: F811
    monkeypatch.setattr(video_renditions, "SECONDS", 1.0)
    monkeypatch.setattr(video_renditions, "SECONDS_FOR_EACH_FRAME", 0.1)
    ended = execute(converting(film, CLAIM % frames, monkeypatch).pk)
    assert ended is not None and (ended.state, ended.error_code) == (State.FAILED, "no_rendition")
    assert "took too long" in ended.error


def test_frames_made_once_do_not_let_it_hang_for_as_long_as_they_allow(
    film: Photo,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(video_renditions, "SILENT_SECONDS", 1.0)
    ended = execute(converting(film, CLAIM % "10**9", monkeypatch).pk)
    assert ended is not None and (ended.state, ended.error_code) == (State.FAILED, "no_rendition")


def test_no_conversion_takes_more_than_a_day(film: Photo, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(video_renditions, "MOST_SECONDS", 1.0)
    growing = CLAIM.replace("%s", "int(time.monotonic() * 1000)")
    ended = execute(converting(film, growing, monkeypatch).pk)
    assert ended is not None and (ended.state, ended.error_code) == (State.FAILED, "no_rendition")


def test_who_cancels_does_not_wait_for_what_the_converter_says(
    film: Photo,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    late = tmp_path / "the converter went on"
    operation = converting(film, SILENT % str(late), monkeypatch)

    def cancelled_when_it_has_fallen_silent(clock: Any) -> bool:
        if clock._frames and not Operation.objects.get(pk=operation.pk).cancel_requested:
            cancel(Operation.objects.get(pk=operation.pk))
        return False

    monkeypatch.setattr(video_renditions._Clock, "is_over", property(cancelled_when_it_has_fallen_silent))
    ended = execute(operation.pk)
    assert ended is not None and ended.state == State.CANCELLED
    assert not late.exists()


def test_a_converter_that_closes_its_output_and_stays_is_ended(film: Photo, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(video_renditions, "_LAST_SECONDS", 0.5)
    ended = execute(converting(film, CLOSES_ITS_OUTPUT, monkeypatch).pk)
    assert ended is not None and (ended.state, ended.error_code) == (State.FAILED, "no_rendition")


def test_a_film_that_is_converted_says_how_many_frames_were_made(film: Photo, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    said = []
    show = video_renditions._show_progress
    monkeypatch.setattr(
        video_renditions, "_show_progress", lambda run, words: (said.append(dict(words)), show(run, words))
    )
    video_renditions.want(video_renditions.find(film.library.owner, film.pk), film.pk, film.library.owner)
    assert execute(Operation.objects.get(kind="rendition").pk).state == State.COMPLETED  # type: ignore[union-attr]
    assert [words["frames"] for words in said if "frames" in words][-1] >= 30


def test_a_preview_gets_no_time_for_bytes_that_it_does_not_read() -> None:
    limits = Limits()
    decoder = Decoder.__new__(Decoder)
    decoder.limits = limits
    sparse = 10**15
    job = Job("x", "film.mp4", lambda: -1, {"size_bytes": sparse})
    preview = Job("x", "film.mp4", lambda: -1, {"size_bytes": sparse, "edge_px": 1600})
    assert decoder._read_bytes(task.Task(preview, None)) == limits.in_memory_bytes  # type: ignore[arg-type]
    assert decoder._read_bytes(task.Task(job, None)) == sparse  # type: ignore[arg-type]  # all of it is hashed


class NothingIsReady:
    """A selector of decoders that do not answer."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def register(self, *_: object) -> None:
        pass

    def select(self, timeout: float | None = None) -> list[Any]:
        time.sleep(min(timeout or 0.0, 0.05))
        return []


def test_a_scan_that_is_cancelled_does_not_wait_for_a_decoder(
    library: Any,  # noqa: F811
    root: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A decoder that hangs in one film would else hold a cancellation up for as long as its limit."""
    make_film(root / "film.avi")
    wait = DecoderPool._wait
    asked = []

    def hang(pool: DecoderPool, run: Any) -> None:
        with monkeypatch.context() as patched:
            if run.verb == "digest" and len(asked) < 100:  # some seconds: then it answers after all
                if not asked:
                    cancel(Operation.objects.get(kind="scan", state="running"))
                asked.append(True)
                patched.setattr(pools.selectors, "DefaultSelector", NothingIsReady)
            wait(pool, run)

    monkeypatch.setattr(DecoderPool, "_wait", hang)
    assert scan(library).state == State.CANCELLED
    assert asked and Photo.objects.filter(filename="film.avi", needs_digest=True).exists()
