"""No acknowledged record is lost, whichever file operation fails or loses power, and however often one is killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.ledger import background_snapshot, compaction
from exports.ledger.errors import LedgerFailed
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME
from exports.ledger.records import INTERRUPTED, ExportRecord, RecordStatus
from exports.ledger.store import Ledger, Place
from tests.exports.ledger.faulty_disk import BAD_DISK, NO_SPACE, FaultyDisk, PowerCut

PLACE = Place(2025, 2, "2025/02/")
NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)
Model = dict[str, ExportRecord]


def contents(ledger: Ledger) -> Model:
    return {record.id: record for record in ledger.records()}


def as_loaded(model: Model) -> Model:
    """What a model becomes when it is loaded: nothing is in progress any more."""
    return {
        key: replace(record, status=RecordStatus.FAILED, last_error=INTERRUPTED)
        if record.status is RecordStatus.IN_PROGRESS
        else record
        for key, record in model.items()
    }


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder, now=lambda: NOW)


def write_in_pieces(ledger: Ledger) -> None:
    """Do two pieces of the work of the thread that writes a snapshot, if there is one: always at the same moment."""
    steps = getattr(ledger._background, "steps", None)
    for _ in range(2 if steps else 0):
        next(steps, None)


class Story:
    """Runs a fixed series of changes and remembers the state before and after each acknowledged one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: Model = {}
        self.possible: Model = {}

    def step(self, ledger: Ledger, number: int) -> None:
        write_in_pieces(ledger)
        identifier = f"asset-{number % 5}"
        now = [
            ExportRecord(identifier, 2025, 2, "2025/02/", RecordStatus.IN_PROGRESS, NOW),
            ExportRecord(identifier, 2025, 2, "2025/02/", RecordStatus.DONE, NOW, f"IMG_{number}.JPG"),
            None,
        ][number % 3]
        self.possible = {key: value for key, value in self.acknowledged.items() if key != identifier}
        if now is None:
            ledger.remove(identifier)
        else:
            self.possible[identifier] = now
            if now.status is RecordStatus.DONE:
                ledger.mark_exported(identifier, PLACE, f"IMG_{number}.JPG")
            else:
                ledger.mark_in_progress(identifier, PLACE)
        self.acknowledged = self.possible

    def run(self) -> None:
        with open_ledger(self.folder) as ledger:
            for number in range(14):
                self.step(ledger, number)

    def check(self, folder: Path) -> None:
        """Open what is left and find everything acknowledged, or that and the change under way."""
        with open_ledger(folder) as ledger:
            assert contents(ledger) in (as_loaded(self.acknowledged), as_loaded(self.possible))
            found = contents(ledger)
            ledger.mark_exported("after", PLACE, "AFTER.JPG")
        with open_ledger(folder) as ledger:
            assert contents(ledger) == found | {"after": ledger.export_info("after")}
            assert ledger.is_exported("after")


def count_operations(folder: Path) -> int:
    disk = FaultyDisk(folder, at=-1)
    with disk.mounted():
        Story(folder).run()
    disk.close()
    assert {"write", "fsync", "replace", "ftruncate"} <= set(disk.log)
    return disk.count


@pytest.fixture(params=["within an append", "beside the appends"])
def often_compacted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 4)
    if request.param == "beside the appends":
        write_beside_appends(monkeypatch)


