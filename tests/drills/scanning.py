"""Scan in real processes that are killed, and compare all that they left with an undisturbed scan.

By hand: `python -m tests.drills.scanning --photos 2000 --kills 20 [--everything]`.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.installations import DATABASE, LIBRARY_ID, PROJECT, own_environment, put_database
from tests.photos import make_library

NOT_CONTENT = {
    "catalog_photo": {"added_at", "claim_token", "claimed_for", "claimed_until"},
    "catalog_hashcache": {"id", "cached_at"},
    "catalog_photometadata": set(),
}


@dataclass
class Installation:
    """A data folder of its own with one user and one library over `root`."""

    data: Path
    root: Path
    library: str = LIBRARY_ID
    extra: dict[str, str] = field(default_factory=dict)
    address: str = ""
    """Of the library, where that is not the folder `root`: a bucket's."""

    @property
    def environment(self) -> dict[str, str]:
        return own_environment(self.data, **{"PHOTOLALA_ROOTS": self.address or str(self.root), **self.extra})

    def manage(self, *words: str) -> list[str]:
        return [sys.executable, str(PROJECT / "manage.py"), *words]

    def prepare(self, server: str = "") -> None:
        """Give it a migrated database with the user and the library with the fixed id; on a server if one is named."""
        named = put_database(self.data, server)
        self.extra |= named
        values = (self.address or str(self.root), "s3" if self.address else "local")
        if named:
            with psycopg.connect(named[DATABASE]) as database:
                database.execute("UPDATE catalog_library SET root = %s, source = %s", values)
        else:
            with closing(sqlite3.connect(self.data / "photolala.sqlite3")) as database, database:
                database.execute("UPDATE catalog_library SET root = ?, source = ?", values)

    def scan(self) -> "subprocess.Popen[bytes]":
        """Start a scan in the foreground, in a process group of its own."""
        return subprocess.Popen(
            self.manage("scan", self.library, "--json"),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def ask(self, sql: str) -> tuple | None:
        """Return the first row of a query on the database."""
        with sqlite3.connect(f"file:{self.data}/photolala.sqlite3?mode=ro", uri=True, timeout=30) as database:
            return database.execute(sql).fetchone()

    def wait_until_running(self, process: "subprocess.Popen[bytes]") -> None:
        """Return when `process` has claimed its scan (or has ended)."""
        mine = f"SELECT 1 FROM operations_operation WHERE state = 'running' AND worker LIKE '%|{process.pid}:%'"
        while process.poll() is None and not self.ask(mine):
            time.sleep(0.005)

    def moment(self) -> str:
        """Say what the running scan is at."""
        (phase,) = self.ask("SELECT phase FROM operations_operation ORDER BY created_at DESC LIMIT 1") or ("",)
        words = {"heads": "survey", "thumbnails": "digest", "snapshot": "finish"}
        return next((moment for word, moment in words.items() if word in phase), "start")

    def finish(self) -> dict:
        """Run a scan to its end and return what it printed."""
        process = self.scan()
        out, err = process.communicate(timeout=600)
        if process.returncode not in (0, 1) or not out.strip():
            raise AssertionError(f"The scan ended with {process.returncode}: {err.decode()[-2000:]}")
        return json.loads(out.splitlines()[-1])


def contents(installation: Installation) -> dict[str, object]:
    """Return all that a scan leaves: rows, cache files, root files; without times of writing and fencing numbers."""
    found: dict[str, object] = {}
    with sqlite3.connect(f"file:{installation.data}/photolala.sqlite3?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        for table, skipped in NOT_CONTENT.items():
            rows = [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
            for row in rows:
                key = row.get("path") or row.get("photo_id") or f"{row['directory']}/{row['filename']}"
                found[f"{table} {key}"] = {name: value for name, value in row.items() if name not in skipped}
    root_md5 = hashlib.md5(f"file://{installation.root}".encode()).hexdigest()
    for folder, label in ((installation.data / "cache", "cache"), (installation.root, "root")):
        for path in folder.rglob("*"):
            if path.is_file():
                name = str(path.relative_to(folder)).replace(root_md5, "<root>")
                found[f"{label} {name}"] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def differences(expected: dict[str, object], actual: dict[str, object]) -> list[str]:
    """Return what differs, a line each."""
    return [
        f"{key}: {expected.get(key, 'not there')} != {actual.get(key, 'not there')}"
        for key in sorted(expected.keys() | actual.keys())
        if expected.get(key) != actual.get(key)
    ]


def descendants(pid: int) -> list[int]:
    """Return the process ids below `pid`, the nearest first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(0), []):
            found.append(child)
            waiting.append(child)
    return found


def kill(pid: int) -> None:
    """SIGKILL, without complaint if it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_drill(photos: int, kills: int, *, seed: int, folder: Path, everything: bool) -> dict[str, object]:
    """Scan `photos` files undisturbed, then the same files with `kills` kill -9 at random moments; compare.

    With `everything` the whole process group dies each time, else by turns the scanning process or one decoder.
    """
    randomness = random.Random(seed)
    undisturbed = Installation(folder / "a-data", make_library(folder / "a-photos", photos))
    disturbed = Installation(folder / "b-data", folder / "b-photos")
    shutil.copytree(undisturbed.root, disturbed.root, copy_function=shutil.copy2)
    undisturbed.prepare()
    disturbed.prepare()
    expected = undisturbed.finish()
    killed = {"survey": 0, "digest": 0, "finish": 0, "start": 0, "after the end": 0}
    for number in range(kills):
        process = disturbed.scan()
        disturbed.wait_until_running(process)
        # Each run gets a share of the whole time, so that the last kills still find work.
        time.sleep(randomness.uniform(0.0, 2.0 * expected["seconds"] / kills))
        if not everything and number % 3 == 2:
            for decoder in descendants(process.pid)[:1]:  # one decoder; the scan goes on, and is killed a moment later
                kill(decoder)
            time.sleep(randomness.uniform(0.0, 0.2))
        moment = disturbed.moment() if process.poll() is None else "after the end"
        for pid in [process.pid, *(descendants(process.pid) if everything else [])]:
            kill(pid)
        process.communicate()
        killed[moment] += 1
    actual = disturbed.finish()
    return {
        "kills": killed,
        "same_snapshot": expected["snapshot_md5"] == actual["snapshot_md5"],
        "differences": differences(contents(undisturbed), contents(disturbed)),
        "expected": expected,
        "actual": actual,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--everything", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_drill(
            options.photos, options.kills, seed=options.seed, folder=Path(folder), everything=options.everything
        )
    lines = outcome.pop("differences")
    print(json.dumps(outcome, indent=2))
    print("\n".join(lines[:20]) or "no differences")
    sys.exit(1 if lines or not outcome["same_snapshot"] else 0)


if __name__ == "__main__":
    main()
