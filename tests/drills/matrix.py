"""The crash matrix: each step of the catalog's life, hurt in each way at several points, then run again.

By hand, as root, with strace: `python -m tests.drills.matrix [--points 3] [--steps scan,rescan] [--faults kill-fsync]`.
After each fault the database must be whole, what people gave must be there, and the same command, run again without a
fault, must lead to what an undisturbed one leads to, to the byte. Prints a table; ends with 1 if anything did not survive.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drills.scanning import LIBRARY_ID, Installation, contents, descendants, differences, kill
from tests.photos import make_jpeg, make_library
from tests.servers.s3 import BUCKET, running_s3, s3_client

PHOTOS = 40
PREFIX = "matrix"
GIVEN = (
    "from catalog.models import Photo; from catalog.edits.stars import star; from accounts.models import User; "
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


BASE = f"""
from django.utils import timezone
from accounts.models import User
from catalog.files import purge, trash, trash_empty
from catalog.models import Library, Photo, TrashItem
from operations.control import resume
from operations.models import Operation
from operations.running import execute
user, library = User.objects.get(), Library.objects.get(pk="{LIBRARY_ID}")
photos = Photo.objects.order_by("directory", "filename")
def finish(kind, begin):
    "Do an operation to its end, as a worker does: one that was left, or a new one."
    last = Operation.objects.filter(kind=kind).order_by("created_at").last()
    if last is not None and last.can_resume:
        resume(last)
    if last is None:
        last = begin()
    done = execute(last.pk)
    if done is not None and done.state != "completed":
        raise SystemExit(done.error)
"""
"""What the steps without a command of their own begin with."""
TRASH = """
trash.settle(library, before=timezone.now())
chosen = [photo.pk for photo in photos[2:12] if photo.state != "missing"]
done = trash.trash_photos(user, chosen)
if done.errors:
    raise SystemExit(f"{done.errors}")
"""
RESTORE = """
trash.settle(library, before=timezone.now())
items = list(TrashItem.objects.filter(state="trashed").values_list("pk", flat=True))
done = trash.restore_items(user, library, items)
if done.errors:
    raise SystemExit(f"{done.errors}")
