"""A Celery application as small as can be, whose tasks log what happens to them; TINY_FOLDER names the folder."""

import os
import signal
import time
from pathlib import Path

from celery import Celery

from photolala.broker import broker_url

FOLDER = Path(os.environ["TINY_FOLDER"])

app = Celery("tiny", broker=broker_url(str(FOLDER / "broker.sqlite3")))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_lost_wait=0.5,  # seconds
    worker_prefetch_multiplier=int(os.environ.get("TINY_PREFETCH", "1")),
    broker_connection_retry_on_startup=True,
)


def _log(*words: object) -> None:
    line = " ".join(map(str, words)) + "\n"
    with open(FOLDER / "log", "ab", buffering=0) as file:
        file.write(line.encode())


@app.task(name="note")
def note(name: str) -> None:
    """Log the name."""
    _log("note", name)


@app.task(name="wait")
def wait(name: str) -> None:
    """Log the start with the PID, wait until the file `go` exists, log the end."""
    _log("start", name, os.getpid())
    while not (FOLDER / "go").exists():
        time.sleep(0.05)
    _log("end", name)


@app.task(name="die")
def die(name: str) -> None:
    """Log the name and kill this process, as a decoder does that crashes on a file."""
    _log("die", name)
    os.kill(os.getpid(), signal.SIGKILL)
