"""Import a folder against copying it and scanning the copy: what the checks, the names and the rows cost.

python benchmarks/importing.py /path/to/jpegs
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.run import Bench, measure  # noqa: E402


def main() -> None:
    """Do both in one run, three times each by turns, and print the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    ours, theirs = [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            (place / "copied").mkdir()
            (place / "imported").mkdir()
            (place / "one").mkdir()
            bench = Bench(place / "one")
            copying, _ = measure(["cp", "-r", str(folder), str(place / "copied")])
            began = time.monotonic()
            subprocess.run(["sync", "-f", str(place / "copied")], check=True)  # an import's files are on the disk, too
            synced = time.monotonic() - began
            scanning, result = bench.scan(place / "copied")
            theirs.append(
                (copying.wall_seconds + synced + scanning.wall_seconds, copying.cpu_seconds + scanning.cpu_seconds)
            )
            bench.scan(place / "imported")
            words = ("import_folder", str(folder), "--library", str(place / "imported"), "--user", "bench", "--json")
            importing, printed = bench.manage(*words)
            imported = json.loads(printed.splitlines()[-1])["imported"]
            if imported != result["found"]:
                raise SystemExit(f"{imported} were imported, {result['found']} scanned: the comparison does not hold.")
            ours.append((importing.wall_seconds, importing.cpu_seconds))
    for position, what in enumerate(("wall", "CPU")):
        mine, other = (sorted(pair[position] for pair in pairs)[1] for pairs in (ours, theirs))
        print(f"import of {imported:,} files, {what}: {mine:.2f} s; cp + scan {other:.2f} s; ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
