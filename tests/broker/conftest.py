"""Real Celery workers on a broker file in a fresh folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from photolala.broker import broker_url
from photolala.broker.store import MessageStore

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 40.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds; fail, saying `what` did not come, when it never does."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"This never happened: {what}.")


class Tiny:
    """The tiny application seen from outside: its broker, its log, its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "broker.sqlite3"
        self.app = Celery("asker", broker=broker_url(str(self.path)))
        self.store = MessageStore(self.path)
        self.processes: list[subprocess.Popen] = []

    def send(self, task: str, name: str, **options: object) -> None:
        self.app.send_task(task, args=[name], **options)

    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def pid_of(self, name: str, nth: int = 0) -> int:
        """Return the PID of the process that began `name` for the nth time, waiting for it."""
        wait_until(lambda: len(self.starts(name)) > nth, f"start {nth} of {name}")
        return int(self.starts(name)[nth].split()[2])

    def starts(self, name: str) -> list[str]:
        return [line for line in self.log() if line.startswith(f"start {name} ")]

    def children(self, worker: subprocess.Popen) -> list[int]:
        """Return the PIDs of the worker's processes that live now."""
        text = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
        states = {int(pid): Path(f"/proc/{pid}/stat") for pid in text.split()}
        return [
            pid for pid, stat in states.items() if stat.exists() and stat.read_text().split(")")[-1].split()[0] != "Z"
        ]

    def go(self) -> None:
        (self.folder / "go").touch()

    def start_worker(self, concurrency: int = 1, prefetch: int = 1, name: str = "one") -> subprocess.Popen:
        """Start a worker and wait until it is ready."""
        output = self.folder / f"worker-{len(self.processes)}.txt"
        environment = os.environ | {"TINY_FOLDER": str(self.folder), "TINY_PREFETCH": str(prefetch)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)  # else Celery would load the site and its logging
        arguments = ["worker", "-c", str(concurrency), "-l", "INFO", "-n", f"{name}@here", "--without-mingle"]
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "tests.broker.tiny_app", *arguments],
                cwd=REPOSITORY, env=environment, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        wait_until(lambda: b" ready." in output.read_bytes() or process.poll() is not None, "a worker is ready")
        assert process.poll() is None, output.read_text()
        return process

    def close(self) -> None:
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # the whole group has ended
                continue
            finally:
                process.wait()
        self.app.close()
        self.store.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    tiny = Tiny(tmp_path)
    yield tiny
    tiny.close()