def write_beside_appends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write each snapshot as that of a large ledger, record by record, between changes that `write_in_pieces` precedes."""
    monkeypatch.setattr(compaction, "AT_ONCE_RECORDS", -1)
    monkeypatch.setattr(background_snapshot, "_PIECE_RECORDS", 1)
    monkeypatch.setattr(
        background_snapshot.BackgroundSnapshot, "start", lambda self: setattr(self, "steps", self.pieces())
    )


def new_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


@pytest.mark.promise("S0-031", "S0-032", "S0-033", "S0-U14", "S0-X04", "S0-X07")
@pytest.mark.usefixtures("often_compacted")
def test_power_cut_at_every_operation_loses_nothing_acknowledged(memory_disk: Path) -> None:
    total = count_operations(new_folder(memory_disk / "count"))
    chance = random.Random(7)
    for at in range(total):
        for part in (0.0, 0.5, 1.0):
            folder = new_folder(memory_disk / "ExportRecords")
            disk, story = FaultyDisk(folder, at, part=part), Story(folder)
            with disk.mounted(), pytest.raises(PowerCut):
                story.run()
            for _ in range(6):
                disk.lose_power(memory_disk / "after", chance)
                story.check(memory_disk / "after")
            disk.close()
            story.check(folder)  # the process died, the machine did not: everything written is there


@pytest.mark.promise("S0-X06", "S0-U12", "S0-U15")
@pytest.mark.usefixtures("often_compacted")
@pytest.mark.parametrize("error", [NO_SPACE, BAD_DISK])
def test_error_at_every_operation_is_told_and_loses_nothing(memory_disk: Path, error: int) -> None:
    total = count_operations(new_folder(memory_disk / "count"))
    refused = 0
    for at in range(total):
        folder = new_folder(memory_disk / "ExportRecords")
        disk, story = FaultyDisk(folder, at, error=error), Story(folder)
        with disk.mounted():
            try:
                story.run()
            except LedgerFailed as failure:
                refused += 1
                assert str(folder) in str(failure)
                assert "kept" in str(failure)
        disk.close()
        story.check(folder)
    assert refused > total // 3


@pytest.mark.promise("S0-X06")
def test_failed_append_is_not_visible_and_stops_all_writing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.mark_exported("first", PLACE, "1.JPG")
        disk = FaultyDisk(tmp_path, at=1, error=BAD_DISK)  # the write succeeds, its fsync does not
        with disk.mounted(), pytest.raises(LedgerFailed):
            ledger.mark_exported("second", PLACE, "2.JPG")
        disk.close()
        assert not ledger.is_exported("second")
        assert ledger.month_summary(2025, 2, 2).exported_count == 1
        for refused in (lambda: ledger.mark_exported("third", PLACE, "3.JPG"), ledger.flush, ledger.compact):
            with pytest.raises(LedgerFailed):
                refused()
        assert ledger.is_exported("first")
    assert not (tmp_path / SNAPSHOT_NAME).exists()  # closing a failed ledger writes nothing either


@pytest.mark.promise("S0-U15")
def test_snapshot_without_room_is_tried_again_at_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "COMPACT_EVERY_MUTATIONS", 3)
    with open_ledger(tmp_path) as ledger:
        for number in range(2):
            ledger.mark_exported(f"a{number}", PLACE, "1.JPG")
        disk = FaultyDisk(tmp_path, at=2, error=NO_SPACE)  # write, fsync of the third line; then the snapshot's fsync
        with disk.mounted():
            ledger.mark_exported("a2", PLACE, "1.JPG")
        disk.close()
        assert disk.count > 2
        assert not (tmp_path / SNAPSHOT_NAME).exists()
        assert len((tmp_path / LOG_NAME).read_bytes().splitlines()) == 3
        assert not list(tmp_path.glob(".*.tmp"))
        ledger.mark_exported("a3", PLACE, "1.JPG")
        assert len(json.loads((tmp_path / SNAPSHOT_NAME).read_bytes())) == 4
        assert (tmp_path / LOG_NAME).read_bytes() == b""


@pytest.mark.promise("S0-X05", "S0-032")
def test_log_cut_at_every_byte_of_its_tail_keeps_every_whole_line(memory_disk: Path) -> None:
    writing = memory_disk / "whole"
    ledger = open_ledger(writing)
    for number in range(3):
        ledger.mark_exported(f"é{number}", PLACE, f"{number}.JPG")
    log = (writing / LOG_NAME).read_bytes()
    ledger._release()  # as a kill would: no compaction
    for cut in range(len(log) + 1):
        folder = new_folder(memory_disk / "cut")
        (folder / LOG_NAME).write_bytes(log[:cut])
        # a line is good once its closing brace is there; its newline is added before the next append
        expected = [f"é{n}" for n in range(3) if len(b"".join(log.splitlines(keepends=True)[: n + 1])) - 1 <= cut]
        with open_ledger(folder) as opened:
            assert sorted(contents(opened)) == expected
            opened.mark_exported("next", PLACE, "N.JPG")
            opened._release()
        with open_ledger(folder) as opened:
            assert sorted(contents(opened)) == sorted([*expected, "next"])
            assert opened.report.bad_lines == 0


WRITER = """
import sys
from pathlib import Path
from exports.ledger import compaction, background_snapshot
from exports.ledger.store import Ledger, Place
compaction.COMPACT_EVERY_MUTATIONS = 17
compaction.AT_ONCE_RECORDS = 40  # the first ones within appends, all others by the thread
start = int(sys.argv[2])
ledger = Ledger(Path(sys.argv[1]))
print("open", flush=True)
for number in range(start, start + 100_000):
    ledger.mark_exported(f"asset-{number}", Place(2025, 1 + number % 12, "2025/02/"), f"{number}.JPG")
    print(number, flush=True)
