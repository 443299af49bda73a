"""Scan and rescan folders of very different sizes; print what a photo costs in each.

    python benchmarks/million.py /path/to/100000-small-jpegs /path/to/1000000-small-jpegs

CPU seconds are those of the process and all its children, so that the ratios hold on a machine that does other things, too.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.run import Bench, Figures  # noqa: E402


def line(what: str, count: int, figures: Figures, result: dict[str, object]) -> dict[str, object]:
    """Return one row of the table, and print it at once: a million takes its time."""
    row = {
        "what": what,
        "photos": count,
        "cpu_ms_per_photo": round(1000 * figures.cpu_seconds / count, 4),
        "wall_seconds": round(figures.wall_seconds, 1),
        "in_process_seconds": result["seconds"],
        "survey_seconds": result["survey_seconds"],
        "largest_mib": round(figures.largest_mib, 1),
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure each folder with a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for root in options.folders:
        with tempfile.TemporaryDirectory() as name:
            bench = Bench(Path(name))
            figures, result = bench.scan(root)
            count = int(str(result["found"]))
            rows.append(line("scan", count, figures, result))
            figures, result = bench.scan(root)
            rows.append(line("rescan", count, figures, result))
            data = Path(name) / "data"
            database = sum(path.stat().st_size for path in data.glob("*.sqlite3*"))
            snapshots = sum(path.stat().st_size for path in root.glob(".photolala.*.sqlite"))
            sizes = {"database_bytes_per_photo": database // count, "snapshot_bytes_per_photo": snapshots // count}
            print(json.dumps({"photos": count, **sizes}), flush=True)
        for path in root.glob(".photolala.*"):
            os.unlink(path)
    by_count = {(row["what"], row["photos"]): float(str(row["cpu_ms_per_photo"])) for row in rows}
    for what in ("scan", "rescan"):
        counts = sorted(count for kind, count in by_count if kind == what)
        for count in counts[1:]:
            ratio = by_count[what, count] / by_count[what, counts[0]]
            print(f"{what}: a photo of {count:,} costs {ratio:.2f} x one of {counts[0]:,} (goal <= 1.10)")


if __name__ == "__main__":
    main()
