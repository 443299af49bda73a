"""A worker whose acknowledgements failed, or whose broker was away, hears the next star without anybody's help."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drills.failing import failing
from tests.drills.scanning import PROJECT, Installation
from tests.photos import make_library

PATIENCE_SECONDS = 60
WORKER = ("worker", "-Q", "files,scan,export,sync", "-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle")
ACKNOWLEDGE = "photolala.broker.store:MessageStore._change_taken"
RATE = (
    "from catalog import ratings; from catalog.models import Photo; from accounts.models import User; "
    "ratings.set_rating(User.objects.get(), Photo.objects.order_by('pk').first().pk, {stars})"
)
SWEEPS = "from operations.tasks import sweep\nfor _ in range({count}): sweep.apply_async(queue='files')"


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"This never happened: {what}.")


@contextmanager
def at_work(command: list[str], installation: Installation, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process group of its own, ended with the block."""
    environment = {**installation.environment, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def shell(installation: Installation, code: str) -> None:
    subprocess.run(
        installation.manage("shell", "-v0", "-c", code), env=installation.environment, check=True, capture_output=True
    )


def stars_done(installation: Installation, stars: int) -> bool:
    found = installation.ask(
        f"SELECT 1 FROM catalog_filewrite WHERE state = 'done' AND json_extract(wanted, '$.rating') = {stars}"
    )
    return found is not None


@pytest.fixture
def scanned(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path / "data", make_library(tmp_path / "photos", 3))
    installation.prepare()
    installation.finish()
    return installation


@pytest.mark.slow
def test_a_star_is_written_after_acknowledgements_that_failed(scanned: Installation, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with at_work(failing(ACKNOWLEDGE, 1, 4, *WORKER), scanned, log) as worker:
        shell(scanned, SWEEPS.format(count=4))
        wait_until(lambda: "failed 4" in log.read_text(), "four acknowledgements failed")
        shell(scanned, RATE.format(stars=4))
        wait_until(lambda: stars_done(scanned, 4), "the star is in its file")
        assert worker.poll() is None