"""


@pytest.mark.promise("S0-001", "S0-030", "S0-032")
def test_killed_writers_lose_no_acknowledged_record(tmp_path: Path) -> None:
    chance = random.Random(3)
    acknowledged: set[int] = set()
    start = 0
    for _ in range(3):  # tests/drills/test_kill_ledger.py kills 25 cheaper ones
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "ExportRecords"), str(start)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout
        assert process.stdout.readline() == b"open\n"
        output = b"".join(process.stdout.readline() for _ in range(chance.randrange(20, 60)))
        os.kill(process.pid, signal.SIGKILL)
        output += process.stdout.read()
        process.wait()
        process.stdout.close()
        whole = output[: output.rfind(b"\n") + 1]
        acknowledged.update(map(int, whole.split()))
        start = max(acknowledged, default=-1) + 1
    assert len(acknowledged) > 50
    with Ledger(tmp_path / "ExportRecords") as ledger:
        lost = [number for number in acknowledged if not ledger.is_exported(f"asset-{number}")]
        assert lost == []
        assert len(ledger) <= len(acknowledged) + 12
        for month in range(1, 13):
            counted = sum(1 for record in ledger.records() if record.month == month)
            assert ledger.month_summary(2025, month, 10**6).exported_count == counted


changes = st.lists(
    st.tuples(
        st.sampled_from(["progress", "done", "fail", "remove", "reopen", "die", "compact"]), st.sampled_from("abc")
    ),
    max_size=30,
)


@pytest.mark.promise("S0-022", "S0-023", "S0-036", "S0-U05", "S0-U06")
@settings(max_examples=60, deadline=None)
@given(changes)
def test_any_history_reads_back_as_a_dictionary_would(tmp_path_factory: pytest.TempPathFactory, history: list) -> None:
    folder = tmp_path_factory.mktemp("ledger") / "ExportRecords"
    ledger, model = open_ledger(folder), {}
    for verb, key in history:
        if verb == "progress":
            model[key] = ledger.mark_in_progress(key, PLACE)
        elif verb == "done":
            model[key] = ledger.mark_exported(key, PLACE, f"{key}.JPG")
        elif verb == "fail":
            model[key] = ledger.mark_failed(key, "Disk full", PLACE)
        elif verb == "remove":
            assert ledger.remove(key) == (model.pop(key, None) is not None)
        elif verb == "compact":
            ledger.compact()
        else:
            ledger._release() if verb == "die" else ledger.close()
            ledger, model = open_ledger(folder), as_loaded(model)
        assert contents(ledger) == model
        done = sum(record.status is RecordStatus.DONE for record in model.values())
        assert ledger.month_summary(2025, 2, 3).exported_count == done
    ledger.close()
