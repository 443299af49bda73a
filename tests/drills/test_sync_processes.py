"""Processes that synchronise and are killed or frozen in the middle: a few histories and freezes, on the database of the run.

Many more by hand: `python -m tests.sync.histories --kills` and `python -m tests.sync.freezes`.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.installations import PROJECT, server_of_the_run

pytestmark = [pytest.mark.slow, pytest.mark.repeated]


def said_by(*words: str) -> dict[str, Any]:
    """Run a module in a process of its own, and return what it printed."""
    server_of_the_run()
    done = subprocess.run([sys.executable, "-m", *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-10_000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_devices_and_servers_that_are_killed_lose_nothing_and_converge() -> None:
    said = said_by("tests.sync.histories", "--kills", "--histories", "3", "--seed", "5")
    assert said["histories"] == 3 and said["kills"] >= 1


def test_a_push_that_was_frozen_and_wakes_writes_nothing_stale() -> None:
    said = said_by("tests.sync.freezes", "--runs", "6", "--seed", "1")
    assert (said["runs"], said["stale"]) == (6, 0) and said["frozen"] >= 3
