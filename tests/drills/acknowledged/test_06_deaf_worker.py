"""A worker whose acknowledgements failed, or whose broker was away, hears the next star without anybody's help."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.drills.acknowledged.workers import (
    RATE,
    SWEEPS,
    WORKER,
    at_work,
    shell,
    stars_done,
    supervised_worker,
    wait_until,
)
from tests.drills.failing import failing
from tests.drills.scanning import Installation
from tests.photos import make_library
from tests.servers.processes import free_port, running, wait_until_ready

ACKNOWLEDGE = "photolala.broker.store:MessageStore._change_taken"


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
