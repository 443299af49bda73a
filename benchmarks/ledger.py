"""Measure the ledger of a folder export: a first export of many records, appends, and opening it again.

    python benchmarks/ledger.py [--records 500000] [--folder /a/folder/on/the/disk/in/question]

Appends are compared with a plain write and fsync of as many bytes, by turns in the same run. Bytes are those that the
process handed to `write`, from /proc/self/io.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from exports.ledger.load import SNAPSHOT_NAME, load_ledger  # noqa: E402
from exports.ledger.records import ExportRecord, RecordStatus  # noqa: E402
from exports.ledger.store import Ledger, Place  # noqa: E402

GROUP = 16  # as a folder export groups them
APPENDS = 5_000


def record_of(number: int, status: RecordStatus) -> ExportRecord:
    """Return a record as a folder export writes it."""
    year, month = 2000 + number // 20_000, 1 + number // 1_700 % 12
    return ExportRecord(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        year=year,
        month=month,
        rel_path=f"{year}/{month:02}/",
        status=status,
        export_date=datetime(2026, 11, 28, 10, tzinfo=UTC),
        filename=f"IMG_{number:06}.JPG",
        extra={"photoMD5": f"{number:032x}", "sizeBytes": 2_000_000 + number} if status is RecordStatus.DONE else {},
    )


def written_bytes() -> int:
    """Return how many bytes this process has handed to `write` so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def first_export(folder: Path, count: int) -> None:
    """Record a first export of `count` photos; print what it wrote and the CPU time of it."""
    before, began = written_bytes(), time.process_time()
    slowest = 0.0
    with Ledger(folder) as ledger:
        for first in range(0, count, GROUP):
            group = range(first, min(count, first + GROUP))
            for status in (RecordStatus.IN_PROGRESS, RecordStatus.DONE):
                records = [record_of(number, status) for number in group]
                clock = time.monotonic()
                ledger.put_all(records)
                slowest = max(slowest, time.monotonic() - clock)
    written, size = written_bytes() - before, (folder / SNAPSHOT_NAME).stat().st_size
    print(f"first export: {count:,} records, {size / 1e6:.0f} MB; written {written / 1e6:,.0f} MB")
    print(f"  bytes written for each byte of the ledger: {written / size:.1f} (goal: at most 20)")
    print(f"  CPU {time.process_time() - began:.1f} s, slowest append of {GROUP}: {slowest * 1000:.1f} ms")


def load(folder: Path) -> None:
    """Print the CPU time of loading."""
    gc.collect()
    began = time.process_time()
    count = len(load_ledger(folder).state)
    print(f"load of {count:,} records: {time.process_time() - began:.2f} s CPU (goal: at most 5 for 500,000)")


def appends(folder: Path, count: int) -> None:
    """Print how long an append takes against a plain write and fsync of as many bytes; a large compaction comes midway."""
    ours, plain, cpu = [], [], []
    line = b"x" * 330 + b"\n"
    other = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    place = Place(2025, 2, "2025/02/")
    with Ledger(folder) as ledger:
        ledger.put_all(record_of(number, RecordStatus.IN_PROGRESS) for number in range(count // 2 - APPENDS // 2))
        for number in range(APPENDS):
            clock, own = time.perf_counter(), time.thread_time()
            ledger.mark_exported(f"new-{number}", place, "IMG.JPG")
            cpu.append(time.thread_time() - own)
            ours.append(time.perf_counter() - clock)
            clock = time.perf_counter()
            os.write(other, line)
            os.fsync(other)
            plain.append(time.perf_counter() - clock)
    os.close(other)
    (folder / "plain").unlink()
    for name, times in (("append", ours), ("plain write and fsync", plain), ("the append's own CPU", cpu)):
        cuts = statistics.quantiles(times, n=1000)
        print(
            f"{name}: median {cuts[499] * 1000:.2f} ms, p99 {cuts[989] * 1000:.2f} ms, p99.9 {cuts[998] * 1000:.2f} ms, "
            f"most {max(times) * 1000:.1f} ms"
        )


def main() -> None:
    """Run all in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, default=None, help="Where to measure; the system's temporary folder.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "ExportRecords"
        first_export(folder, options.records)
        load(folder)
        appends(folder, options.records)


if __name__ == "__main__":
    main()
