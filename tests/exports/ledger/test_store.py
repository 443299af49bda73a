"""The ledger's files, queries and recovery, with files as the macOS app writes them."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exports.ledger.errors import InvalidRecord, LedgerBusy, LedgerFailed
from exports.ledger.load import FOLDER_NAME, LOG_NAME, SNAPSHOT_NAME, view_ledger
from exports.ledger.mutations import decode_mutation
from exports.ledger.placement import DestinationFolder, UnsafeFolder
from exports.ledger.records import INTERRUPTED, SWIFT_EPOCH, ExportRecord, RecordStatus, format_date, parse_date
from exports.ledger.snapshot import read_snapshot, write_snapshot
from exports.ledger.state import MonthStatus, summarize_month
from exports.ledger.store import Ledger, Place

PLACE = Place(2025, 2, "2025/02/")
NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)
SAMPLE = (
    '{"op":"upsert","id":"A","record":{"id":"A","year":2025,"month":2,"relPath":"2025/02/","filename":"IMG_0001.JPG",'
    '"status":"done","exportDate":"2025-02-10T10:00:00Z"}}\n'
)
RECORD = ExportRecord("A", 2025, 2, "2025/02/", RecordStatus.DONE, NOW, "IMG_0001.JPG")


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder, now=lambda: NOW)


def kill(ledger: Ledger) -> None:
    """End it as a kill would: no compaction, and the lock is free."""
    ledger._release()


def log_lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / LOG_NAME).read_bytes().splitlines()]


def upsert(identifier: str, **changes: object) -> str:
    record = json.loads(SAMPLE)["record"] | {"id": identifier} | changes
    return json.dumps({"op": "upsert", "id": identifier, "record": record}) + "\n"


@pytest.mark.promise("S0-001", "S0-002", "S0-003", "S0-004", "S0-005", "S0-020", "S0-021", "S0-022", "S0-X01")
def test_records_survive_into_a_fresh_process(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER_NAME
    with open_ledger(folder) as ledger:
        ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    ledger = open_ledger(folder)
    ledger.mark_failed("B", "Disk full", Place(2025, 3, "2025/03/"))
    kill(ledger)
    script = (
        "import sys; from pathlib import Path; from exports.ledger.store import Ledger\n"
        "with Ledger(Path(sys.argv[1])) as ledger: print(list(ledger.records()))"
    )
    root = Path(__file__).parents[3]
    output = subprocess.run(
        [sys.executable, "-c", script, folder], cwd=root, capture_output=True, text=True, check=True
    )
    failed = ExportRecord("B", 2025, 3, "2025/03/", RecordStatus.FAILED, NOW, None, "Disk full")
    assert output.stdout.strip() == str([RECORD, failed])


@pytest.mark.promise("S0-006", "S0-007", "S0-008", "S0-009", "S0-010", "S0-011", "S0-012", "S0-014", "S0-015")
@pytest.mark.promise("S0-016", "S0-017", "S0-018", "S0-019", "S0-024", "S0-U02", "S0-U03")
def test_lines_and_snapshot_have_exactly_the_keys_of_the_format(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    ledger.mark_failed("A", "Disk full")
    ledger.remove("A")
    done, failed, deleted = log_lines(tmp_path)
    for number, line in enumerate((done, failed, deleted), start=1):
        assert line.pop("n") == number
        assert len(line.pop("crc")) == 8
    assert done == json.loads(SAMPLE)
    assert failed["record"] == done["record"] | {"status": "failed", "lastError": "Disk full"}
    assert deleted == {"op": "delete", "id": "A"}
    ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    ledger.close()
    snapshot = json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())
    assert snapshot["A"].pop("n") == 4
    assert snapshot == {"A": done["record"]}
    assert (tmp_path / LOG_NAME).read_bytes() == b""


@pytest.mark.promise("S0-U03", "S0-U04", "S0-043", "S0-X02")
def test_files_of_the_macos_app_load(tmp_path: Path) -> None:
    (tmp_path / SNAPSHOT_NAME).write_text(
        '{"old\\/L0\\/001":{"status":"done","relPath":"2025\\/02\\/","month":2,"id":"old\\/L0\\/001","year":2025,'
        '"filename":null,"lastError":null,"exportDate":"2025-02-10T10:00:00Z"},'
        '"B":{"id":"B","year":2025,"month":2,"relPath":"2025/02/","status":"done","exportDate":760874400.25},'
        '"unknown":{"id":"unknown","year":0,"month":0,"relPath":"","status":"failed","lastError":"x",'
        '"exportDate":"2025-02-10T11:00:00.5+01:00"},'
        '"V":{"id":"V","year":2025,"month":2,"relPath":"2025/02/","variants":{"original":{"filename":"V_orig.JPG",'
        '"status":"done","exportDate":"2025-02-10T10:00:00Z"},"edited":{"status":"failed"}}}}'
    )
    (tmp_path / LOG_NAME).write_text(SAMPLE + '{"op":"delete","id":"B"}\n' + upsert("P", status="pending"))
    with open_ledger(tmp_path) as ledger:
        assert ledger.report.problems == []
        assert ledger.export_info("A") == RECORD
        assert ledger.is_exported("old/L0/001")
        assert ledger.export_info("B") is None
        assert ledger.export_info("unknown").export_date == NOW  # type: ignore[union-attr]
        assert ledger.export_info("P").status is RecordStatus.PENDING  # type: ignore[union-attr]
        assert ledger.export_info("V").filename == "V_orig.JPG"  # type: ignore[union-attr]
        assert ledger.month_summary(2025, 2, 3).exported_count == 3
        ledger.mark_failed("V", "Disk full")
    with open_ledger(tmp_path) as ledger:
        assert not ledger.is_exported("V")
    kept = json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())["V"]["variants"]
    assert kept["edited"] == {"status": "failed"}  # what this program does not use is not lost
    assert kept["original"]["status"] == "failed"


@pytest.mark.promise("S0-U02")
@pytest.mark.parametrize(
    "value", ["2025-02-10T10:00:00Z", "2025-02-10T10:00:00.999Z", "2025-02-10T12:00:00+02:00", 760874400, 760874400.9]
)
def test_dates_of_every_kind_read_as_the_same_second(value: object) -> None:
    assert parse_date(value) == NOW
    assert format_date(NOW) == "2025-02-10T10:00:00Z"
    assert (NOW - SWIFT_EPOCH).total_seconds() == 760874400


@pytest.mark.parametrize("value", ["yesterday", "", True, [], 1e300, "9999-12-31T23:59:59-12:00"])
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(InvalidRecord, match="not a date"):
        parse_date(value)


@pytest.mark.promise("S0-025", "S0-028", "S0-U01", "S0-U22")
def test_compaction_comes_at_exactly_one_thousand(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for number in range(999):
        ledger.mark_in_progress(f"asset-{number}", PLACE)
    assert not (tmp_path / SNAPSHOT_NAME).exists()
    assert len(log_lines(tmp_path)) == 999
    ledger.mark_in_progress("asset-999", PLACE)
    assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 1000
    assert log_lines(tmp_path) == []
    ledger.mark_in_progress("asset-1000", PLACE)
    assert [line["id"] for line in log_lines(tmp_path)] == ["asset-1000"]
    kill(ledger)
    with open_ledger(tmp_path) as ledger:
        assert len(ledger) == 1001
        assert ledger.report.interrupted == 1001


@pytest.mark.promise("S0-029", "S0-030")
def test_closing_compacts_and_not_closing_gives_the_same(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    kill(ledger)
    ledger = open_ledger(tmp_path)
    assert list(ledger.records()) == [RECORD]
    ledger.close()
    assert log_lines(tmp_path) == []
    ledger.close()
    before = (tmp_path / SNAPSHOT_NAME).stat().st_ino
    with open_ledger(tmp_path) as ledger:
        assert list(ledger.records()) == [RECORD]
    assert (tmp_path / SNAPSHOT_NAME).stat().st_ino == before  # nothing changed, nothing written
    with pytest.raises(LedgerFailed, match="closed"):
        ledger.mark_exported("B", PLACE, "B.JPG")


@pytest.mark.promise("S0-023", "S0-034", "S0-035", "S0-U05", "S0-U06", "S0-U08")
def test_the_four_writers(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        assert not ledger.is_exported("A")
        assert ledger.export_info("A") is None
        ledger.mark_in_progress("A", PLACE)
        assert not ledger.is_exported("A")
        failed = ledger.mark_failed("A", "Disk full")
        assert (failed.year, failed.month, failed.rel_path, failed.export_date) == (2025, 2, "2025/02/", NOW)
        assert failed.last_error == "Disk full"
        done = ledger.mark_exported("A", PLACE, "A.JPG")
        assert done.last_error is None
        assert ledger.is_exported("A")
        assert ledger.export_info("A") == done
        assert ledger.remove("A")
        assert not ledger.remove("A")
        with pytest.raises(InvalidRecord, match="needs a year"):
            ledger.mark_failed("never seen", "Disk full")
        ledger.mark_in_progress("C", PLACE)
    with open_ledger(tmp_path) as ledger:
        interrupted = ledger.export_info("C")
        assert interrupted is not None
        assert (interrupted.status, interrupted.last_error) == (RecordStatus.FAILED, INTERRUPTED)
        ledger.put_all(
            [ExportRecord(str(number), 2024, 1, "2024/01/", RecordStatus.DONE, NOW) for number in range(2500)]
        )
        assert ledger.done_months() == [(2024, 1, 2500)]
        assert log_lines(tmp_path) == []


@pytest.mark.promise("S0-036", "S0-037", "S0-038", "S0-X03")
@pytest.mark.parametrize(
    ("done", "total", "status"),
    [
        (0, 0, MonthStatus.NOT_EXPORTED),
        (3, 0, MonthStatus.NOT_EXPORTED),
        (0, 5, MonthStatus.NOT_EXPORTED),
        (3, 5, MonthStatus.PARTIAL),
        (5, 5, MonthStatus.COMPLETE),
        (6, 5, MonthStatus.COMPLETE),
    ],
)
def test_month_status(done: int, total: int, status: MonthStatus) -> None:
    summary = summarize_month(2025, 2, done, total)
    assert (summary.exported_count, summary.total_count, summary.status) == (done, total, status)
    assert [str(word) for word in MonthStatus] == ["notExported", "partial", "complete"]


@pytest.mark.promise("S0-036", "S0-U21")
def test_month_counts_follow_every_change(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.mark_exported("A", PLACE, "A.JPG")
        ledger.mark_exported("A", PLACE, "A.JPG")
        ledger.mark_exported("B", PLACE, "B.JPG")
        ledger.mark_exported("C", Place(2024, 2, "2024/02/"), "C.JPG")
        assert ledger.month_summary(2025, 2, 4).exported_count == 2
        ledger.mark_exported("A", Place(2025, 3, "2025/03/"), "A.JPG")
        ledger.mark_failed("B", "gone")
        assert ledger.month_summary(2025, 2, 4).exported_count == 0
        assert ledger.month_summary(2025, 3, 1).status is MonthStatus.COMPLETE
        assert ledger.done_months() == [(2024, 2, 1), (2025, 3, 1)]


BAD_LINES = [
    b"garbage\n",
    b"\xff\xfe\n",
    b"[1,2]\n",
    b'{"op":"upsert","id":"X"}\n',
    b'{"op":"rename","id":"X"}\n',
    b'{"op":"delete"}\n',
    b'{"op":"delete","id":""}\n',
    b"[" * 100_000 + b"\n",
    b"9" * 2_000_000 + b"\n",
    upsert("X", status="Done").encode(),
    upsert("X", year=0).encode(),
    upsert("X", month=13).encode(),
    upsert("X", month=True).encode(),
    upsert("X", relPath="../").encode(),
    upsert("X", exportDate="soon").encode(),
    upsert("X", filename="a/b").encode(),
    upsert("X", lastError=float("nan")).encode(),
    upsert("X").replace('"id": "X"', '"id": "Y"', 1).encode(),
    upsert("X\ud800").encode(),
]


@pytest.mark.promise("S0-039", "S0-040", "S0-041", "S0-U22")
@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
def test_bad_line_is_skipped_logged_and_kept_and_the_rest_is_used(
    tmp_path: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    log = SAMPLE.encode() + bad + upsert("B").encode()
    (tmp_path / LOG_NAME).write_bytes(log)
    with caplog.at_level(logging.WARNING), open_ledger(tmp_path) as ledger:
        assert ledger.report.bad_lines == 1
        assert "Line 2 of" in caplog.text
        assert [record.id for record in ledger.records()] == ["A", "B"]
        ledger.mark_exported("C", PLACE, "C.JPG")
    (aside,) = tmp_path.glob(f"{LOG_NAME}.broken-20250210T100000Z")
    assert aside.read_bytes() == log
    with open_ledger(tmp_path) as ledger:
        assert [record.id for record in ledger.records()] == ["A", "B", "C"]
        assert ledger.report.problems == []


@pytest.mark.promise("S0-042", "X-06")
@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"A":', b"\0" * 4096, b"\xff"])
def test_broken_snapshot_is_kept_aside_and_the_log_goes_on(tmp_path: Path, broken: bytes) -> None:
    for round_number in (1, 2):
        (tmp_path / SNAPSHOT_NAME).write_bytes(broken)
        (tmp_path / LOG_NAME).write_text(SAMPLE)
        with open_ledger(tmp_path) as ledger:
            assert list(ledger.records()) == [RECORD]
            assert "cannot be used" in ledger.report.problems[0]
            assert len(ledger.report.set_aside) == 1
        assert json.loads((tmp_path / SNAPSHOT_NAME).read_bytes()).keys() == {"A"}
        kept = sorted(tmp_path.glob(f"{SNAPSHOT_NAME}.broken-20250210T100000Z*"))
        assert [path.read_bytes() for path in kept] == [broken] * round_number


@pytest.mark.promise("S0-033", "S0-042")
def test_own_snapshot_cut_or_changed_anywhere_is_never_half_used(tmp_path: Path) -> None:
    path = tmp_path / SNAPSHOT_NAME
    records = [replace(RECORD, id=identifier, filename='"},\n{') for identifier in "ABC"]
    write_snapshot(path, records, 7)
    text = path.read_bytes()
    assert (list(read_snapshot(path).records.values()), read_snapshot(path).last_number) == (records, 7)
    path.write_text(json.dumps(json.loads(text), indent=3))
    assert list(read_snapshot(path).records.values()) == records
    for cut in range(len(text) - 1):  # without its last newline it is whole
        path.write_bytes(text[:cut])
        content = read_snapshot(path)
        assert content.problem
        assert not content.records
    path.write_bytes(text + b"{}")
    assert read_snapshot(path).problem


@pytest.mark.promise("S0-042", "X-06")
def test_snapshot_with_one_bad_record_gives_the_others_and_is_kept(tmp_path: Path) -> None:
    record = json.loads(SAMPLE)["record"]
    text = json.dumps({"A": record, "B": {**record, "id": "B", "status": "?"}, "C": record}).encode()
    (tmp_path / SNAPSHOT_NAME).write_bytes(text)
    with open_ledger(tmp_path) as ledger:
        assert list(ledger.records()) == [RECORD]
        assert len(ledger.report.problems) == 2
        aside = tmp_path / ledger.report.set_aside[0]
    assert aside.read_bytes() == text
    with open_ledger(tmp_path) as ledger:
        assert ledger.report.problems == []
        assert list(ledger.records()) == [RECORD]


@pytest.mark.promise("S0-U12")
def test_unreadable_files_are_no_reason_to_start_empty(tmp_path: Path) -> None:
    (tmp_path / SNAPSHOT_NAME).mkdir()  # reading it is an error of the disk's side, not of the content
    (tmp_path / LOG_NAME).write_text(SAMPLE)
    with pytest.raises(LedgerFailed, match="cannot be read"):
        open_ledger(tmp_path)
    assert (tmp_path / LOG_NAME).read_text() == SAMPLE
    (tmp_path / SNAPSHOT_NAME).rmdir()
    open_ledger(tmp_path).close()  # and the lock was given back


@pytest.mark.promise("S0-X07")
def test_log_of_before_a_snapshot_changes_nothing_more(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("A", PLACE, "OLD.JPG")
    ledger.mark_exported("B", PLACE, "B.JPG")
    stale = (tmp_path / LOG_NAME).read_bytes()
    ledger.remove("B")
    ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    whole = (tmp_path / LOG_NAME).read_bytes()
    ledger.close()
    for log in (stale, whole):
        (tmp_path / LOG_NAME).write_bytes(log)
        with open_ledger(tmp_path) as ledger:
            assert list(ledger.records()) == [RECORD]
            assert ledger.report.stale_lines == log.count(b"\n")
            ledger.mark_exported("A", PLACE, "IMG_0001.JPG")


def test_lines_that_were_taken_out_or_a_missing_snapshot_are_noticed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for number in range(4):
        ledger.mark_exported(str(number), PLACE, "A.JPG")
    kill(ledger)
    lines = (tmp_path / LOG_NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / LOG_NAME).write_bytes(lines[0] + lines[3])
    assert "2 running numbers are missing" in view_ledger(tmp_path).report.problems[0]
    (tmp_path / LOG_NAME).write_bytes(b"".join(lines[2:]))
    assert "is missing although the log starts at change 3" in view_ledger(tmp_path).report.problems[0]


def test_checksum_finds_a_flipped_bit_and_lets_reordered_keys_pass(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("A", PLACE, "IMG_0001.JPG")
    line = (tmp_path / LOG_NAME).read_bytes()
    kill(ledger)
    with pytest.raises(InvalidRecord, match="checksum"):
        decode_mutation(line.replace(b"IMG_0001", b"IMG_0003"))
    reordered = json.dumps(json.loads(line), sort_keys=True, indent=1).replace("\n", " ").encode()
    assert decode_mutation(reordered) == decode_mutation(line)
    assert decode_mutation(SAMPLE.encode()).record == RECORD  # no checksum is asked of others


@pytest.mark.promise("S0-U09")
def test_one_writer_at_a_time_and_one_store_for_each_destination(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "one") as one:
        one.mark_exported("A", PLACE, "A.JPG")
        with pytest.raises(LedgerBusy, match="Another export"):
            open_ledger(tmp_path / "one")
        with open_ledger(tmp_path / "two") as two:
            assert not two.is_exported("A")
        seen = view_ledger(tmp_path / "one")  # readers need no lock
        assert seen.state.get("A") is not None
        assert one.is_exported("A")
    with open_ledger(tmp_path / "one") as one:
        assert one.is_exported("A")
    assert len(view_ledger(tmp_path / "none").state) == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.promise("S0-X02")
@pytest.mark.parametrize(
    "place",
    [
        *(
            Place(2025, 2, path)
            for path in ("", "/2025/02/", "../", "2025/../02/", "2025//02/", "./", "a\0/", "a/" * 501)
        ),
        *(Place(2025, 2, path) for path in ("2025/\udcff/", "2025/02//")),
        *(Place(*numbers, "2025/02/") for numbers in ((0, 2), (-1, 2), (2025, 0), (2025, 13), (10_000, 1))),
    ],
)
def test_unsafe_places_are_refused_and_nothing_is_written(tmp_path: Path, place: Place) -> None:
    with open_ledger(tmp_path) as ledger:
        for write in (
            lambda: ledger.mark_in_progress("A", place),
            lambda: ledger.mark_exported("A", place, "A.JPG"),
            lambda: ledger.mark_failed("A", "x", place),
        ):
            with pytest.raises(InvalidRecord):
                write()
        assert len(ledger) == 0
        assert (tmp_path / LOG_NAME).read_bytes() == b""
        for filename in ("", "..", "a/b", "a\0b", "\udcff"):
            with pytest.raises(InvalidRecord):
                ledger.mark_exported("A", PLACE, filename)
        for identifier in ("", "\ud800"):
            with pytest.raises(InvalidRecord):
                ledger.mark_exported(identifier, PLACE, "A.JPG")


@pytest.mark.promise("S0-U18")
def test_no_place_leads_out_of_the_destination_or_out_of_the_calendar(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "2025").mkdir(parents=True)
    outside.mkdir()
    (root / "2025" / "02").symlink_to(outside)
    paths = ["", "/2025/02/", "./2025/", "2025/./02/", "../2025/", "2025/../02/", "2025//02/", "x" * 1000 + "/"]
    places = [Place(2025, 2, path) for path in paths]
    places += [Place(year, month, "2025/03/") for year, month in ((0, 3), (-1, 3), (2025, 0), (2025, 13))]
    with open_ledger(root / FOLDER_NAME) as ledger:
        for place in places:
            with pytest.raises(InvalidRecord):
                ledger.mark_exported("A", place, "A.JPG")
        longest = Place(1, 12, "/".join(["x" * 199] * 5) + "/")
        assert len(longest.rel_path) == 1000
        ledger.mark_exported("B", longest, "B.JPG")
        assert [record.id for record in ledger.records()] == ["B"]
    for place in places[:8]:
        with pytest.raises(InvalidRecord):
            DestinationFolder(root, place.rel_path)
    with pytest.raises(UnsafeFolder):
        DestinationFolder(root, "2025/02/")
    assert list(outside.iterdir()) == []


@pytest.mark.promise("S0-013")
def test_a_status_is_one_of_four_words(tmp_path: Path) -> None:
    words = ["pending", "inProgress", "done", "failed"]
    ledger = open_ledger(tmp_path)
    ledger.put_all(replace(RECORD, id=word, status=RecordStatus(word)) for word in words)
    assert [line["record"]["status"] for line in log_lines(tmp_path)] == words
    ledger.close()
    snapshot = json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())
    assert {key: record["status"] for key, record in snapshot.items()} == dict(zip(words, words, strict=True))
    assert [str(status) for status in RecordStatus] == words
    for other in ("Done", "in_progress", "inprogress", "PENDING", "cancelled", "", None, 1, True, ["done"]):
        (tmp_path / LOG_NAME).write_text(upsert("X", status=other))
        assert view_ledger(tmp_path).report.bad_lines == 1, other


@pytest.mark.promise("S0-U13")
def test_flush_answers_for_everything_acknowledged(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.mark_exported("A", PLACE, "A.JPG")
    ledger.flush()
    assert view_ledger(tmp_path).state.done_count(2025, 2) == 1
    ledger.close()
    with pytest.raises(LedgerFailed):
        ledger.flush()
