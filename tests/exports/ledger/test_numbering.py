"""Running numbers go on above every number that a ledger ever gave, whatever became of its files."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, view_ledger
from exports.ledger.lock import LOCK_NAME
from exports.ledger.store import Ledger, Place

PLACE = Place(2025, 2, "2025/02/")
NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)
BROKEN = {
    "cut": lambda body: body[:-9],
    "without its record with the number": lambda body: body.replace(b'"month":2', b'"month":13', 1),
    "nothing of it left": lambda body: b"\0" * len(body),
    "gone": None,
}


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder, now=lambda: NOW)


def export(folder: Path, *identifiers: str) -> None:
    with open_ledger(folder) as ledger:
        for identifier in identifiers:
            ledger.mark_exported(identifier, PLACE, f"{identifier}.JPG")


def first_number(folder: Path) -> int:
    return int(json.loads((folder / LOG_NAME).read_bytes().splitlines()[0])["n"])


def lose_the_mark(folder: Path, how: str) -> None:
    if how == "torn":
        (folder / LOCK_NAME).write_bytes(b"%016d %016d\n" % (9, 3))
    elif how == "gone":
        (folder / LOCK_NAME).unlink()


@pytest.mark.parametrize("how", BROKEN)
def test_a_snapshot_that_is_put_back_hides_nothing_that_was_exported_without_it(tmp_path: Path, how: str) -> None:
    export(tmp_path, *"abcde")
    path = tmp_path / SNAPSHOT_NAME
    whole, spoil = path.read_bytes(), BROKEN[how]
    path.unlink() if spoil is None else path.write_bytes(spoil(whole))
    ledger = open_ledger(tmp_path)
    ledger._release()  # killed before anything else was written: the broken file has another name by now
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("f", PLACE, "f.JPG")
    ledger._release()
    assert first_number(tmp_path) == 6
    path.write_bytes(whole)
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == [*"abcdef"]
        assert ledger.report.missing_numbers == 0


@pytest.mark.parametrize("mark", ["torn", "gone"])
@pytest.mark.parametrize("how", ["cut", "without its record with the number"])
def test_without_the_mark_the_broken_snapshot_itself_tells_the_number(tmp_path: Path, how: str, mark: str) -> None:
    export(tmp_path, *"abcde")
    path = tmp_path / SNAPSHOT_NAME
    whole, spoil = path.read_bytes(), BROKEN[how]
    assert spoil is not None
    path.write_bytes(spoil(whole))
    lose_the_mark(tmp_path, mark)
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("f", PLACE, "f.JPG")
    ledger._release()
    assert first_number(tmp_path) == 6


def test_the_number_of_a_bad_line_is_not_given_again(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for identifier in "abc":
        ledger.mark_exported(identifier, PLACE, f"{identifier}.JPG")
    ledger._release()
    path = tmp_path / LOG_NAME
    path.write_bytes(path.read_bytes().replace(b'"c.JPG"', b'"X.JPG"'))  # its checksum fits no more
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("d", PLACE, "d.JPG")
    ledger._release()
    assert first_number(tmp_path) == 4


@pytest.mark.parametrize("mark", [b"9007199254740992 9007199254740992\n", b"9" * 4300, b"-5\n", b"\xff"])
def test_a_mark_that_somebody_else_wrote_does_no_harm(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / LOCK_NAME).write_bytes(mark)
    export(tmp_path, "a", "b")
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("c", PLACE, "c.JPG")
    ledger._release()
    assert first_number(tmp_path) == 3
    assert view_ledger(tmp_path).report.problems == []
