"""A worker whose acknowledgements failed, or whose broker was away, hears the next star without anybody's help."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.drills.failing import failing
from tests.drills.scanning import PROJECT, Installation
from tests.photos import make_library
from tests.servers.processes import free_port, running, wait_until_ready

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


def supervised_worker() -> list[str]:
    """The worker as `up` runs it: a Celery whose Redis goes while it has work in hand cannot but end."""
    command = [sys.executable, "-m", "celery", "-q", "-A", "photolala.celery", *WORKER]
    code = f"from photolala.lib.supervisor import *; Supervisor([Program('worker', {command!r})]).run()"
    return [sys.executable, "-u", "-c", code]


@contextmanager
def redis_at(port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Redis on `port`, empty and without a disk."""
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with running(command, folder / "redis.log") as process, Redis(port=port) as client:
        wait_until_ready(client.ping, process, folder / "redis.log")
        yield process


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


@pytest.mark.slow
def test_a_star_is_written_after_redis_was_away(tmp_path: Path) -> None:
    """Redis is killed, a star is given meanwhile, and it comes back empty: the schedule rings for what was lost."""
    port = free_port()
    broker = {"PHOTOLALA_BROKER": f"redis://127.0.0.1:{port}/0"}
    installation = Installation(tmp_path / "data", make_library(tmp_path / "photos", 3), extra=broker)
    installation.prepare()
    installation.finish()
    with (
        redis_at(port, tmp_path) as first,
        at_work(supervised_worker(), installation, tmp_path / "worker.log") as supervisor,
    ):
        shell(installation, RATE.format(stars=4))
        wait_until(lambda: stars_done(installation, 4), "the first star is in its file")
        first.kill()
        first.wait()
        shell(installation, RATE.format(stars=5))  # acknowledged, though nobody can be rung
        with redis_at(port, tmp_path):

            def rung_again() -> bool:
                shell(installation, SWEEPS.format(count=1))  # as the schedule does every 20 seconds
                return stars_done(installation, 5)

            wait_until(rung_again, "the second star is in its file")
    assert supervisor.returncode == -signal.SIGKILL  # it was there to the end
