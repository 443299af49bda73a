"""Run a management command, or a Celery worker, in a process in which one step fails a few times as a disk does.

    python -m tests.drills.failing photolala.broker.store:MessageStore._change_taken 1 3 -- worker -Q files

The step is a function or method by its dotted name; its calls from the first to the last number raise what SQLite raises
when the system refuses to write (EIO). `worker` stands for `celery worker`; all else is a command of `manage.py`.
"""

import functools
import importlib
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


def failing(step: str, first: int, last: int, *words: str) -> list[str]:
    """Return the command line that runs WORDS while the step fails from its call `first` to its call `last`."""
    return [sys.executable, "-m", "tests.drills.failing", step, str(first), str(last), "--", *words]


def fail_at(step: str, first: int, last: int) -> None:
    """Replace the function that `step` names by one that raises sqlite3.OperationalError at these calls."""
    module_name, _, path = step.partition(":")
    owner: Any = importlib.import_module(module_name)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def failed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if first <= calls <= last:
            print(f"failed {calls}", flush=True)
            raise sqlite3.OperationalError("disk I/O error")
        return original(*arguments, **named)

    setattr(owner, name, failed)


def main() -> None:
    """Replace the step, run the command."""
    step, first, last, _, *words = sys.argv[1:]
    os.chdir(PROJECT)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
    import django
    from django.core.management import execute_from_command_line

    from photolala.celery import app

    django.setup()
    fail_at(step, int(first), int(last))
    if words[0] == "worker":
        app.worker_main(words)
    else:
        execute_from_command_line(["manage.py", *words])


if __name__ == "__main__":
    main()
