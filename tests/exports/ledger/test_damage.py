"""Damage of a ledger's files: told with numbers and reasons, noted where it stays, and never a reason to wait for ever."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exports.ledger.damage import DAMAGE_NAME, dismiss_damage, kept_aside, read_damage
from exports.ledger.errors import LedgerError, LedgerFailed
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, view_ledger
from exports.ledger.lock import LOCK_NAME
from exports.ledger.store import Ledger, Place

PLACE = Place(2025, 2, "2025/02/")
NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)
BOM = b"\xef\xbb\xbf"


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder, now=lambda: NOW)


def export(folder: Path, *identifiers: str) -> None:
    with open_ledger(folder) as ledger:
        for identifier in identifiers:
            ledger.mark_exported(identifier, PLACE, f"{identifier}.JPG")


def test_an_older_snapshot_under_a_newer_log_is_noticed(tmp_path: Path) -> None:
    export(tmp_path, "a")
    older = (tmp_path / SNAPSHOT_NAME).read_bytes()
    export(tmp_path, *"bcdef")
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("g", PLACE, "g.JPG")
    ledger._release()
    assert view_ledger(tmp_path).report.problems == []
    (tmp_path / SNAPSHOT_NAME).write_bytes(older)
    report = view_ledger(tmp_path).report
    assert report.missing_numbers == 5
    [problem] = report.problems
    assert "5 changes are missing" in problem
    assert "starts at change 7" in problem
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["a", "g"]
    assert view_ledger(tmp_path).report.problems == []
    [noted] = read_damage(tmp_path)
    assert (noted.found_at, noted.missing_numbers, noted.problems) == ("2025-02-10T10:00:00Z", 5, [problem])


def test_what_was_found_stays_noted_after_the_repair_until_it_is_dismissed(tmp_path: Path) -> None:
    export(tmp_path, "a", "b")
    (tmp_path / SNAPSHOT_NAME).write_bytes(b"{")
    (tmp_path / LOG_NAME).write_bytes(b"garbage\nmore\n")
    export(tmp_path, "c")
    assert view_ledger(tmp_path).report.problems == []
    [noted] = read_damage(tmp_path)
    assert noted.bad_lines == 2
    assert "cannot be used" in noted.problems[0]
    assert ["Line 1 of" in problem for problem in noted.problems] == [False, True, False]
    assert kept_aside(tmp_path) == [f"{SNAPSHOT_NAME}.broken-20250210T100000Z", f"{LOG_NAME}.broken-20250210T100000Z"]
    assert dismiss_damage(tmp_path, NOW)
    assert read_damage(tmp_path) == []
    assert not dismiss_damage(tmp_path, NOW)
    [kept] = tmp_path.glob("export-records.damage-seen-*.jsonl")
    assert json.loads(kept.read_bytes())["bad_lines"] == 2


def test_the_same_damage_found_again_is_noted_once(tmp_path: Path) -> None:
    export(tmp_path, "a")
    for _ in range(3):
        (tmp_path / SNAPSHOT_NAME).write_bytes(b"{")
        open_ledger(tmp_path)._release()
    assert len(read_damage(tmp_path)) == 1
    (tmp_path / DAMAGE_NAME).write_bytes(b"\xff\n[]\n{}\n" + (tmp_path / DAMAGE_NAME).read_bytes())
    assert len(read_damage(tmp_path)) == 1  # what is no note is passed over


@pytest.mark.parametrize("name", [LOG_NAME, SNAPSHOT_NAME])
def test_a_byte_order_mark_costs_no_record(tmp_path: Path, name: str) -> None:
    export(tmp_path, "a", "b")
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("c", PLACE, "c.JPG")
    ledger._release()
    (tmp_path / name).write_bytes(BOM + (tmp_path / name).read_bytes())
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["a", "b", "c"]
        assert ledger.report.problems == []


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(("make", "what"), [(os.mkfifo, "pipe"), (make_folder, "folder"), (make_link, "link")])
@pytest.mark.parametrize("name", [LOG_NAME, SNAPSHOT_NAME, LOCK_NAME])
def test_what_is_no_file_is_refused_with_a_sentence_and_holds_nobody(
    tmp_path: Path, name: str, make: object, what: str
) -> None:
    export(tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != name}
    (tmp_path / name).unlink()
    make(tmp_path / name)  # type: ignore[operator]
    for read in (open_ledger, view_ledger) if name != LOCK_NAME else (open_ledger,):
        with pytest.raises(LedgerFailed, match=f"{name} is .*{what}.*not a file"):
            read(tmp_path)
    (tmp_path / name).rmdir() if what == "folder" else (tmp_path / name).unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_in_place_of_the_folder_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "ExportRecords").write_bytes(b"")
    for read in (open_ledger, view_ledger):
        with pytest.raises(LedgerError, match="ExportRecords"):
            read(tmp_path / "ExportRecords")


def test_a_link_in_place_of_the_folder_shows_and_changes_nothing_of_another_ledger(tmp_path: Path) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "ExportRecords"
    export(theirs, "a")
    (theirs / LOG_NAME).write_bytes(b"garbage\n")
    export(theirs, "b")
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    link.symlink_to(theirs)
    for read in (open_ledger, view_ledger):
        with pytest.raises(LedgerFailed, match="ExportRecords is a link, not a folder"):
            read(link)
    assert (read_damage(link), kept_aside(link)) == ([], [])
    with pytest.raises(OSError, match="is a link"):
        dismiss_damage(link, NOW)
    assert {path.name: path.read_bytes() for path in theirs.iterdir()} == before
