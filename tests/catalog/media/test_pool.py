"""The pool keeps its word whatever the files do to its processes."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from catalog.media.decoder import Decoder
from catalog.media.limits import Limits
from catalog.media.pool import DecoderPool
from catalog.media.results import BadAnswer, DigestResult, apply_wire
from catalog.media.task import Job
from catalog.media.wire import BadMessage, encode, take
from tests.catalog.media.photos import jpeg

FAULTY = "tests.catalog.media.faulty_worker"
PHOTO = jpeg()


def job(folder: Path, name: str, content: bytes = PHOTO) -> Job:
    (folder / name).write_bytes(content)
    return Job(name, name, lambda: os.open(folder / name, os.O_RDONLY), {"zone": "UTC", "size_bytes": len(content)})


def names_of(folder: Path, culprit: Job | None = None) -> list[Job]:
    jobs = [job(folder, f"{number}.jpg") for number in range(12)]
    return jobs[:5] + ([culprit] if culprit else []) + jobs[5:]


def no_child_left(pool: DecoderPool) -> bool:
    return not any(os.path.exists(f"/proc/{pid}/cmdline") for pid in pool.process_ids())


def test_every_job_is_answered_once(tmp_path: Path) -> None:
    with DecoderPool(2) as pool:
        for verb in (pool.survey, pool.digest):
            answers = [(answered.key, result) for answered, result in verb(names_of(tmp_path))]
            assert sorted(key for key, _ in answers) == sorted(f"{number}.jpg" for number in range(12))
            assert all(result.width == 64 and not result.problem for _, result in answers)
        pids = pool.process_ids()
        assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@pytest.mark.parametrize("verb", ["survey", "digest"])
@pytest.mark.promise("S2-X12")
def test_a_crash_costs_one_file(tmp_path: Path, verb: str) -> None:
    culprit = job(tmp_path, "crash.jpg", b"before: crash")
    with DecoderPool(2, worker_module=FAULTY) as pool:
        results = {answered.key: result for answered, result in getattr(pool, verb)(names_of(tmp_path, culprit))}
    bad = results.pop("crash.jpg")
    assert bad.problem == "The decoder crashed on this file 3 times (signal 11, SIGSEGV)."
    assert len(results) == 12 and not any(result.problem for result in results.values())


def test_facts_survive_a_crash_while_drawing(tmp_path: Path) -> None:
    content = b"after: crash"
    culprit = job(tmp_path, "crash.jpg", content)
    with DecoderPool(1, worker_module=FAULTY) as pool:
        ((_, result),) = pool.digest([culprit])
    assert result.photo_md5 == hashlib.md5(content).hexdigest()
    assert result.problem.startswith("The picture could not be drawn. The decoder crashed on this file 3 times")


def test_a_picture_that_found_no_memory_is_tried_once_more_in_a_fresh_process(tmp_path: Path) -> None:
    culprits = [job(tmp_path, "large.heic", b"short: once"), job(tmp_path, "huge.heic", b"short: always")]
    with DecoderPool(2, worker_module=FAULTY) as pool:
        jobs = [*names_of(tmp_path, culprits[0]), culprits[1]]
        results = {answered.key: result for answered, result in pool.digest(jobs)}
    assert (results["large.heic"].problem, results["large.heic"].notes) == ("", ["1"])
    assert (results["huge.heic"].problem, results["huge.heic"].notes) == ("short of memory", ["1"])
    assert len(results) == 14 and sum(bool(result.problem) for result in results.values()) == 1


def test_what_was_decoded_before_takes_no_memory_from_a_picture(tmp_path: Path) -> None:
    picture = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGBA", (4800, 3600), (9, 99, 199, 128))).save(picture, quality=10)
    large = job(tmp_path, "large.heic", picture.getvalue())
    needs_raw = job(tmp_path, "needs.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(4000))
    needs_film = job(tmp_path, "needs.mkv", b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x88matroska" + bytes(4000))
    with DecoderPool(1) as pool:
        assert all(not result.thumbnail for _, result in pool.digest([needs_raw, needs_film]))
        assert {"rawpy", "av"} <= pool.libraries
        ((_, after_others),) = pool.digest([large])
    with DecoderPool(1) as pool:
        ((_, alone),) = pool.digest([large])
    assert alone.thumbnail
    assert (after_others.thumbnail, after_others.problem) == (alone.thumbnail, alone.problem)


@pytest.mark.parametrize("verb", ["survey", "digest"])
def test_a_hang_costs_one_file(tmp_path: Path, verb: str) -> None:
    culprit = job(tmp_path, "hang.jpg", b"before: hang")
    with DecoderPool(2, Limits(seconds=1.0), worker_module=FAULTY) as pool:
        results = {answered.key: result for answered, result in getattr(pool, verb)(names_of(tmp_path, culprit))}
    assert results.pop("hang.jpg").problem == "The decoder ran beyond its time limit on this file 2 times."
    assert len(results) == 12 and not any(result.problem for result in results.values())


def test_a_preview_that_was_given_up_says_so(tmp_path: Path) -> None:
    with DecoderPool(1, Limits(seconds=0.5, timeouts=1), worker_module=FAULTY) as pool:
        assert pool.preview(job(tmp_path, "hang.jpg", b"before: hang"), edge_px=64).gave_up
        assert not pool.preview(job(tmp_path, "well.jpg", b"well"), edge_px=64).gave_up


def test_work_without_end_costs_one_file(tmp_path: Path) -> None:
    culprit = job(tmp_path, "hang.jpg", b"before: work 3600")
    with DecoderPool(1, Limits(seconds=0.5), worker_module=FAULTY) as pool:
        results = {answered.key: result for answered, result in pool.digest(names_of(tmp_path, culprit))}
    assert results.pop("hang.jpg").problem == "The decoder ran beyond its time limit on this file 2 times."
    assert len(results) == 12 and not any(result.problem for result in results.values())


def test_waiting_for_a_busy_machine_is_no_time_out(tmp_path: Path) -> None:
    slow = job(tmp_path, "slow.jpg", b"before: work 0.4")
    is_over = threading.Event()

    def keep_waiting(pid: int) -> None:
        while not is_over.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.06)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)

    with DecoderPool(1, Limits(seconds=0.6, timeouts=1), worker_module=FAULTY) as pool:
        list(pool.digest(names_of(tmp_path)))
        others = threading.Thread(target=keep_waiting, args=pool.process_ids())
        others.start()
        began = time.monotonic()
        try:
            ((_, result),) = pool.digest([slow])
            lasted = time.monotonic() - began
        finally:
            is_over.set()
            others.join()
    assert not result.problem.startswith("The decoder") and lasted > 0.6


def test_a_patient_caller_is_no_time_out(tmp_path: Path) -> None:
    with DecoderPool(1, Limits(seconds=0.4)) as pool:
        # The first process may take its time to start; what counts here is the pause after an answer.
        answers = pool.digest(names_of(tmp_path))
        first = next(answers)
        time.sleep(1.0)
        rest = list(answers)
    assert not any(result.problem for _, result in [first, *rest])


def test_a_process_with_little_time_left_is_not_taken_for_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it may have had no turn in so short a time."""
    worked = iter((9.99, 9.99, 9.99, 11.0))
    monkeypatch.setattr("catalog.media.decoder._worked_seconds", lambda pid: next(worked))
    decoder = object.__new__(Decoder)
    decoder.pid, decoder.deadline, decoder._allowed_seconds, decoder._final_deadline = 0, 110.0, 10.0, 900.0
    decoder._worked_before = decoder._worked_last = 0.0
    assert not decoder.is_overdue(110.0)
    assert not decoder.is_overdue(111.5)
    assert decoder.is_overdue(112.5)  # two seconds without any work
    decoder._worked_last, decoder.deadline = 0.0, 110.0
    assert not decoder.is_overdue(110.0) and decoder.is_overdue(112.5)  # beyond its time


