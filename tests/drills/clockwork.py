"""Run a management command, or a Celery worker, in a process whose wall clock is ahead (or behind) by so many seconds.

    python -m tests.drills.clockwork 31536000 -- shell -c ...

The boot clock and the monotonic clock stay what they are, as when somebody sets the wall clock. `worker` and `beat` stand for
Celery's; all else is a command of `manage.py`.
"""

import os
import sys
import time
from pathlib import Path

import time_machine

PROJECT = Path(__file__).resolve().parents[2]


def at_another_time(seconds: float, *words: str) -> list[str]:
    """Return the command line that runs WORDS with the wall clock set by `seconds`."""
    return [sys.executable, "-m", "tests.drills.clockwork", str(seconds), "--", *words]


def main() -> None:
    """Set the clock, run the command."""
    seconds, _, *words = sys.argv[1:]
    os.chdir(PROJECT)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
    time_machine.travel(time.time() + float(seconds), tick=True).start()
    from django.core.management import execute_from_command_line

    from photolala.celery import app

    if words[0] == "worker":
        app.worker_main(words)
    elif words[0] == "beat":
        app.start(words)
    else:
        execute_from_command_line(["manage.py", *words])


if __name__ == "__main__":
    main()
