"""Measure a scan against its references in the same run; print a table, write JSON.

    python benchmarks/run.py --photos /path/to/200-large-jpegs --tiny /path/to/100000-small-jpegs

Without folders it makes small ones of its own (the ratios then say little). CPU seconds are those of the process and all
its children. Needs exiftool, vipsthumbnail (Debian: libvips-tools) and find.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.drills.scanning import descendants  # noqa: E402
from tests.photos import make_jpeg, make_library  # noqa: E402


@dataclass
class Figures:
    """What one command took."""

    cpu_seconds: float
    wall_seconds: float
    largest_mib: float
    """Of all its processes together, sampled four times a second."""


def memory_of(pid: int) -> float:
    """Return the memory of a process and all below it in MiB, each page counted once (PSS)."""
    total = 0
    for one in (pid, *descendants(pid)):
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return total / 1024


def measure(command: list[str], environment: dict[str, str] | None = None) -> tuple[Figures, str]:
    """Run a command; return its figures and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    largest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.25):
            largest = max(largest, memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    done.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(cpu, time.monotonic() - began, largest), out.decode()


class Bench:
    """One data folder, in which libraries are scanned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PHOTOLALA_DATA": str(folder / "data"), "PHOTOLALA_ROOTS": "/"}
        self.rows: list[dict[str, object]] = []
        self.manage("migrate", "-v0")
        self.manage("shell", "-v0", "-c", "from accounts.models import User; User.objects.create_user('bench')")

    def manage(self, *words: str) -> tuple[Figures, str]:
        """Run a command of the project."""
        return measure([sys.executable, str(PROJECT / "manage.py"), *words], self.environment)

    def scan(self, root: Path) -> tuple[Figures, dict[str, object]]:
        """Scan a folder in the foreground."""
        figures, printed = self.manage("scan", str(root), "--user", "bench", "--json")
        if not printed.strip():
            raise SystemExit(f"The scan of {root} said nothing; run `manage.py scan` on it to see why.")
        return figures, json.loads(printed.splitlines()[-1])

    def row(self, what: str, ours: float, reference: float, unit: str, goal: str) -> None:
        """Add a line to the table."""
        ratio = ours / reference if reference else 0.0
        self.rows.append(
            {
                "what": what,
                "ours": round(ours, 4),
                "reference": round(reference, 4),
                "unit": unit,
                "ratio": round(ratio, 2),
                "goal": goal,
            }
        )

    def first_scan(self, root: Path) -> None:
        """CPU per photo of a whole first scan against the composed pipeline, start-up of Python included."""
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
        listing = self.folder / "list"
        listing.write_text("".join(f"{path}\n" for path in files))
        for path in files:
            path.read_bytes()  # warm: both read from memory
        ours, result = self.scan(root)
        reference, _ = measure(
            [str(PROJECT / "benchmarks/reference_pipeline.sh"), str(listing), str(self.folder / "ref")]
        )
        count = int(str(result["found"]))
        milliseconds = 1000 / count
        self.row(
            f"first scan of {count:,} photos, CPU per photo",
            ours.cpu_seconds * milliseconds,
            reference.cpu_seconds * milliseconds,
            "ms",
            "<= 0.60",
        )
        self.row(
            "the same, wall time per photo",
            ours.wall_seconds * milliseconds,
            reference.wall_seconds * milliseconds,
            "ms",
            "",
        )
        self.row("memory of the scan and its decoders together", ours.largest_mib, 300, "MiB", "<= 300 MiB")

    def many(self, root: Path) -> None:
        """Survey and rescan of very many files against find."""
        find = ["find", str(root), "-printf", "%p %s %T@\\n"]
        measure(find)
        ours, result = self.scan(root)
        count, seconds = int(str(result["found"])), float(str(result["survey_seconds"]))
        cores = os.cpu_count() or 1
        self.row(
            f"survey of {count:,} photos, per second and core", count / seconds / cores, 1000, "photos/s", ">= 1,000"
        )
        self.row("memory of that scan and its decoders", ours.largest_mib, 300, "MiB", "<= 300 MiB")
        in_process = [float(str(self.scan(root)[1]["seconds"])) for _ in range(5)]
        references = [measure(find)[0].wall_seconds for _ in range(5)]
        self.row(
            f"rescan of {count:,}, nothing changed, in process",
            min(in_process),
            min(references),
            "s",
            "<= 2.5 x find",
        )

    def changed(self, root: Path) -> None:
        """Change 100 files among very many, rescan, and put them back; tell where the time goes."""
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() == ".jpg")
        chosen = files[:: max(1, len(files) // 100)][:100]
        kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in chosen}
        unchanged = min(float(str(self.scan(root)[1]["seconds"])) for _ in range(3))
        for path, (data, _) in kept.items():
            path.write_bytes(data + b"changed")
            os.utime(path, (1_600_000_000, 1_600_000_000))
        _, result = self.scan(root)
        stages = self.stages()
        for path, (data, mtime_ns) in kept.items():
            path.write_bytes(data)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        seconds = float(str(result["seconds"]))
        snapshot = stages.pop("Writing the catalog snapshot", 0.0)
        count = f"{len(files):,}"
        self.row(f"snapshot of {count} entries, from rows to verified file and pointer", snapshot, 1.0, "s", "<= 1.0 s")
        self.row(
            f"rescan of {count}, {len(chosen)} changed, without that snapshot",
            seconds - snapshot,
            unchanged,
            "s",
            "no-change rescan + the files' own cost",
        )

    def stages(self) -> dict[str, float]:
        """Return the seconds of each stage of the latest operation."""
        code = (
            "import json; from operations.models import Operation; "
            "o = Operation.objects.order_by('created_at').last(); print(json.dumps(o.metrics))"
        )
        _, printed = self.manage("shell", "-v0", "-c", code)
        return {one["name"]: one["seconds"] for one in json.loads(printed.splitlines()[-1]).get("stages", [])}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="A folder of large JPEGs.")
    parser.add_argument("--tiny", type=Path, help="A folder of very many small JPEGs.")
    parser.add_argument("--json", type=Path, default=PROJECT / "benchmarks" / "results.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(folder)
        photos, tiny = options.photos, options.tiny
        if not photos or not tiny:
            photos = photos or make_jpeg(folder / "photos" / "one.jpg", size=(4000, 3000)).parent
            tiny = tiny or make_library(folder / "tiny", 1000)
        bench.first_scan(photos)
        bench.many(tiny)
        bench.changed(tiny)
    print("| what | ours | reference | unit | ratio | goal |\n|---|---|---|---|---|---|")
    for row in bench.rows:
        print("| " + " | ".join(str(row[key]) for key in ("what", "ours", "reference", "unit", "ratio", "goal")) + " |")
    options.json.write_text(json.dumps({"rows": bench.rows, "cores": os.cpu_count()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
