"""The record of proven promises, over the plugin in a run of its own and the command."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises import PROMISE_ID, UNNAMED, main, merge_record, read_explained, read_rows

REPOSITORY = Path(__file__).resolve().parents[1]
TESTS = """
import pytest
@pytest.mark.promise("S0-001", "S0-002")
def test_passes(): pass
@pytest.mark.promise("S0-003")
def test_fails(): raise ValueError
@pytest.mark.promise("S0-004")
@pytest.mark.xfail
def test_expected_to_fail(): raise ValueError
@pytest.mark.promise("S0-005")
@pytest.mark.skip
def test_skipped(): pass
@pytest.fixture
def broken():
    yield
    raise ValueError
@pytest.mark.promise("S0-006")
def test_breaks_at_its_end(broken): pass
"""
LIST = "\n".join(
    ["| id | kind | requirement |", "|---|---|---|", "| S0-001 | B | One | two. |", "| S1-X02 | E | Other. |"]
)


def run_pytest(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess:
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = promise(*ids): rows\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.promises",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(
        [*command, f"--rootdir={folder}", "-c", "pytest.ini", *options, "test_it.py"],
        cwd=folder, env={"PYTHONPATH": str(REPOSITORY), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "parallel"])
def test_only_passed_tests_prove(tmp_path: Path, options: tuple[str, ...]) -> None:
    merge_record(tmp_path / ".promises.json", {"other.py::test": ["S4-001"], "test_it.py::test_fails": ["S0-003"]})
    result = run_pytest(tmp_path, TESTS, *options)
    assert "2 passed" in result.stdout, result.stdout + result.stderr
    record = json.loads((tmp_path / ".promises.json").read_text())
    assert record == {"other.py::test": ["S4-001"], "test_it.py::test_passes": ["S0-001", "S0-002"]}


def test_a_malformed_id_stops_the_run(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, TESTS.replace("S0-003", "S9-3"))
    assert result.returncode == 4
    assert "names the promise 'S9-3'" in result.stdout + result.stderr
    assert not (tmp_path / ".promises.json").exists()


def test_the_command_lists_open_rows_and_unknown_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acceptance, record = tmp_path / "acceptance.md", tmp_path / "record.json"
    acceptance.write_text(LIST)
    merge_record(record, {"a": ["S0-001"]})
    assert main([str(acceptance), "--record", str(record)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "S1-X02   Other.",
        "1 of 2 promises are proven by passing tests; of 0 the list says why no test names them.",
    ]
    merge_record(record, {"b": ["S4-999"]})
    assert main([str(acceptance), "--record", str(record), "--spec", "S0"]) == 1
    assert "no row of the list: S4-999" in capsys.readouterr().out


def test_rows_that_no_test_can_name_are_explained_and_not_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acceptance, record = tmp_path / "acceptance.md", tmp_path / "record.json"
    acceptance.write_text(f"{LIST}\n{UNNAMED}\n\n| rows | why |\n|---|---|\n| S1-X02 | A stance (see S0-001). |\n")
    merge_record(record, {"a": ["S0-001"]})
    assert main([str(acceptance), "--record", str(record)]) == 0
    proven = "1 of 2 promises are proven by passing tests; of 1 the list says why no test names them."
    assert capsys.readouterr().out.splitlines() == [proven]
    merge_record(record, {"b": ["S1-X02"]})
    assert main([str(acceptance), "--record", str(record)]) == 1
    assert "Explained as named by no test, but named by one: S1-X02" in capsys.readouterr().out


def test_each_row_of_the_list_is_named_by_a_test_or_explained_and_no_row_is_both() -> None:
    named: set[str] = set()
    for file in (REPOSITORY / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "promise":
                named |= {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
    text = (REPOSITORY / "docs/acceptance.md").read_text()
    rows, explained = set(read_rows(text)), read_explained(text)
    assert len(rows) > 500 and all(PROMISE_ID.fullmatch(row) for row in named)
    assert sorted((named | explained) - rows) == []
    assert sorted(named & explained) == []
    assert sorted(rows - named - explained) == []
