"""Short versions of the random drills: a few hits on both databases."""

import subprocess
import sys

import pytest

from tests.drills.scanning import PROJECT


def drill(*words: str) -> None:
    """Run the drill in a process of its own, for it has its own settings, mounts and clock; fail with what it printed."""
    command = [sys.executable, "-m", "tests.drills.everything", "--seed", "test", *words]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert "0 points tried" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("operations", ["rating,import", "trash,filing"])
def test_what_people_want_while_workers_die_stands_in_file_and_catalog(operations: str) -> None:
    drill("--points", "2", "--databases", "sqlite", "--operations", operations, "--faults", "child,everything,decoder")


@pytest.mark.slow
@pytest.mark.servers
def test_the_same_on_postgresql_and_redis() -> None:
    drill("--points", "2", "--databases", "postgres", "--operations", "dates,export", "--faults", "child,everything")
