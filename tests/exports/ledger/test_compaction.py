"""When a ledger is compacted, how much that writes, and that no append waits for a large snapshot."""

import errno
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exports.ledger import background_snapshot, compaction
from exports.ledger.errors import LedgerFailed
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, view_ledger
from exports.ledger.log import AppendLog
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.snapshot import NewSnapshot, SnapshotNotWritten
from exports.ledger.store import Ledger, Place

PLACE = Place(2025, 2, "2025/02/")
NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)


def record(number: int, status: RecordStatus = RecordStatus.DONE) -> ExportRecord:
    return ExportRecord(f"asset-{number:05}", 2025, 2, "2025/02/", status, NOW, f"IMG_{number}.JPG")


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder, now=lambda: NOW)


def contents(ledger: Ledger) -> dict[str, ExportRecord]:
    return {one.id: one for one in ledger.records()}


def log_lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / LOG_NAME).read_bytes().splitlines()]


@pytest.mark.promise("S0-026", "S0-027")
@pytest.mark.parametrize("at_once", [4000, -1], ids=["within an append", "by the thread"])
def test_the_whole_new_snapshot_is_on_the_disk_before_it_takes_the_place_of_the_old_one_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 1)
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", at_once)
    monkeypatch.setattr(background_snapshot.BackgroundSnapshot, "start", lambda self: [None for _ in self.pieces()])
    path = tmp_path / SNAPSHOT_NAME
    synced: set[int] = set()
    replaced: list[dict[str, object]] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def noted_replace(source: Path, target: Path) -> None:
        if Path(target) == path:
            assert (Path(source).parent, Path(source).stat().st_ino in synced) == (tmp_path, True)
            old, new = path.read_bytes(), json.loads(Path(source).read_bytes())
            assert replaced or old == before
            inode = Path(source).stat().st_ino
            replace(source, target)
            assert path.stat().st_ino == inode
            replaced.append(new)
        else:
            replace(source, target)

    with open_ledger(tmp_path) as ledger:
        ledger.put_all([record(0)])
        ledger.compact()
        before = path.read_bytes()
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "replace", noted_replace)
        ledger.put_all([record(1)])
        ledger.put_all([record(2)])
        monkeypatch.undo()
    assert list(replaced[0])[:2] == ["asset-00000", "asset-00001"]


