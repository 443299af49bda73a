"""The crash matrix: each step of the catalog's life, hurt in each way at several points, then run again.

By hand, as root, with strace: `python -m tests.drills.matrix [--points 3] [--steps scan,rescan] [--faults kill-fsync]`.
After each fault the database must be whole, what people gave must be there, and the same command, run again without a
fault, must lead to what an undisturbed one leads to, to the byte. Prints a table; ends with 1 if anything did not survive.
"""

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drills.scanning import LIBRARY_ID, Installation, contents, descendants, differences, kill
from tests.photos import make_library

PHOTOS = 40
GIVEN = (
    "from catalog.models import Photo; from catalog.stars import star; from accounts.models import User; "
    "u = User.objects.get(); [star(u, p.pk, 4) for p in Photo.objects.order_by('directory', 'filename')[:5]]"
)
ONE_RATING = "SELECT count(*) FROM catalog_photo WHERE rating = 4"
SECONDS = 300
TRACED = {
    "fsync": "fsync,fdatasync",
    "rename": "rename,renameat,renameat2",
    "write": "pwrite64",
    "unlink": "unlink,unlinkat",
}


@dataclass(frozen=True)
class Step:
    """A command, and what lies there before it."""

    name: str
    words: tuple[str, ...]
    has_catalog: bool
    is_changed: bool = False


STEPS = [
    Step("scan", ("scan", LIBRARY_ID, "--json"), has_catalog=False),
    Step("rescan", ("scan", LIBRARY_ID, "--json"), has_catalog=True, is_changed=True),
    Step("rebuild", ("rebuild", LIBRARY_ID, "--json"), has_catalog=True, is_changed=True),
    Step("prune", ("cache", "prune", "--quota", "0", "--json"), has_catalog=True),
    Step("import", ("import_folder", "{incoming}", "--library", LIBRARY_ID, "--json"), has_catalog=True),
]
SETTLED_BY_A_SCAN = ("rebuild", "prune", "import")


