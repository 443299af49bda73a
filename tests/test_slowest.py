"""The check tells which tests took longest, over all of its runs."""

from pathlib import Path

from tests.slowest import _Clock, slowest


class Report:
    def __init__(self, nodeid: str, duration: float) -> None:
        self.nodeid, self.duration = nodeid, duration


def test_phases_and_runs_are_summed_up_and_the_ten_slowest_shown(tmp_path: Path) -> None:
    table = tmp_path / "seconds"
    for step, factor in (("on SQLite", 1), ("on PostgreSQL", 10)):
        clock = _Clock(table, step)
        for number in range(8):
            for share in (0.25, 0.5, 0.25):
                clock.pytest_runtest_logreport(Report(f"test_{number}", number * factor * share))
        clock.pytest_sessionfinish()
    lines = slowest(table.read_text())
    assert [line.split() for line in lines[:2]] == [
        ["70.0", "s", "test_7", "(on", "PostgreSQL)"],
        ["60.0", "s", "test_6", "(on", "PostgreSQL)"],
    ]
    assert len(lines) == 10
    assert lines[9].split() == ["5.0", "s", "test_5", "(on", "SQLite)"]