def test_a_large_ledger_is_compacted_when_its_log_has_half_as_many_lines(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.put_all(record(number) for number in range(2200))
    ledger.put_all(record(number) for number in range(1099))
    assert len(log_lines(tmp_path)) == 1099
    ledger.put_all([record(1099)])
    assert log_lines(tmp_path) == []
    ledger.put_all([record(7)])
    ledger._release()
    with open_ledger(tmp_path) as ledger:  # the rule knows the snapshot's size from the file, too
        ledger.put_all(record(number) for number in range(1098))
        assert len(log_lines(tmp_path)) == 1099
        ledger.put_all([record(8)])
        assert log_lines(tmp_path) == []


def test_a_first_export_writes_few_bytes_for_each_byte_of_the_ledger(
    memory_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    append, put_in_place = AppendLog.append, NewSnapshot.put_in_place

    def counted_append(log: AppendLog, lines: bytes) -> None:
        nonlocal written
        written += len(lines)
        append(log, lines)

    def counted_snapshot(new: NewSnapshot) -> None:
        nonlocal written
        put_in_place(new)
        written += (memory_disk / SNAPSHOT_NAME).stat().st_size

    monkeypatch.setattr(AppendLog, "append", counted_append)
    monkeypatch.setattr(NewSnapshot, "put_in_place", counted_snapshot)
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 10)  # 3,000 records are then as 300,000 are
    with open_ledger(memory_disk) as ledger:
        for first in range(0, 3000, 16):
            for status in (RecordStatus.IN_PROGRESS, RecordStatus.DONE):
                ledger.put_all(record(number, status) for number in range(first, first + 16))
    assert written <= 20 * (memory_disk / SNAPSHOT_NAME).stat().st_size


def test_appends_go_on_while_a_thread_writes_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", 999)
    is_waiting, may_finish = threading.Event(), threading.Event()
    finish = background_snapshot.NewSnapshot.finish

    def held(new: NewSnapshot) -> None:
        is_waiting.set()
        assert may_finish.wait(60)
        finish(new)

    monkeypatch.setattr(NewSnapshot, "finish", held)
    ledger = open_ledger(tmp_path)
    ledger.put_all(record(number) for number in range(1000))
    assert is_waiting.wait(60)
    ledger.remove("asset-00000")
    ledger.mark_failed("asset-00001", "Disk full")
    ledger.mark_exported("new", PLACE, "N.JPG")
    expected = contents(ledger)
    assert not (tmp_path / SNAPSHOT_NAME).exists()
    assert {one.id: one for one in view_ledger(tmp_path).state.sorted_records()} == expected
    thread = ledger._background._thread  # type: ignore[union-attr]
    may_finish.set()
    thread.join()  # type: ignore[union-attr]
    last = ledger.mark_exported("last", PLACE, "L.JPG")
    assert list(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == [f"asset-{number:05}" for number in range(1000)]
    assert [line["id"] for line in log_lines(tmp_path)] == ["asset-00000", "asset-00001", "new", "last"]
    assert not list(tmp_path.glob(".*.tmp"))
    ledger._release()
    with open_ledger(tmp_path) as ledger:
        assert ledger.report.problems == []
        assert contents(ledger) == {**expected, "last": last}


def test_closing_while_a_thread_writes_leaves_one_whole_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", 999)
    with open_ledger(tmp_path) as ledger:
        ledger.put_all(record(number) for number in range(1000))
        assert ledger._background is not None
    assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 1000
    assert log_lines(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [SNAPSHOT_NAME, LOG_NAME, "export-records.lock"]


@pytest.mark.promise("S0-U15")
def test_a_large_snapshot_without_room_is_begun_again_at_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", 999)
    monkeypatch.setattr(background_snapshot.BackgroundSnapshot, "start", lambda self: [None for _ in self.pieces()])
    finish = NewSnapshot.finish

    def full(new: NewSnapshot) -> None:
        new.abandon()
        raise SnapshotNotWritten(28, "No space left on device")

    ledger = open_ledger(tmp_path)
    monkeypatch.setattr(NewSnapshot, "finish", full)
    ledger.put_all(record(number) for number in range(1000))
    ledger.put_all([record(1000)])  # finds that it failed
    assert not (tmp_path / SNAPSHOT_NAME).exists()
    assert len(log_lines(tmp_path)) == 1001
    monkeypatch.setattr(NewSnapshot, "finish", finish)
    ledger.put_all([record(1001)])
    ledger.put_all([record(1002)])
    assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 1002
    assert [line["id"] for line in log_lines(tmp_path)] == ["asset-01002"]
    ledger.close()


@pytest.mark.promise("S0-X07")
def test_lines_of_another_program_before_a_snapshot_bring_nothing_back(tmp_path: Path) -> None:
    line = {"op": "upsert", "id": "A", "record": record(0).to_json() | {"id": "A"}}
    (tmp_path / LOG_NAME).write_text(json.dumps(line) + "\n")
    ledger = open_ledger(tmp_path)
    ledger.put_all([record(1)])
    ledger.remove("A")
    whole = (tmp_path / LOG_NAME).read_bytes()
    ledger.put_all([record(1)])
    ledger.close()
    (tmp_path / LOG_NAME).write_bytes(whole)  # a kill came after the snapshot, before the log was emptied
    with open_ledger(tmp_path) as ledger:
        assert contents(ledger) == {"asset-00001": record(1)}


@pytest.mark.parametrize("at_once", [4000, -1], ids=["within an append", "by the thread"])
@pytest.mark.parametrize("is_swapped_late", [False, True], ids=["before it is begun", "while it is written"])
def test_a_folder_that_came_in_place_of_the_ledgers_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, is_swapped_late: bool
) -> None:
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", at_once)
    monkeypatch.setattr(background_snapshot.BackgroundSnapshot, "start", lambda self: [None for _ in self.pieces()])
    ours, theirs = tmp_path / "ExportRecords", tmp_path / "other"
    with open_ledger(theirs) as other:
        other.mark_exported("theirs", PLACE, "T.JPG")
        other.compact()
        other.mark_exported("theirs, too", PLACE, "U.JPG")
        other._release()
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    ledger = open_ledger(ours)
    ledger.put_all([record(0)])
    finish = NewSnapshot.finish

    def swap() -> None:
        ours.rename(tmp_path / "moved")
        theirs.rename(ours)

    def late(new: NewSnapshot) -> None:
        finish(new)
        swap()

    if is_swapped_late:
        monkeypatch.setattr(NewSnapshot, "finish", late)
    else:
        swap()
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 1)
    ledger.put_all([record(1)])
    if at_once < 0 and is_swapped_late:
        ledger.put_all([record(2)])  # finds the finished snapshot
    with pytest.raises(LedgerFailed, match="another folder is in its place"):
        ledger.flush()
    ledger.close()
    assert {path.name: path.read_bytes() for path in ours.iterdir() if not path.name.endswith(".tmp")} == before
    with open_ledger(tmp_path / "moved") as ledger:
        assert set(contents(ledger)) >= {"asset-00000", "asset-00001"}


@pytest.mark.parametrize("end", ["finish", "abandon"])
def test_a_snapshot_without_room_gives_back_what_it_took_at_once(tmp_path: Path, end: str) -> None:
    new = NewSnapshot(tmp_path / SNAPSHOT_NAME, 0)
    new._file.close()
    new._file = open("/dev/full", "wb")  # noqa: SIM115 - what is written fails when the buffer is emptied
    new.add([record(0)])
    if end == "finish":
        with pytest.raises(SnapshotNotWritten):
            new.finish()
    else:
        new.abandon()
    assert new._file.closed
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_without_a_thread_for_its_snapshot_goes_on_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 1)
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", -1)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ledger = open_ledger(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        for number in range(3):
            ledger.put_all([record(number)])
    ledger.put_all([record(3)])
    assert ledger._background is not None
    ledger.close()
    assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 4


