"""What the drills of imports share: a card, a library on a disk that can be unplugged, and the importing process."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.drills.scanning import PROJECT, Installation
from tests.drills.stopping import stopping
from tests.photos import make_jpeg

SECONDS = 120
LEASE_SECONDS = 5


def may_mount() -> bool:
    """True if this process may mount file systems here."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


class Bench:
    """A card with `count` photos, and a library whose folder lies on a disk of its own."""

    def __init__(self, folder: Path, count: int, *, is_mounted: bool = False) -> None:
        self.card = folder / "roots" / "card"
        for number in range(count):
            make_jpeg(self.card / f"IMG_{number:02}.JPG", seed=number, size=(64, 48), taken="2024:05:17 12:00:00")
        (self.card / "IMG_01.JPG.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
        self.root, self.disk = folder / "roots" / "library", folder / "disk"
        self.root.mkdir()
        self.is_mounted = is_mounted
        if is_mounted:
            self.disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.disk)], check=True)
            self.plug_in()
        make_jpeg(self.root / "old.jpg", seed=900, size=(64, 48))
        self.drill = Installation(folder / "data", self.root)
        self.drill.extra = {
            "PHOTOLALA_ROOTS": str(folder / "roots"),
            "PHOTOLALA_LEASE_SECONDS": str(LEASE_SECONDS),
            "PHOTOLALA_DECODERS": "1",
        }
        self.drill.prepare()
        self.drill.finish()

    def close(self) -> None:
        """Let the disks go."""
        for folder in (self.root, self.disk) if self.is_mounted else ():
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)

    def plug_in(self) -> None:
        """Let the library's disk lie at its path."""
        if self.is_mounted:
            subprocess.run(["mount", "--bind", str(self.disk), str(self.root)], check=True)
        else:
            self.root.rmdir()
            self.disk.rename(self.root)

    def unplug(self) -> None:
        """Leave a bare, empty folder where the library's disk lay; who holds it open still reaches the disk."""
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.root)], check=True)
        else:
            self.root.rename(self.disk)
            self.root.mkdir()

    @property
    def words(self) -> list[str]:
        """The command that imports the card."""
        return ["import_folder", str(self.card), "--library", self.drill.library, "--json"]

    def begin(self, step: str, when: str, how: str, number: int = 1) -> "subprocess.Popen[bytes]":
        """Start an import that stops at a step, and wait until it did."""
        process = self.start(stopping(step, when, how, number, *self.words))
        if how == "freeze":
            wait_until(lambda: is_frozen(process.pid), process)
        else:
            process.communicate(timeout=SECONDS)
        return process

    def start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command, env=self.drill.environment, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def finish(self) -> tuple[int, dict]:
        """Import what is left, undisturbed; return the exit code and the result."""
        done = subprocess.run(
            self.drill.manage(*self.words),
            env=self.drill.environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        lines = done.stdout.splitlines()
        assert lines, done.stderr.decode()[-3000:]
        return done.returncode, json.loads(lines[-1])

    def run(self, code: str) -> str:
        """Run code in the project; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v0", "-c", code],
            cwd=PROJECT, env=self.drill.environment, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return done.stdout.decode()

    def take_the_lease_away(self) -> None:
        """Let the lease of whoever imports have run out, as it does while a process is frozen for long."""
        with sqlite3.connect(self.drill.data / "photolala.sqlite3", timeout=30) as database:
            database.execute(
                "UPDATE operations_operation SET lease_until = '2020-01-01 00:00:00', worker = 'elsewhere|1:1' "
                "WHERE state = 'running' AND kind = 'import'"
            )

    def count(self, where: str) -> int:
        """Count items of imports."""
        (number,) = self.drill.ask(f"SELECT count(*) FROM catalog_importitem WHERE {where}") or (0,)
        return number

    def digests(self, folder: Path) -> list[str]:
        """Return the MD5s of the visible files below a folder, sorted."""
        files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return sorted(hashlib.md5(path.read_bytes()).hexdigest() for path in files)

    def check_all_is_there_once(self) -> None:
        """Everything of the card is in the library once, whole; rows and files agree; nothing hidden is left."""
        old = hashlib.md5((self.root / "old.jpg").read_bytes()).hexdigest()
        assert self.digests(self.root) == sorted([*self.digests(self.card), old])
        assert not list(self.root.rglob(".photolala-write*"))
        wanted = len(self.digests(self.card))
        assert self.count("state = 'imported'") == wanted, self.drill.ask(
            "SELECT group_concat(filename || ' ' || state || ' ' || reason, ', ') FROM catalog_importitem "
            "WHERE state <> 'imported'"
        )
        rows = self.drill.ask("SELECT count(*) FROM catalog_photo WHERE state = 'ready'")
        assert rows == (len(list(self.card.glob("*.JPG"))) + 1,)
        scanned = self.drill.finish()
        assert (scanned["added"], scanned["changed"], scanned["gone"], scanned["failed"]) == (0, 0, 0, 0)


def is_frozen(pid: int) -> bool:
    """True if the process is stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def go_on(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Let a frozen process go on to its end; return its exit code and what it said."""
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, (out + err).decode()


def wait_until(is_true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait for a condition while a process lives."""
    deadline = time.monotonic() + SECONDS
    while not is_true():
        if process.poll() is not None or time.monotonic() > deadline:
            out, err = process.communicate()
            raise AssertionError(f"It ended with {process.returncode} before that: {(out + err).decode()[-3000:]}")
        time.sleep(0.01)