"""
EMPTY = """
finish("empty_trash", lambda: trash_empty.start_emptying(library, user, TrashItem.objects.count(), enqueue=False))
"""
PURGE = """
finish("purge", lambda: purge.start_purge(library, user, photos.filter(state="missing").count(), enqueue=False))
"""


def python(code: str) -> tuple[str, ...]:
    """Return the words of a command that runs `code` in the project."""
    return ("shell", "-v0", "-c", BASE + code)


@dataclass(frozen=True)
class Step:
    """A command, and what lies there before it: `before` names a state that `Bench` keeps."""

    name: str
    words: tuple[str, ...]
    before: str
    is_changed: bool = False
    is_in_bucket: bool = False

    @property
    def has_catalog(self) -> bool:
        """True if there are photos, and stars, before it."""
        return self.before != "fresh"


SCAN = ("scan", LIBRARY_ID, "--json")
STEPS = [
    Step("scan", SCAN, "fresh"),
    Step("rescan", SCAN, "scanned", is_changed=True),
    Step("rebuild", ("rebuild", LIBRARY_ID, "--json"), "scanned", is_changed=True),
    Step("prune", ("cache", "prune", "--quota", "0", "--json"), "scanned"),
    Step("import", ("import_folder", "{incoming}", "--library", LIBRARY_ID, "--json"), "scanned"),
    Step("trash", python(TRASH), "scanned"),
    Step("restore", python(RESTORE), "trashed"),
    Step("empty", python(EMPTY), "trashed"),
    Step("purge", python(PURGE), "missing"),
    Step("s3-scan", SCAN, "fresh", is_in_bucket=True),
    Step("s3-rebuild", ("rebuild", LIBRARY_ID, "--json"), "scanned", is_in_bucket=True),
]
SETTLED_BY_A_SCAN = ("rebuild", "prune", "import", "trash", "restore", "empty", "purge", "s3-rebuild")
TRASHED = "SELECT directory, filename, state, sidecars FROM catalog_trashitem ORDER BY directory, filename"


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
        self.keep_what_is_not_there()

    def keep_what_is_not_there(self) -> None:
        """Keep a state with photos in the trash, whose places others have taken, and one with photos that are missing."""
        self.manage(*python(TRASH.replace("2:12", "6:16")))
        lay = sorted(path for path in (self.folder / "scanned-photos").rglob("*.JPG"))[6:16]
        for path in lay[:3]:
            make_jpeg(self.photos / path.relative_to(self.folder / "scanned-photos"), seed=99, mtime=1_500_000_000)
        self.installation.finish()
        self.keep("trashed")
        self.put_back("scanned")
        for path in sorted(self.photos.rglob("*.JPG"))[30:36]:
            path.unlink()
        self.installation.finish()
        self.keep("missing")

    def manage(self, *words: str) -> None:
        subprocess.run(
            self.installation.manage(*words), env=self.installation.environment, check=True, capture_output=True
        )

    def keep(self, name: str) -> None:
        for part in ("photos", "data"):
            shutil.copytree(self.folder / part, self.folder / f"{name}-{part}", copy_function=shutil.copy2)

    def begin(self, step: Step) -> None:
        """Make the state from which the step starts."""
        self.put_back(step.before)
        if step.is_changed:
            files = sorted(path for path in self.photos.rglob("*.JPG"))
            for number, file in enumerate(files[6:9]):
                file.write_bytes(files[20 + number].read_bytes() + b"edited")
                os.utime(file, (1_700_000_000, 1_700_000_000))
            files[10].unlink()
            files[11].rename(self.photos / "moved.JPG")

    def put_back(self, name: str) -> None:
        """Let the folders be as they were when `keep` was called with that name."""
        for part in ("photos", "data"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
            shutil.copytree(self.folder / f"{name}-{part}", self.folder / part, copy_function=shutil.copy2)

    def run(self, step: Step, *before: str, meanwhile: Callable[[int], None] | None = None) -> tuple[int, str]:
        """Run the step's command to whatever end; return its exit code and what it said."""
        process = subprocess.Popen(
            [
                *before,
                *self.installation.manage(
                    *(word.replace("{incoming}", f"{self.folder}/incoming") for word in step.words)
                ),
            ],
            env={
                **self.installation.environment,
                "PHOTOLALA_DECODERS": "1",
                "PHOTOLALA_ROOTS": self.installation.address or f"{self.photos}:{self.folder / 'incoming'}",
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
            re.sub(r"\.photolala\.trash/[0-9a-f-]{36}/", "trash ", name): value
            for name, value in everything.items()
            if (not step.name.endswith("rebuild") or is_kept[name]) and not name.endswith(".tmp")
        }
        found["rated"] = self.installation.ask(ONE_RATING)
        found["current"] = self.pointer().splitlines()[0]
        with closing(sqlite3.connect(self.data / "photolala.sqlite3")) as database:
            found["trash"] = database.execute(TRASHED).fetchall()
        for row in found.values():
            if isinstance(row, dict) and "missing_since" in row:
                row["missing_since"] = row["missing_since"] is not None  # when is the time of the run
        return found

    def pointer(self) -> str:
        """Return what the pointer in the library's root says."""
        return (self.photos / ".photolala.md5").read_text()

    def trouble(self, step: Step) -> list[str]:
        """Return what is wrong right after a fault."""
        with closing(sqlite3.connect(self.data / "photolala.sqlite3", timeout=30)) as database:
            (whole,) = database.execute("PRAGMA integrity_check").fetchone()
            (rated,) = database.execute(ONE_RATING).fetchone()
        wrong = [] if whole == "ok" else [f"integrity_check says {whole}"]
        return wrong if rated == (5 if step.has_catalog else 0) else [*wrong, f"{rated} ratings are left of 5"]


class BucketBench(Bench):
    """The photos lie in a bucket of a real S3 server; the data folder is a folder."""

    def __init__(self, folder: Path, servers: dict[str, str]) -> None:
        self.folder = folder
        self.photos, self.data = folder / "photos", folder / "data"  # the first holds nothing
        self.photos.mkdir(parents=True)
        self.bucket, self.client = BUCKET, s3_client(servers)
        words = {name: value for name, value in servers.items() if name != "PHOTOLALA_CACHE"}
        address = f"s3://{self.bucket}/{PREFIX}"
        self.installation = Installation(self.data, self.photos, extra=words, address=address)
        for path in make_library(folder / "local", PHOTOS).rglob("*.JPG"):
            key = f"{PREFIX}/{path.relative_to(folder / 'local')}"
            self.client.put_object(Bucket=self.bucket, Key=key, Body=path.read_bytes())
        self.installation.prepare()
        self.keep("fresh")
        self.installation.finish()
        self.manage("shell", "-v0", "-c", GIVEN)
        self.keep("scanned")

    def objects(self) -> dict[str, bytes]:
        """Return all of Photolala's own objects in the root."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{PREFIX}/.photolala."
        )
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def keep(self, name: str) -> None:
        super().keep(name)
        self.kept = {**getattr(self, "kept", {}), name: self.objects()}

    def put_back(self, name: str) -> None:
        super().put_back(name)
        for key in self.objects():
            self.client.delete_object(Bucket=self.bucket, Key=key)
        for key, body in self.kept[name].items():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def pointer(self) -> str:
        return self.objects()[f"{PREFIX}/.photolala.md5"].decode()


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


def server_away(bench: Bench, step: Step, share: float) -> tuple[int, str]:
    """The S3 server answers nothing for some seconds (longer than any retry of a command waits)."""
    servers = [pid for pid in descendants(os.getpid()) if b"swift" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    timers: list[threading.Timer] = []

    def meanwhile(pid: int) -> None:
        def tell(number: int) -> None:
            for server in servers:
                os.kill(server, number)

        for seconds, number in ((1.0 + 1.5 * share, signal.SIGSTOP), (10.0, signal.SIGCONT)):
            timers.append(threading.Timer(seconds, tell, (number,)))
            timers[-1].start()

    try:
        return bench.run(step, meanwhile=meanwhile)
    finally:
        for timer in timers:
            timer.join()


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
    "server-away": server_away,
}
ONLY_FOLDERS, ONLY_BUCKETS = {"read-only-root"}, {"server-away"}


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
        bench.run(STEPS[0])
    return [*wrong, *differences(expected, bench.found(step))[:6]]


def fits(step: Step, fault: str) -> bool:
    """True if the fault can strike the step at all."""
    return fault not in (ONLY_FOLDERS if step.is_in_bucket else ONLY_BUCKETS)


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
    steps = [step for step in STEPS if step.name in options.steps.split(",")]
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder, ExitStack() as servers:
        for is_in_bucket in (False, True):
            chosen = [step for step in steps if step.is_in_bucket == is_in_bucket]
            if not chosen:
                continue
            if is_in_bucket:
                bench: Bench = BucketBench(Path(folder) / "bucket", servers.enter_context(running_s3()))
            else:
                bench = Bench(Path(folder) / "folder")
            for step in chosen:
                expected = undisturbed(bench, step)
                for fault in options.faults.split(","):
                    if not fits(step, fault):
                        continue
                    for number in range(options.points):
                        share = (number + randomness.random()) / options.points
                        wrong = try_point(bench, step, fault, share, expected)
                        tried[step.name, fault].append(not wrong)
                        if wrong:
                            print(
                                f"NOT SURVIVED: {step.name}, {fault} at {share:.2f}:", *wrong, sep="\n    ", flush=True
                            )
                    print(f"{step.name:10} {fault:16} {sum(tried[step.name, fault])}/{options.points}", flush=True)
    lived, all_of_them = sum(map(sum, tried.values())), sum(map(len, tried.values()))
    print(f"\n{all_of_them} points tried, {lived} survived")
    sys.exit(0 if lived == all_of_them else 1)


if __name__ == "__main__":
    main()
