"""How long each test took: a pytest plugin that adds to a table, so that several runs sum up; a command that prints the top.

A run writes if the environment variable TEST_SECONDS names the table; TEST_STEP is what the run is called in it.
`python -m tests.slowest TABLE` prints the ten slowest tests of all runs.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

SHOWN = 10


class _Clock:
    """Sums up set-up, call and end of each test, in the process that sees all reports."""

    def __init__(self, table: Path, step: str) -> None:
        self.table, self.step = table, step
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of one test."""
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Append a line for each test: seconds, the run's name, the test's."""
        with self.table.open("a") as table:
            table.writelines(f"{seconds:.2f}\t{self.step}\t{test}\n" for test, seconds in self.seconds.items())


def pytest_configure(config: pytest.Config) -> None:
    """Measure in the process that sees all reports: not in the workers of a parallel run."""
    table = os.environ.get("TEST_SECONDS")
    if table and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Clock(Path(table), os.environ.get("TEST_STEP", "")), "clock-of-tests")


def slowest(table: str) -> list[str]:
    """Return the slowest tests of a table, a line each, the slowest first."""
    rows = [line.split("\t") for line in table.splitlines()]
    rows.sort(key=lambda row: -float(row[0]))
    return [f"{float(seconds):7.1f} s  {test}  ({step})" for seconds, step, test in rows[:SHOWN]]


if __name__ == "__main__":
    print("\n".join(slowest(Path(sys.argv[1]).read_text())))