def test_who_works_a_little_now_and_then_is_waited_for_as_long_as_the_caller_has_patience(tmp_path: Path) -> None:
    slow = job(tmp_path, "slow.jpg", b"before: trickle 60")
    with DecoderPool(1, Limits(seconds=0.5, timeouts=1, patience=3), worker_module=FAULTY) as pool:
        list(pool.digest(names_of(tmp_path)))
        began = time.monotonic()
        assert pool.preview(slow, edge_px=64).gave_up
        assert 1.0 < time.monotonic() - began < 30.0


@pytest.mark.parametrize("word", ["memory", "much memory"])
def test_too_much_memory_is_a_reason_and_no_crash(tmp_path: Path, word: str) -> None:
    culprit = job(tmp_path, "big.jpg", b"before: " + word.encode())
    with DecoderPool(1, worker_module=FAULTY) as pool:
        before = list(pool.digest([job(tmp_path, "a.jpg")]))
        pids = pool.process_ids()
        ((_, result),) = pool.digest([culprit])
        assert pool.process_ids() == pids and len(before) == 1
    assert result.problem == "The file needs more memory than a decoder may use."


@pytest.mark.parametrize("word", ["nonsense", "garbage"])
def test_a_lying_process_is_ended(tmp_path: Path, word: str) -> None:
    culprit = job(tmp_path, "lie.jpg", b"before: " + word.encode())
    with DecoderPool(1, worker_module=FAULTY) as pool:
        results = {answered.key: result for answered, result in pool.digest(names_of(tmp_path, culprit))}
    assert "answered nonsense" in results.pop("lie.jpg").problem
    assert len(results) == 12 and not any(result.problem for result in results.values())


