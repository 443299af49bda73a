"""Run a management command in a process that stops at one very step: killed, or frozen as by SIGSTOP.

    python -m tests.drills.stopping catalog.files.landing:Landing._tell before kill 1 -- writes run --library ID

The step is a function or method by its dotted name; the process stops right `before` or right `after` its n-th call. It
loads Django as `manage.py` does, so settings come from the environment.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def stopping(step: str, when: str, how: str, number: int, *words: str) -> list[str]:
    """Return the command line that runs `manage.py WORDS` and stops at the step."""
    return [sys.executable, "-m", "tests.drills.stopping", step, when, how, str(number), "--", *words]


def stop_at(step: str, when: str, how: str, number: int) -> None:
    """Replace the function that `step` names by one that stops this process at its n-th call."""
    module_name, _, path = step.partition(":")
    owner: Any = importlib.import_module(module_name)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def stopped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_it = calls == number
        if is_it and when == "before":
            os.kill(os.getpid(), SIGNALS[how])
        result = original(*arguments, **named)
        if is_it and when == "after":
            os.kill(os.getpid(), SIGNALS[how])
        return result

    setattr(owner, name, stopped)


def main() -> None:
    """Set up Django, replace the step, run the command."""
    step, when, how, number, _, *words = sys.argv[1:]
    os.chdir(PROJECT)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
    import django
    from django.core.management import execute_from_command_line

    import photolala.celery  # noqa: F401

    django.setup()
    stop_at(step, when, how, int(number))
    execute_from_command_line(["manage.py", *words])


if __name__ == "__main__":
    main()
