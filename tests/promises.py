"""Which promises of the acceptance list are proven: a pytest plugin that records them, a command that lists the rest.

A test names the rows it proves: `@pytest.mark.promise("S4-013")`. Each run adds the rows of its passed tests to
`.promises.json`, so that several runs (SQLite, PostgreSQL) sum up. Then `python -m tests.promises ACCEPTANCE.md` tells
which rows no passing test names, and which names no row has. Rows that no test can name stand at the list's end, with the
reason.
"""

import argparse
import fcntl
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

RECORD_NAME = ".promises.json"
PROMISE_ID = re.compile(r"(?:S[0-4]-[UX]?\d{2,3}|X-\d{2})")
ROW = re.compile(r"^\|\s*(?P<id>(?:S[0-4]-[UX]?\d{2,3}|X-\d{2}))\s*\|(?P<cells>.*)\|\s*$", re.MULTILINE)
UNNAMED = "# Rows that no test names"
"""The heading of the list's last part: a table whose first cells hold ids, each row with its reason."""
_IDS_KEY = "promises"

Record = dict[str, list[str]]


# The plugin


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse malformed ids; leave each test's ids where its report, even from another process, carries them along."""
    for item in items:
        ids = [promise for marker in item.iter_markers("promise") for promise in marker.args]
        for promise in ids:
            if not isinstance(promise, str) or not PROMISE_ID.fullmatch(promise):
                raise pytest.UsageError(
                    f"{item.nodeid} names the promise {promise!r}; ids look like S4-013, S1-U07 or X-03."
                )
        if ids:
            item.user_properties.append((_IDS_KEY, sorted(set(ids))))


class _Recorder:
    """Collects the promises of passed tests in the process that sees all reports, and writes them at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: dict[str, list[str]] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of one test: only a test whose every phase passed proves anything."""
        ids = dict(report.user_properties).get(_IDS_KEY)
        if report.failed:
            self.failed.add(report.nodeid)
        elif ids and report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.passed[report.nodeid] = list(ids)

    def pytest_sessionfinish(self) -> None:
        """Merge what this run proved into the record; a test that failed now no longer proves what it proved before."""
        proven = {test: ids for test, ids in self.passed.items() if test not in self.failed}
        if proven or self.failed:
            merge_record(self.path, proven, self.failed)


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that sees all reports: not in the workers of a parallel run."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(_Recorder(config.rootpath / RECORD_NAME), "promise-recorder")


def merge_record(path: Path, proven: Record, failed: Iterable[str] = ()) -> None:
    """Add `proven` (test -> promise ids) to the record at `path` and take the `failed` out; safe beside other runs."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = read_record(path)
        record.update(proven)
        for test in failed:
            record.pop(test, None)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        aside.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        aside.replace(path)


def read_record(path: Path) -> Record:
    """Return the record at `path` (test -> promise ids); empty if there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


# The command


def read_rows(text: str) -> dict[str, str]:
    """Return the rows of an acceptance list in Markdown: id -> requirement (the last cell)."""
    rows = text.partition(UNNAMED)[0]
    return {match["id"]: match["cells"].rsplit(" | ", 1)[-1].strip() for match in ROW.finditer(rows)}


def read_explained(text: str) -> set[str]:
    """Return the ids for which the list says why no test names them."""
    lines = text.partition(UNNAMED)[2].splitlines()
    return {promise for line in lines if line.startswith("|") for promise in PROMISE_ID.findall(line.split("|")[1])}


def main(arguments: list[str] | None = None) -> int:
    """Print the rows that no passing test names and the list does not explain; return 1 if it and the tests disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.promises", description=main.__doc__)
    parser.add_argument("acceptance", type=Path, help="the acceptance list, a Markdown file")
    parser.add_argument("--spec", help="only rows whose id begins so, for example S4")
    parser.add_argument("--record", type=Path, default=Path(RECORD_NAME), help="what the runs recorded")
    options = parser.parse_args(arguments)
    text = options.acceptance.read_text()
    all_rows, explained = read_rows(text), read_explained(text)
    if not all_rows:
        print(f"No rows were found in {options.acceptance}.", file=sys.stderr)
        return 2
    proven = {promise for ids in read_record(options.record).values() for promise in ids}
    rows = {row: text for row, text in all_rows.items() if row.startswith(options.spec or "")}
    unproven = {row: text for row, text in rows.items() if row not in proven}
    open_rows = {row: text for row, text in unproven.items() if row not in explained}
    for row, text in open_rows.items():
        print(f"{row:8} {text}")
    unknown = sorted((proven | explained) - all_rows.keys())
    if unknown:
        print(f"Named by tests or explained, but no row of the list: {', '.join(unknown)}")
    both = sorted(proven & explained)
    if both:
        print(f"Explained as named by no test, but named by one: {', '.join(both)}")
    print(
        f"{len(rows) - len(unproven)} of {len(rows)} promises are proven by passing tests; "
        f"of {len(unproven) - len(open_rows)} the list says why no test names them."
    )
    return 1 if unknown or both else 0


if __name__ == "__main__":
    sys.exit(main())
