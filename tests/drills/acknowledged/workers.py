"""Real workers of an installation, stars given to its first photo, and what became of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.scanning import PROJECT, Installation

PATIENCE_SECONDS = 60
WORKER = ("worker", "-Q", "files,scan,export,sync", "-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle")
RATE = (
    "from catalog.edits import ratings; from catalog.models import Photo; from accounts.models import User; "
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
