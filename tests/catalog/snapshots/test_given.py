"""Marks of what people gave: older readers find the tables that they know, and nonsense marks nothing."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from catalog.snapshots.given import END, PREFIX, Given, Marked, given_row, marked_row, read_mark
from catalog.snapshots.read import open_snapshot
from catalog.snapshots.schema import TABLES, SnapshotHeader
from catalog.snapshots.write import write_snapshot
from tests.catalog.snapshots.test_write_and_read import ENTRIES, METADATA, md5

LIBRARY = "0b0f1f6a-5b1e-4f0e-8f0e-1d2c3b4a5968"
MARKS = [
    Given("5f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10", True, 4),
    Given("6f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10", True, None, True),
    Given("7f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10", False, None, True),
]


def written_to(folder: Path, marks: list[tuple[str, str]]):
    return write_snapshot(folder, SnapshotHeader(LIBRARY), ENTRIES, METADATA, marks=marks)


def test_marks_come_back_and_are_no_metadata(tmp_path: Path) -> None:
    rows = [marked_row(Marked(LIBRARY, "database")), *map(given_row, MARKS)]
    with written_to(tmp_path, rows) as written, open_snapshot(written.path, written.md5) as snapshot:
        assert sorted(snapshot.given()) == sorted(MARKS)
        assert snapshot.marked() == Marked(LIBRARY, "database")
        assert list(snapshot.metadata()) == sorted(METADATA)
        with written_to(tmp_path, rows[::-1]) as again:
            assert again.md5 == written.md5


def test_older_readers_find_what_they_know(tmp_path: Path) -> None:
    """They refuse other tables, other columns, and keys that are no MD5; a body under a key of no photo they pass over."""
    with written_to(tmp_path, [given_row(one) for one in MARKS]) as written:
        with closing(sqlite3.connect(written.path)) as connection:
            assert dict(connection.execute("SELECT name, sql FROM sqlite_schema")) == TABLES
            assert connection.execute("SELECT schema_version FROM version").fetchone() == (1,)
            keys = {key for (key,) in connection.execute("SELECT photo_md5 FROM metadata")}
        content = {entry.photo_md5 for entry in ENTRIES}
        marks = {key for key in keys if PREFIX <= key < END}
        assert len(marks) == len(MARKS) and not marks & content
        assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)


def test_a_snapshot_of_before_says_that_it_marks_nothing(tmp_path: Path) -> None:
    with written_to(tmp_path, []) as written, open_snapshot(written.path, written.md5) as snapshot:
        assert snapshot.marked() is None and list(snapshot.given()) == []


@pytest.mark.parametrize(
    "told",
    [
        "no JSON",
        "[]",
        "{}",
        '{"given":4,"photoID":"x"}',
        '{"given":{"rating":4}}',
        "[" * 100_000,
    ],
)
def test_what_marks_nothing_is_metadata_like_any_other(told: str) -> None:
    assert read_mark(PREFIX + md5(1)[8:], told) is None


@pytest.mark.parametrize("rating", [6, -1, True, "4", 4.0])
def test_stars_that_nobody_can_give_are_not_taken(rating: object) -> None:
    body = json.dumps({"given": {"rating": rating, "taken": 1}, "photoID": "x"})
    assert read_mark(PREFIX + md5(1)[8:], body) == Given("x")


def test_what_a_file_says_is_never_a_mark() -> None:
    key, body = given_row(MARKS[0])
    assert read_mark(key, body) == MARKS[0]
    assert read_mark(md5(7), body) is None