class Bench:
    """One folder for all runs, for paths are part of what a catalog says; each run begins from the same state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photos, self.data = folder / "photos", folder / "data"
        self.installation = Installation(self.data, self.photos)
        self.installation = Installation(self.data, make_library(self.photos, PHOTOS))
        self.installation.prepare()
        code = (
            f"from catalog.models import Library; Library.objects.filter(pk='{LIBRARY_ID}').update(ratings='database')"
        )
        self.manage("shell", "-v0", "-c", code)
        make_library(folder / "incoming", 25)
        for number, file in enumerate(sorted((folder / "incoming").rglob("*.JPG"))[:12]):
            if number < 6:
                file.write_bytes(file.read_bytes() + b"new")  # the others are in the library already
            if number % 3 == 0:
                file.with_suffix(".JPG.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
            os.utime(file, (1_600_000_000, 1_600_000_000))
        self.keep("fresh")
        self.installation.finish()
        self.manage("shell", "-v0", "-c", GIVEN)
        self.keep("scanned")

    def manage(self, *words: str) -> None:
        subprocess.run(
            self.installation.manage(*words), env=self.installation.environment, check=True, capture_output=True
        )

    def keep(self, name: str) -> None:
        for part in ("photos", "data"):
            shutil.copytree(self.folder / part, self.folder / f"{name}-{part}", copy_function=shutil.copy2)

    def begin(self, step: Step) -> None:
        """Make the state from which the step starts."""
        name = "scanned" if step.has_catalog else "fresh"
        for part in ("photos", "data"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
            shutil.copytree(self.folder / f"{name}-{part}", self.folder / part, copy_function=shutil.copy2)
        if step.is_changed:
            files = sorted(path for path in self.photos.rglob("*.JPG"))
            for number, file in enumerate(files[6:9]):
                file.write_bytes(files[20 + number].read_bytes() + b"edited")
                os.utime(file, (1_700_000_000, 1_700_000_000))
            files[10].unlink()
            files[11].rename(self.photos / "moved.JPG")

    def run(self, step: Step, *before: str, meanwhile: Callable[[int], None] | None = None) -> tuple[int, str]:
        """Run the step's command to whatever end; return its exit code and what it said."""
        process = subprocess.Popen(
            [
                *before,
                *self.installation.manage(*(word.format(incoming=self.folder / "incoming") for word in step.words)),
            ],
            env={
                **self.installation.environment,
                "PHOTOLALA_DECODERS": "1",
                "PHOTOLALA_ROOTS": f"{self.photos}:{self.folder / 'incoming'}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if meanwhile:
            meanwhile(process.pid)
        try:
            said, _ = process.communicate(timeout=SECONDS)
        finally:
            for pid in [process.pid, *descendants(process.pid)]:
                kill(pid)
        return process.returncode, said.decode(errors="replace")

    def found(self, step: Step) -> dict[str, object]:
        """What there is now: rows, cache, root, stars.

        A rebuild that was begun twice has backed up twice: of its snapshots only the current one is compared. What a
        killed publisher left half-written is removed by later ones when it is a day old.
        """
        everything = contents(self.installation)
        is_kept = {name: "/.photolala." not in name and "root .photolala." not in name for name in everything}
        found = {
            name: value
            for name, value in everything.items()
            if (step.name != "rebuild" or is_kept[name]) and not name.endswith(".tmp")
        }
        found["rated"] = self.installation.ask(ONE_RATING)
        found["current"] = (self.photos / ".photolala.md5").read_text().splitlines()[0]
        for row in found.values():
            if isinstance(row, dict) and "missing_since" in row:
                row["missing_since"] = row["missing_since"] is not None  # when is the time of the run
        return found

    def trouble(self, step: Step) -> list[str]:
        """Return what is wrong right after a fault."""
        with closing(sqlite3.connect(self.data / "photolala.sqlite3", timeout=30)) as database:
            (whole,) = database.execute("PRAGMA integrity_check").fetchone()
            (rated,) = database.execute(ONE_RATING).fetchone()
        wrong = [] if whole == "ok" else [f"integrity_check says {whole}"]
        return wrong if rated == (5 if step.has_catalog else 0) else [*wrong, f"{rated} ratings are left of 5"]


def count_calls(bench: Bench, step: Step, calls: str) -> int:
    """Return how often the step's command makes these system calls, all its processes together."""
    bench.begin(step)
    log = bench.folder / "calls"
    bench.run(step, "strace", "-f", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(log))
    return sum(1 for line in log.read_text(errors="replace").splitlines() if "(" in line and "resumed" not in line)


def injected(calls: str, what: str) -> Callable[[Bench, Step, float], tuple[int, str]]:
    """Return the fault that strikes the n-th of these calls, n being a share of all."""
    counted: dict[str, int] = {}

    def strike(bench: Bench, step: Step, share: float) -> tuple[int, str]:
        if step.name not in counted:
            counted[step.name] = count_calls(bench, step, TRACED[calls])
            bench.begin(step)
        number = max(1, round(share * counted[step.name]))
        inject = f"inject={TRACED[calls]}:{what}:when={number}"
        return bench.run(step, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={TRACED[calls]}", "-e", inject)

    return strike


def stopped(number: int) -> Callable[[Bench, Step, float], tuple[int, str]]:
    """Return the fault that sends a signal to the command after a share of its time."""

    def strike(bench: Bench, step: Step, share: float) -> tuple[int, str]:
        def meanwhile(pid: int) -> None:
            time.sleep(1.0 + 2.0 * share)
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

        return bench.run(step, meanwhile=meanwhile)

    return strike


@contextmanager
def small_disk(folder: Path, free_bytes: int) -> Iterator[None]:
    """Let `folder` lie on a file system of its own with so much room."""
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    aside = folder.with_name(folder.name + "-aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + free_bytes}", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(aside, folder, copy_function=shutil.copy2, dirs_exist_ok=True)
        yield
    finally:
        shutil.rmtree(aside)
        shutil.copytree(folder, aside, copy_function=shutil.copy2)
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()
        aside.rename(folder)


def full_disk(bench: Bench, step: Step, share: float) -> tuple[int, str]:
    """The data folder's disk is full after a share of what the step writes (about 700 kB)."""
    with small_disk(bench.data, int(32_768 + share * 700_000)):
        return bench.run(step)


def read_only_root(bench: Bench, step: Step, share: float) -> tuple[int, str]:
    """The photos' file system becomes read-only while the step runs, and writable again after it."""
    subprocess.run(["mount", "--bind", str(bench.photos), str(bench.photos)], check=True)

    def meanwhile(pid: int) -> None:
        time.sleep(0.5 + 2.0 * share)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(bench.photos)], check=False, capture_output=True)

    try:
        return bench.run(step, meanwhile=meanwhile)
    finally:
        subprocess.run(["umount", "-l", str(bench.photos)], check=True)


FAULTS: dict[str, Callable[[Bench, Step, float], tuple[int, str]]] = {
    "kill-fsync": injected("fsync", "signal=KILL"),
    "kill-rename": injected("rename", "signal=KILL"),
    "kill-write": injected("write", "signal=KILL"),
    "kill-unlink": injected("unlink", "signal=KILL"),
    "eio-fsync": injected("fsync", "error=EIO"),
    "eio-rename": injected("rename", "error=EIO"),
    "eio-write": injected("write", "error=EIO"),
    "enospc-write": injected("write", "error=ENOSPC"),
    "sigterm": stopped(signal.SIGTERM),
    "full-disk": full_disk,
    "read-only-root": read_only_root,
}


def try_point(bench: Bench, step: Step, fault: str, share: float, expected: dict[str, object]) -> list[str]:
    """Hurt the step once; return what did not survive."""
    bench.begin(step)
    code, said = FAULTS[fault](bench, step, share)
    wrong = bench.trouble(step)
    if "Traceback" in said and "Traceback" not in fault:
        wrong.append(f"it said: {said[-1500:]}")
    again, words = bench.run(step)
    if again not in (0, 1):
        wrong.append(f"run again it ended with {again} (first {code}): {words[-800:]}")
    if step.name in SETTLED_BY_A_SCAN:
        bench.run(STEPS[0])  # a scan settles both
    return [*wrong, *differences(expected, bench.found(step))[:6]]


def undisturbed(bench: Bench, step: Step) -> dict[str, object]:
    """Return what the step leads to if nothing hurts it."""
    bench.begin(step)
    code, said = bench.run(step)
    assert code in (0, 1), said
    if step.name in SETTLED_BY_A_SCAN:
        bench.run(STEPS[0])
    return bench.found(step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=3)
    parser.add_argument("--steps", default=",".join(step.name for step in STEPS))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    tried: dict[tuple[str, str], list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        bench = Bench(Path(folder))
        for step in STEPS:
            if step.name not in options.steps.split(","):
                continue
            expected = undisturbed(bench, step)
            for fault in options.faults.split(","):
                for number in range(options.points):
                    share = (number + randomness.random()) / options.points
                    wrong = try_point(bench, step, fault, share, expected)
                    tried[step.name, fault].append(not wrong)
                    if wrong:
                        print(f"NOT SURVIVED: {step.name}, {fault} at {share:.2f}:", *wrong, sep="\n    ", flush=True)
                print(f"{step.name:8} {fault:16} {sum(tried[step.name, fault])}/{options.points}", flush=True)
    lived, all_of_them = sum(map(sum, tried.values())), sum(map(len, tried.values()))
    print(f"\n{all_of_them} points tried, {lived} survived")
    sys.exit(0 if lived == all_of_them else 1)


if __name__ == "__main__":
    main()
