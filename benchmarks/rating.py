"""Rate many photos in bulk and compare with plain exiftool, which stays open, on copies of the same files.

`python benchmarks/rating.py FOLDER`: FOLDER holds JPEGs; they are copied first. Prints one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from catalog.media.exiftool import ExifTool  # noqa: E402
from catalog.media.results import DigestResult  # noqa: E402
from catalog.media.tag_changes import RatingChange  # noqa: E402


def plain(folder: Path) -> float:
    """Seconds that exiftool alone takes to write the same tags into all files, staying open."""
    files = sorted(folder.rglob("*.JPG"))
    with ExifTool() as tool:
        tool.ask(["-ver"], 20)
        started = time.monotonic()
        for file in files:
            tool.ask([*RatingChange(5).arguments(DigestResult()), "-overwrite_original", str(file)], 60)
        return time.monotonic() - started


def ours(folder: Path, data: Path) -> tuple[float, int]:
    """Seconds that the writer takes for all files of a library, and how many it wrote; start-up not counted."""
    environment = {**os.environ, "PHOTOLALA_DATA": str(data), "PHOTOLALA_ROOTS": str(folder)}
    manage = [sys.executable, str(ROOT / "manage.py")]
    rate = (
        "from catalog.edits import ratings; from catalog.models import Photo; from operations import wake_up; "
        "from accounts.models import User; wake_up.enqueue = lambda operation: 0; "
        "ratings.set_ratings(User.objects.get(), list(Photo.objects.values_list('pk', flat=True)), 5)"
    )
    user = "from accounts.models import User; User.objects.create_user('alice')"
    for words in (
        ["migrate", "-v0"],
        ["shell", "-v0", "-c", user],
        ["scan", str(folder), "--user", "alice", "--json"],
        ["shell", "-v0", "-c", rate],
    ):
        subprocess.run([*manage, *words], env=environment, check=True, capture_output=True)
    find = "from catalog.models import Library; print(Library.objects.get().pk)"
    library = subprocess.run(
        [*manage, "shell", "-v0", "-c", find], env=environment, check=True, capture_output=True, text=True
    )
    key = library.stdout.split()[-1]
    subprocess.run(
        [*manage, "writes", "run", "--library", key, "--json"], env=environment, check=True, capture_output=True
    )
    times = (
        "from operations.models import Operation; o = Operation.objects.get(kind='write'); "
        "print((o.finished_at - o.started_at).total_seconds(), o.result['written'])"
    )
    said = subprocess.run(
        [*manage, "shell", "-v0", "-c", times], env=environment, check=True, capture_output=True, text=True
    )
    seconds, written = said.stdout.split()[-2:]
    return float(seconds), int(written)


def main() -> None:
    """Measure both, by turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as scratch:
            for name in ("plain", "ours"):
                shutil.copytree(options.folder, Path(scratch, name))
            files = len(list(Path(scratch, "plain").rglob("*.JPG")))
            reference = plain(Path(scratch, "plain"))
            seconds, written = ours(Path(scratch, "ours"), Path(scratch, "data"))
            rows.append(
                {"files": files, "written": written, "plain_per_s": files / reference, "ours_per_s": written / seconds}
            )
    rows.sort(key=lambda row: row["ours_per_s"] / row["plain_per_s"])
    middle = rows[len(rows) // 2]
    print(json.dumps({**middle, "ratio": round(middle["ours_per_s"] / middle["plain_per_s"], 3)}, indent=2))


if __name__ == "__main__":
    main()
