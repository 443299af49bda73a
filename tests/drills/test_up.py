"""`up` in real processes: a scan by the worker survives kill -9 of a child, of the worker and of everything, and Ctrl-C."""

import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.drills.scanning import Installation, contents, descendants, differences, kill
from tests.photos import make_jpeg, make_library

PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """`manage.py up` of an installation."""

    def __init__(self, installation: Installation, *words: str) -> None:
        self.installation = installation
        self.port = free_port()
        self.process = subprocess.Popen(
            installation.manage("up", "--port", str(self.port), *words),
            env={**installation.environment, "PHOTOLALA_DECODERS": "1", "PHOTOLALA_ADMIN": "alice:a-good-password-1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for_web(self) -> None:
        """Return when the site answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/health/live", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("The site does not answer.")

    def scan(self) -> tuple:
        """Return (state, token, worker, done in digest) of the scan."""
        return self.installation.ask(
            "SELECT state, token, worker, done, phase FROM operations_operation WHERE kind = 'scan'"
        ) or ("", 0, "", 0, "")

    def wait(self, condition) -> tuple:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"up ended: {self.process.stdout.read().decode()[-3000:]}")
            try:
                state = self.scan()
            except Exception:  # the database is not there yet
                state = ("", 0, "", 0, "")
            if condition(*state):
                return state
            time.sleep(0.02)
        raise AssertionError(f"It did not happen in {PATIENCE_SECONDS} s; the scan is {self.scan()}")

    def wait_until_digesting(self, after_token: int = 0) -> tuple:
        return self.wait(
            lambda state, token, worker, done, phase: (
                state == "running" and token > after_token and "thumbnails" in phase
            )
        )

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        return out.decode()


def pids_in(worker: str) -> tuple[int, int]:
    """Return the process id of the child that runs the scan, and its parent's."""
    _, child, parent = worker.split("|")
    return int(child.split(":")[0]), int(parent.split(":")[0])


@pytest.mark.slow
@pytest.mark.promise("S2-032", "S2-033", "S2-040", "S2-052")
def test_a_scan_by_the_worker_survives_every_kind_of_kill(tmp_path: Path) -> None:
    photos = make_library(tmp_path / "photos", 900, size=(900, 600))
    installation = Installation(tmp_path / "data", photos)
    running = Running(installation, "--photos", str(photos))

    _, token, worker, _, _ = running.wait_until_digesting()
    child, _ = pids_in(worker)
    kill(child)
    _, token, worker, _, _ = running.wait_until_digesting(after_token=token)

    _, parent = pids_in(worker)
    kill(parent)
    _, token, worker, _, _ = running.wait_until_digesting(after_token=token)

    for pid in [running.process.pid, *descendants(running.process.pid)]:
        kill(pid)
    running.process.communicate()
    assert running.scan()[0] == "running"  # nobody was left to write anything else

    running = Running(installation)
    running.wait_until_digesting(after_token=token)
    said = running.stop()
    assert running.process.returncode == 0, said
    assert running.scan()[0] == "pending"
    assert "Stopped." in said and "Traceback" not in said

    running = Running(installation)
    running.wait(lambda state, *_: state == "completed")
    running.stop()

    undisturbed = Installation(tmp_path / "other-data", photos)
    undisturbed.prepare()
    (library_id,) = installation.ask("SELECT id FROM catalog_library")
    give_library_id(undisturbed, library_id)
    for name in photos.glob(".photolala.*"):
        name.unlink()
    undisturbed.finish()
    assert differences(contents(undisturbed), contents(installation)) == []


def give_library_id(installation: Installation, library_id: str) -> None:
    """Let the library of an installation have another id."""
    with sqlite3.connect(installation.data / "photolala.sqlite3") as database:
        database.execute("UPDATE catalog_library SET id = ?", (library_id,))
    installation.library = library_id


def test_a_taken_port_a_missing_folder_and_a_second_start_get_one_sentence(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words, sentence in (
            (["--port", str(port)], f"Port {port} on 127.0.0.1 cannot be used"),
            (["--port", "http"], "PORT=http is no port"),
            (["--photos", str(tmp_path / "nowhere")], "there is no such folder"),
            (["--photos", __file__], "is a file; name the folder"),
        ):
            done = subprocess.run(
                installation.manage("up", *words),
                env=installation.environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 1 and sentence in done.stderr, (words, done.stderr)
            assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert os.path.isdir(installation.data)


@pytest.mark.slow
def test_a_file_that_appears_in_a_watched_folder_is_in_the_catalog_soon(tmp_path: Path) -> None:
    photos = make_library(tmp_path / "photos", 20)
    installation = Installation(tmp_path / "data", photos)
    running = Running(installation, "--photos", str(photos))
    try:
        running.wait(lambda state, *_: state == "completed")
        with sqlite3.connect(installation.data / "photolala.sqlite3", timeout=30) as database:
            database.execute("UPDATE catalog_library SET is_watched = 1")
        found, deadline = None, time.monotonic() + PATIENCE_SECONDS
        for number in itertools.count():  # nobody knows when it begins to watch: files go on appearing
            make_jpeg(photos / f"new {number}.jpg", seed=1000 + number)
            found = installation.ask("SELECT 1 FROM catalog_photo WHERE filename LIKE 'new %'")
            if found or time.monotonic() > deadline:
                break
            time.sleep(1.0)
        assert found
    finally:
        said = running.stop()
    assert running.process.returncode == 0, said
    assert "Traceback" not in said
