"""Damage of a ledger's files: told with numbers and reasons, noted where it stays, and never a reason to wait for ever."""

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exports.ledger import store
from exports.ledger.damage import (
    DAMAGE_NAME,
    FoundDamage,
    dismiss_damage,
    kept_aside,
    note_damage,
    read_damage,
)
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


def upsert(identifier: str, **changes: object) -> dict[str, Any]:
    record = {"id": identifier, "year": 2025, "month": 2, "relPath": "2025/02/", "filename": "A.JPG", "status": "done"}
    return {"op": "upsert", "id": identifier, "record": record | changes}


def line(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode() + b"\n"


HOSTILE = {
    "a lone surrogate in a key of others": line(upsert("X", other="\ud800")),
    "a number without end in a key of others": line(upsert("X", other=0)).replace(b'"other": 0', b'"other": 1e999'),
    "the same in variants": line(upsert("X", variants={"original": {"other": "\udfff"}})),
    "a number without end under a checksum": line(upsert("X") | {"crc": "0" * 8, "other": 0}).replace(
        b'"other": 0', b'"other": 1e999'
    ),
    "a running number of thousands of digits": line(upsert("X") | {"n": 0}).replace(b'"n": 0', b'"n": ' + b"9" * 4300),
    "brackets as a date": line(upsert("X", exportDate=0)).replace(b" 0}", b"[" * 900 + b"]" * 900 + b"}"),
    "brackets in a key of others": line(upsert("X", other=0)).replace(b" 0}", b"[" * 780 + b"]" * 780 + b"}"),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", [LOG_NAME, SNAPSHOT_NAME])
def test_what_cannot_be_written_again_is_one_bad_line_and_stops_nothing(
    tmp_path: Path, hostile: bytes, name: str
) -> None:
    whole = line(upsert("A"))
    if name == LOG_NAME:
        (tmp_path / LOG_NAME).write_bytes(whole + b"garbage\n" + hostile)
    else:
        records = [(each[each.index(b'"record": ') + 10 : each.rindex(b"}")]) for each in (whole, hostile)]
        if b'"n"' in hostile or b'"crc"' in hostile:  # stands in the record itself there
            records[1] = b'{"n": ' + b"9" * 4300 + b", " + records[1].split(b"}")[0][1:] + b"}"
        (tmp_path / SNAPSHOT_NAME).write_bytes(b'{"A": ' + records[0] + b', "X": ' + records[1] + b"}")
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["A"]
        ledger.mark_exported("B", PLACE, "B.JPG")
        ledger.compact()
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["A", "B"]
        assert ledger.report.problems == []


def test_numbers_of_damage_do_not_make_those_of_later_changes_too_large(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_bytes(line(upsert("A") | {"n": 1 << 53}))
    with open_ledger(tmp_path) as ledger:
        ledger.mark_exported("B", PLACE, "B.JPG")
        ledger._release()
    [mutation] = (tmp_path / LOG_NAME).read_bytes().splitlines()
    assert json.loads(mutation)["n"] == 1
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["A", "B"]


def test_what_is_said_and_kept_of_bad_lines_is_bounded(tmp_path: Path) -> None:
    long = line(upsert("X", status="\\" * 100_000))
    (tmp_path / LOG_NAME).write_bytes(long * 2 + line(upsert("A" * 1000, filename="é" * 600)) + b"garbage\n" * 200)
    loaded = view_ledger(tmp_path)
    assert (loaded.report.bad_lines, len(loaded.log.bad_lines), len(loaded.report.problems)) == (203, 100, 101)
    assert max(map(len, loaded.report.problems)) < 500
    assert "103 more records or lines" in loaded.report.problems[-1]
    (tmp_path / LOG_NAME).unlink()
    bad = {f"{number:03}" + "x" * 1000: {"status": "y" * 1000} for number in range(203)}
    (tmp_path / SNAPSHOT_NAME).write_bytes(json.dumps(bad).encode())
    loaded = view_ledger(tmp_path)
    assert (loaded.snapshot.bad_count, len(loaded.snapshot.bad_records)) == (203, 100)
    assert "103 more records or lines" in loaded.report.problems[-1]


@pytest.mark.parametrize("first", [b"{\n", b"["])
def test_a_snapshot_that_would_take_the_memory_is_not_read(tmp_path: Path, first: bytes) -> None:
    with (tmp_path / SNAPSHOT_NAME).open("wb") as file:
        file.write(first)
        file.truncate(3 << 30 if first == b"{\n" else 600 << 20)  # holes: no byte of the disk
    for read in (open_ledger, view_ledger):
        with pytest.raises(LedgerFailed, match="at most"):
            read(tmp_path)


def test_damage_is_noted_before_the_broken_file_gets_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / SNAPSHOT_NAME).write_bytes(b"{")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "bad disk")

    with monkeypatch.context() as broken, pytest.raises(LedgerFailed):
        broken.setattr(store, "keep_aside", refuse)
        open_ledger(tmp_path)
    assert len(read_damage(tmp_path)) == 1
    open_ledger(tmp_path).close()
    assert (len(read_damage(tmp_path)), len(kept_aside(tmp_path))) == (1, 1)


def test_a_note_is_written_whole_and_not_glued_to_a_torn_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DAMAGE_NAME).write_bytes(b'{"found_at":"2025')
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    note_damage(tmp_path, FoundDamage("2025-02-10T10:00:00Z", ["Line 1 was skipped."], 1))
    assert read_damage(tmp_path) == [FoundDamage("2025-02-10T10:00:00Z", ["Line 1 was skipped."], 1)]


def test_a_note_that_somebody_else_wrote_is_bounded_and_can_be_shown(tmp_path: Path) -> None:
    problems = ["\ud800", "x" * 5000, {"a": 1}, *("more",) * 1000]
    note = {"found_at": "\ud800" * 100, "bad_lines": 0, "missing_numbers": -1, "problems": problems}
    (tmp_path / DAMAGE_NAME).write_bytes(json.dumps(note).encode().replace(b": 0,", b": " + b"9" * 4300 + b","))
    [found] = read_damage(tmp_path)
    assert found.problems[:4] == ["?", "x" * 1000, "", "more"]
    assert (len(found.problems), found.found_at, found.bad_lines, found.missing_numbers) == (100, "?" * 20, 0, 0)
    (tmp_path / os.fsdecode(b"export-records.jsonl.broken-\xff")).touch()
    assert kept_aside(tmp_path) == ["export-records.jsonl.broken-\\xff"]


def test_damage_with_more_problems_than_a_note_holds_is_noted_once(tmp_path: Path) -> None:
    found = FoundDamage("2025-02-10T10:00:00Z", ["x" * 2000] * 150, 150)
    note_damage(tmp_path, found)
    note_damage(tmp_path, found)
    [noted] = read_damage(tmp_path)
    assert noted.tells(found.problems)


def test_a_folder_with_the_name_of_a_leftover_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / f".{SNAPSHOT_NAME}.x.tmp").mkdir()
    (tmp_path / f".{SNAPSHOT_NAME}.y.tmp").write_bytes(b"{")
    export(tmp_path, "a")
    assert [path.name for path in tmp_path.glob(".*.tmp")] == [f".{SNAPSHOT_NAME}.x.tmp"]
