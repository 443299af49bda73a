"""Call the same function in many threads of real processes at one moment, over SQLite in a file or a PostgreSQL database."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.drills.scanning import Installation
from tests.installations import DATABASE, drop_database, server_of_the_run

FRAME = """
import json, sys, threading, time
from pathlib import Path
from django.db import connection
{setup}
barrier, answers = threading.Barrier({threads}), []
Path({ready!r}).touch()
while not Path({go!r}).exists():
    time.sleep(0.005)
def call(number):
    barrier.wait()
    try:
        answers.append(one(number))
    except Exception as error:
        answers.append(type(error).__name__ + ": " + str(error))
    finally:
        connection.close()
threads = [threading.Thread(target=call, args=(number,)) for number in range({threads})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(answers))
"""


@contextmanager
def installation_in(folder: Path) -> Iterator[Installation]:
    """A prepared installation with the user alice and one library; on PostgreSQL if the tests run there."""
    (folder / "photos").mkdir()
    made = Installation(folder / "data", folder / "photos")
    made.prepare(server_of_the_run())
    try:
        yield made
    finally:
        if DATABASE in made.extra:
            drop_database(made.extra[DATABASE])


def at_once(made: Installation, setup: str, threads: int, processes: int = 1) -> list[Any]:
    """Call `one(number)`, which `setup` defines, in `threads` threads of each of `processes`; return all answers."""
    go = made.data / f"go-{uuid.uuid4()}"
    running = []
    for number in range(processes):
        code = FRAME.format(setup=setup, threads=threads, ready=f"{go}.{number}", go=str(go))
        running.append(
            subprocess.Popen(
                made.manage("shell", "-v0", "-c", code),
                env=made.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    while not all(Path(f"{go}.{number}").exists() for number in range(processes)):
        assert all(one.poll() is None for one in running), running[0].communicate()
    go.touch()
    answers: list[Any] = []
    for one in running:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err.decode()[-3000:]
        answers += json.loads(out.splitlines()[-1])
    return answers