def test_a_disk_without_modes_takes_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    with open_ledger(tmp_path) as ledger:
        ledger.put_all([record(0)])
        ledger.compact()
    assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 1


class NetworkDrive:
    """Refuses to rename a file or to replace one that is open in this process, as a network drive of Windows does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.renames = folder, 0
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self.refusing(getattr(os, name)))

    def refusing(self, real: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(source: Path, target: Path) -> None:
            self.renames += 1
            if {str(source), str(target)} & self.open_paths():
                raise PermissionError(errno.EACCES, "Permission denied")
            real(source, target)

        return rename

    def open_paths(self) -> set[str]:
        paths = set()
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                paths.add(os.readlink(f"/proc/self/fd/{name}"))
        return paths


@pytest.mark.parametrize("at_once", [4000, -1], ids=["within an append", "by the thread"])
def test_no_open_file_is_renamed_or_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    (tmp_path / LOG_NAME).write_bytes(b"garbage\n")
    drive = NetworkDrive(tmp_path, monkeypatch)
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", at_once)
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 2)
    monkeypatch.setattr(background_snapshot.BackgroundSnapshot, "start", lambda self: [None for _ in self.pieces()])
    with open_ledger(tmp_path) as ledger:
        for number in range(7):
            ledger.put_all([record(number)])
        ledger.flush()
        expected = contents(ledger)
    assert drive.renames >= 4
    assert log_lines(tmp_path) == []
    with open_ledger(tmp_path) as ledger:
        assert (contents(ledger), ledger.report.problems) == (expected, [])


def test_a_log_that_somebody_reads_there_is_shortened_later_and_no_snapshot_is_written_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    NetworkDrive(tmp_path, monkeypatch)
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", -1)
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 4)
    written: list[int] = []
    monkeypatch.setattr(
        background_snapshot.BackgroundSnapshot,
        "start",
        lambda self: written.append(self.last_number) or [None for _ in self.pieces()],
    )
    ledger = open_ledger(tmp_path)
    with (tmp_path / LOG_NAME).open("rb"):
        for number in range(8):
            ledger.put_all([record(number)])
    assert written == [4, 8]  # not after each append that found the log not shortened
    assert len(log_lines(tmp_path)) == 8
    ledger.put_all([record(8)])
    assert [line["n"] for line in log_lines(tmp_path)] == [9]
    expected = contents(ledger)
    ledger._release()
    with open_ledger(tmp_path) as ledger:
        assert (contents(ledger), ledger.report.problems) == (expected, [])