def test_the_child_is_shut_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOLALA_SECRET_KEY", "hush")
    with DecoderPool(1, worker_module=FAULTY) as pool:
        ((_, result),) = pool.digest([job(tmp_path, "a.jpg", b"report: all")])
        (pid,) = pool.process_ids()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        status = Path(f"/proc/{pid}/status").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text()
        score = Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
    network, program, folder, names = result.notes
    assert (network, program, folder) == ("Operation not permitted",) * 3
    assert "hush" not in environment.decode() and "PHOTOLALA_SECRET_KEY" not in names
    assert score == "1000"
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert "Max core file size        0 " in limits and "Max file size             0 " in limits


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    openers = {
        "pipe": lambda: os.open(tmp_path / "pipe.jpg", os.O_RDONLY | os.O_NONBLOCK),
        "folder": lambda: os.open(tmp_path, os.O_RDONLY),
        "gone": lambda: os.open(tmp_path / "gone.jpg", os.O_RDONLY),
    }
    with DecoderPool(1) as pool:
        for verb in (pool.survey, pool.digest):
            results = {
                done.key: done_result.problem for done, done_result in verb(Job(k, k, o) for k, o in openers.items())
            }
            assert results == {
                "pipe": "Not an ordinary file.",
                "folder": "Not an ordinary file.",
                "gone": "The file could not be opened: No such file or directory.",
            }


def test_a_process_killed_from_outside_is_replaced(tmp_path: Path) -> None:
    with DecoderPool(1) as pool:
        assert len(list(pool.digest(names_of(tmp_path)))) == 12
        os.kill(pool.process_ids()[0], signal.SIGKILL)
        results = [result for _, result in pool.digest(names_of(tmp_path))]
    assert len(results) == 12 and not any(result.problem for result in results)


@pytest.mark.promise("S4-058")
def test_jobs_are_pulled_only_as_they_are_needed(tmp_path: Path) -> None:
    pulled: list[str] = []

    def claims() -> Iterator[Job]:
        for number in range(50):
            pulled.append(f"{number}.jpg")
            yield job(tmp_path, f"{number}.jpg")

    with DecoderPool(2) as pool:
        answers = pool.digest(claims())
        for count in range(1, 20):
            next(answers)
            assert len(pulled) <= count + 2 * 2 + 1
        answers.close()
        assert len(list(pool.survey([job(tmp_path, "a.jpg")]))) == 1


def test_no_descriptor_leaks(tmp_path: Path) -> None:
    with DecoderPool(2) as pool:
        list(pool.digest(names_of(tmp_path)))
        before = len(os.listdir("/proc/self/fd"))
        list(pool.survey(names_of(tmp_path)))
        list(pool.digest(names_of(tmp_path)))
        assert len(os.listdir("/proc/self/fd")) == before
        child = f"/proc/{pool.process_ids()[0]}/fd"
        # Three standard streams, the channel, its own memory's figures, and perhaps the file that it is about to close.
        assert len(os.listdir(child)) <= 6


def test_processes_are_replaced_after_their_share(tmp_path: Path) -> None:
    with DecoderPool(1, Limits(files_per_process=5)) as pool:
        seen = set()
        for _ in pool.digest(names_of(tmp_path) + names_of(tmp_path)):
            seen.update(pool.process_ids())
    # What a process holds already it finishes, so five can become six.
    assert 4 <= len(seen) <= 5


def test_two_loops_at_once_are_refused(tmp_path: Path) -> None:
    with DecoderPool(1) as pool:
        answers = pool.digest(names_of(tmp_path))
        next(answers)
        with pytest.raises(RuntimeError, match="at work already"):
            next(pool.digest([]))
        answers.close()


def test_previews_come_through_the_pool(tmp_path: Path) -> None:
    with DecoderPool(1) as pool:
        result = pool.preview(job(tmp_path, "a.jpg"), 32)
        missing = pool.preview(Job("x", "x", lambda: os.open(tmp_path / "gone", os.O_RDONLY)), 32)
    assert (result.width, result.height) == (32, 24) and result.picture
    assert missing.picture is None and "could not be opened" in missing.problem


@pytest.mark.parametrize(
    "wire",
    [
        [], {"width": "1"}, {"width": True}, {"width": 2**70}, {"aperture": float("inf")}, {"problem": "x" * 2000},
        {"caption": "\0"},
        {"caption": "\ud800"}, {"keywords": ["x"] * 1000}, {"keywords": [1]}, {"damaged": 1}, {"photo_md5": "no"}, {"strange": 1},
        {"thumbnail": "x"},
    ],
)  # fmt: skip
def test_answers_that_are_not_believed(wire: object) -> None:
    with pytest.raises(BadAnswer):
        apply_wire(DigestResult(), wire)


def test_messages_in_pieces_and_lies() -> None:
    message = encode({"a": 1}, b"blob")
    buffer = bytearray(message[:-1])
    assert take(buffer) is None
    buffer += message[-1:] + message
    assert take(buffer) == take(buffer) == ({"a": 1}, b"blob") and not buffer
    for bad in (b"\xff" * 8, (4).to_bytes(4, "big") + bytes(4) + b"nope", encode({})[:8].replace(b"\2", b"\2") + b"[]"):
        with pytest.raises(BadMessage):
            take(bytearray(bad))
