"""Rate many files in real processes that are killed at random moments: every file must be its old or its new self, whole.

By hand: `python -m tests.drills.rating --photos 500 --kills 200`.
"""

import argparse
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.drills.scanning import LIBRARY_ID, Installation, descendants, kill
from tests.photos import make_library

RATING = re.compile(rb'<xmp:Rating>(\d)</xmp:Rating>|xmp:Rating="(\d)"')


def pixels_of(data: bytes) -> str:
    """MD5 of all decoded pixels; raises for a file that is not whole."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return hashlib.md5(image.tobytes()).hexdigest()


def stars_in(data: bytes) -> int:
    """What the file's XMP says."""
    match = RATING.search(data)
    return int(match[1] or match[2]) if match else 0


class Drill:
    """One library whose photos are rated again and again."""

    def __init__(self, folder: Path, photos: int, seed: int) -> None:
        self.randomness = random.Random(seed)
        self.installation = Installation(folder / "data", make_library(folder / "photos", photos))
        self.installation.prepare()
        self.installation.finish()
        self.files = sorted(self.installation.root.rglob("*.jpg"))
        self.pixels = {file: pixels_of(file.read_bytes()) for file in self.files}
        self.stars = 0
        self.allowed: set[int] = {0}
        self.kills = {"before": 0, "writing": 0, "after": 0}

    def rate_all(self) -> None:
        """Give all photos other stars; nothing is written yet."""
        self.stars = self.randomness.choice([n for n in range(6) if n != self.stars])
        self.allowed = {self.stars, *(stars_in(file.read_bytes()) for file in self.files)}
        code = (
            "from catalog.edits import ratings; from catalog.models import Photo; from operations import wake_up; "
            "from accounts.models import User; wake_up.enqueue = lambda operation: 0; "
            f"ratings.set_ratings(User.objects.get(), list(Photo.objects.values_list('pk', flat=True)), {self.stars})"
        )
        subprocess.run(
            self.installation.manage("shell", "-v0", "-c", code),
            env=self.installation.environment,
            check=True,
            capture_output=True,
        )

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.installation.manage("writes", "run", "--library", LIBRARY_ID, "--all", "--json"),
            env=self.installation.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def left(self) -> int:
        (count,) = self.installation.ask(
            "SELECT count(*) FROM catalog_filewrite WHERE state IN ('pending', 'writing', 'failed')"
        ) or (0,)
        return int(count)

    def kill_once(self) -> None:
        """Start a writer and kill it a moment after it has begun."""
        if not self.left():
            self.rate_all()
        process = self.start()
        self.installation.wait_until_running(process)
        before = self.left()
        time.sleep(self.randomness.uniform(0.0, 3.0))
        now = self.left()
        moment = "after" if process.poll() is not None else "writing" if now < before else "before"
        everything = self.randomness.random() < 0.5
        for pid in [process.pid, *(descendants(process.pid) if everything else [])]:
            kill(pid)
        process.communicate()
        self.kills[moment] += 1
        self.check_files()

    def check_files(self) -> None:
        """Every file decodes to the same pixels and has its old or its new stars."""
        for file in self.files:
            data = file.read_bytes()
            assert pixels_of(data) == self.pixels[file], f"{file} shows another picture"
            assert stars_in(data) in self.allowed, f"{file} has {stars_in(data)} stars, not one of {self.allowed}"

    def finish(self) -> dict:
        """Write all that is left, scan, and compare catalog and files."""
        for _ in range(3):  # a file that was being written when its writer died may be tried once more
            process = self.start()
            out, err = process.communicate(timeout=900)
            assert process.returncode in (0, 1), err.decode()[-2000:]
            if not self.left():
                break
        scanned = self.installation.finish()
        hidden = list(self.installation.root.rglob(".photolala-write-*"))
        wrong = [str(file) for file in self.files if stars_in(file.read_bytes()) != self.stars]
        (different,) = self.installation.ask(
            f"SELECT count(*) FROM catalog_photo WHERE coalesce(rating, 0) <> {self.stars} OR rating_held"
        ) or (0,)
        return {
            "kills": self.kills,
            "open": self.left(),
            "first_open": self.installation.ask(
                "SELECT state, code, reason, attempts, claim_token, old_md5, new_md5, wanted, previous FROM catalog_filewrite "
                "WHERE state IN ('pending', 'writing', 'failed')"
            ),
            "files_with_other_stars": wrong,
            "rows_with_other_stars": different,
            "left_behind": [str(path) for path in hidden],
            "changed_for_the_scan": scanned["changed"] + scanned["added"] + scanned["gone"],
            "last_result": json.loads(out.splitlines()[-1]),
        }


def run_drill(photos: int, kills: int, *, seed: int, folder: Path) -> dict:
    """Rate `photos` files and kill the writer `kills` times; raises AssertionError for a file that is hurt."""
    drill = Drill(folder, photos, seed)
    for _ in range(kills):
        drill.kill_once()
    return drill.finish()


def is_good(outcome: dict) -> bool:
    """Nothing open, nothing left behind, catalog and files agree."""
    names = ("open", "files_with_other_stars", "rows_with_other_stars", "left_behind", "changed_for_the_scan")
    return not any(outcome[name] for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_drill(options.photos, options.kills, seed=options.seed, folder=Path(folder))
    print(json.dumps(outcome, indent=2))
    sys.exit(0 if is_good(outcome) else 1)


if __name__ == "__main__":
    main()
