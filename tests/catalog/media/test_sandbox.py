"""A decoder process that was taken over can harm nothing: hostile code in it, and each refusal."""

from __future__ import annotations

import json
import os
import platform
import signal
from functools import partial
from pathlib import Path

import av
import pytest
from PIL import Image

from catalog.media import sandbox, system_calls
from catalog.media.limits import DEFAULT_LIMITS
from catalog.media.pool import DecoderPool
from catalog.media.task import Job

HOSTILE = "tests.catalog.media.hostile_worker"
FILES = (
    *("read a file", "read a file by openat", "read a file upwards", "list a folder", "rewrite a file"),
    *("truncate by opening", "truncate", "make a file", "make a folder", "delete", "rename", "link", "symbolic link"),
)
PROCESSES = (
    *("parent's memory", "parent's environment", "write into the parent", "read from the parent", "trace the parent"),
    *("signal the parent", "signal a thread of the parent"),
)


def make_video(path: Path) -> Path:
    """Write a video of ten grey frames."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (128, 128, 128)))
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def attacked(folder: Path, module: str) -> tuple[dict[str, str], str, list[str]]:
    """Let hostile code run in a decoder; return what its attacks met, what innocent work gave, and the layers in force."""
    victim = folder / "secret.key"
    victim.write_bytes(b"hush")
    order = folder / "photo.jpg"
    order.write_text(json.dumps({"victim": str(victim), "parent": os.getpid()}))
    before = order.read_bytes()
    with DecoderPool(1, worker_module=module) as pool:
        opener = partial(os.open, order, os.O_RDONLY)
        ((_, result),) = pool.digest([Job(None, order.name, opener, {"zone": "UTC"})])
        decoder = pool._decoders[0]
        assert decoder is not None
        layers = decoder.layers
    assert result.metadata_body, result.problem
    assert (victim.read_bytes(), order.read_bytes()) == (b"hush", before)
    assert sorted(os.listdir(folder)) == ["photo.jpg", "secret.key"]
    return json.loads(result.metadata_body), result.caption, layers


def test_hostile_code_in_a_decoder_is_refused_everything(tmp_path: Path) -> None:
    met, innocent, layers = attacked(tmp_path, HOSTILE)
    assert set(sandbox.REQUIRED) <= set(layers)
    other = {
        "device call": "ENOTTY",
        "write to the given file": "EBADF",
        "map the given file to write": "EACCES",
    }
    assert met == {name: other.get(name, "EPERM") for name in met}
    assert innocent == str(1 << 22)


def test_without_seccomp_files_and_processes_stay_out_of_reach(tmp_path: Path) -> None:
    met, _, layers = attacked(tmp_path, "tests.catalog.media.hostile_without_seccomp")
    assert sandbox.SECCOMP not in layers
    assert "done" not in {met[name] for name in (*FILES, *PROCESSES, "change rights")}


def test_landlock_alone_keeps_files_and_processes_out_of_reach(tmp_path: Path) -> None:
    met, _, layers = attacked(tmp_path, "tests.catalog.media.hostile_with_landlock_alone")
    assert sandbox.SECCOMP not in layers and sandbox.NAMESPACES not in layers
    assert "done" not in {met[name] for name in (*FILES, *PROCESSES)}


def test_a_decoder_without_its_layers_serves_nothing_where_the_sandbox_is_required(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"{}")
    limits = type(DEFAULT_LIMITS)(requires_sandbox=True)
    with DecoderPool(1, limits, worker_module="tests.catalog.media.hostile_without_seccomp") as pool:
        job = Job(None, photo.name, partial(os.open, photo, os.O_RDONLY), {"zone": "UTC"})
        results = list(pool.digest([job]))
    assert all(result.problem for _, result in results)


def test_what_a_sealed_decoder_lacks_comes_with_the_next_one(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4")
    opener = partial(os.open, video, os.O_RDONLY)
    with DecoderPool(1) as pool:
        for zone in ("UTC", "Asia/Tokyo"):
            ((_, result),) = pool.digest([Job(None, video.name, opener, {"zone": zone})])
            assert result.thumbnail and not result.problem
        assert pool.libraries == {"av", "zone:UTC", "zone:Asia/Tokyo"}


def test_a_library_that_no_decoder_brings_is_a_lie(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"before: needs")
    with DecoderPool(1, worker_module="tests.catalog.media.faulty_worker") as pool:
        ((_, result),) = pool.digest([Job(None, photo.name, partial(os.open, photo, os.O_RDONLY))])
        assert pool.libraries == set()
    assert "answered nonsense: a library that it has, or that there is not" in result.problem


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_that_a_kernel_takes(machine: str) -> None:
    program = system_calls.build_filter(system_calls.ARCHITECTURES[machine], 1234, may_write=True)
    assert len(program) % 8 == 0 and 8 * 50 < len(program) < 8 * 4096
    steps = [program[start : start + 8] for start in range(0, len(program), 8)]
    for index, step in enumerate(steps):  # every jump ends within the program
        code, if_true, if_false = step[0], step[2], step[3]
        if code & 7 == 5 and code != 5:
            assert max(index + 1 + if_true, index + 1 + if_false) < len(steps)


def test_an_abort_ends_the_decoder(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"before: abort")
    with DecoderPool(1, worker_module="tests.catalog.media.faulty_worker") as pool:
        ((_, result),) = pool.digest([Job(None, photo.name, partial(os.open, photo, os.O_RDONLY))])
    assert f"signal {int(signal.SIGABRT)}, SIGABRT" in result.problem


def test_this_machine_is_one_whose_calls_are_known() -> None:
    assert platform.machine() in system_calls.ARCHITECTURES
    assert sandbox.missing_layers() == []
