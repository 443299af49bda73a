"""What befalls an installation: kills, freezing past the lease, an unplugged disk, errors of the disk, a clock that jumps."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.drills.everything.world import LEASE_SECONDS, Child, World
from tests.drills.scanning import descendants, kill

PATIENCE_SECONDS = 8.0
INJECTED = ("fsync,fdatasync", "rename,renameat,renameat2", "pwrite64", "unlink,unlinkat", "read,pread64")
JUMPS = (400 * 86_400, 3_600, -3_600, -86_400)


def running() -> list[tuple[str, int, int]]:
    """Return kind, token and process id of what is being done now."""
    from operations.models import Operation

    found = []
    for kind, token, worker in Operation.objects.filter(state="running").values_list("kind", "token", "worker"):
        process = worker.split("|")[1].split(":")[0] if "|" in worker else ""
        if process.isdigit() and Path(f"/proc/{process}").exists():
            found.append((kind, token, int(process)))
    return found


class Target:
    """Who is hit: whoever does an operation of these kinds now, or a person's request (`web`)."""

    def __init__(self, world: World, kinds: tuple[str, ...], web: Child | None, randomness: random.Random) -> None:
        self.world, self.kinds, self.web, self.randomness = world, kinds, web, randomness

    def process(self) -> int | None:
        """Return the process at work now, None if there is none."""
        if self.web is not None:
            return self.web.pid if self.web.is_alive else None
        pids = [pid for kind, _, pid in running() if kind in self.kinds]
        return self.randomness.choice(pids) if pids else None

    def helper(self, program: bytes) -> int | None:
        """Return a process below it that runs `program`."""
        process = self.process()
        for pid in descendants(process) if process else ():
            with suppress(OSError):
                if program in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None


Hit = Callable[[Target], bool]
"""Strikes; returns False if there was nobody to be struck."""


def kill_child(target: Target) -> bool:
    """Kill the process that does the work."""
    process = target.process()
    if process:
        kill(process)
    return process is not None


def kill_worker(target: Target) -> bool:
    """Kill the worker; the process that does the work may live on."""
    if target.web is not None or target.process() is None:
        return kill_child(target)
    for worker in target.world.workers:
        kill(worker.pid)
    return True


def kill_everything(target: Target) -> bool:
    """Kill the workers and all below them."""
    if target.web is not None or target.process() is None:
        return kill_child(target)
    for worker in target.world.workers:
        worker.kill_all()
    for _, _, pid in running():  # of a worker that was killed before
        for one in [pid, *descendants(pid)]:
            kill(one)
    return True


def kill_decoder(target: Target) -> bool:
    """Kill a decoder; if there is none now, the process that does the work."""
    pid = target.helper(b"catalog.media.worker")
    if pid:
        kill(pid)
    return bool(pid) or kill_child(target)


def kill_exiftool(target: Target) -> bool:
    """Kill exiftool; if there is none now, the process that does the work."""
    pid = target.helper(b"exiftool")
    if pid:
        kill(pid)
    return bool(pid) or kill_child(target)


def freeze(target: Target) -> bool:
    """Stop the process that does the work past its lease, until another has taken over, then let it go on."""
    process = target.process()
    if process is None:
        return False
    frozen = [process, *descendants(process)]
    before = {kind: token for kind, token, pid in running() if pid == process}
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        if target.web is None:
            target.world.start_worker()
            until = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < until and not _has_successor(before):
                time.sleep(0.05)
        else:
            time.sleep(2 * LEASE_SECONDS)
        time.sleep(target.randomness.uniform(0.0, 1.0))
    finally:
        for pid in reversed(frozen):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return True


def _has_successor(before: dict[str, int]) -> bool:
    from operations.models import Operation

    return all(
        Operation.objects.filter(kind=kind, token__gt=token, state="running").exists()
        or not Operation.objects.filter(kind=kind, token=token, state="running").exists()
        for kind, token in before.items()
    )


def unplug(target: Target) -> bool:
    """Take the photos' file system away for a moment."""
    if target.process() is None:
        return False
    world = target.world
    world.unmount()
    time.sleep(target.randomness.uniform(0.1, 1.5))
    below = [str(path.relative_to(world.photos)) for path in world.photos.rglob("*")]
    for path in world.photos.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.mount()
    assert not below, f"written below the bare mount point: {below[:5]}"
    return True


def disk_errors(target: Target) -> bool:
    """Let some calls of the process that does the work fail with EIO, for a second."""
    process = target.process()
    if process is None:
        return False
    calls = target.randomness.choice(INJECTED)
    first = target.randomness.randrange(1, 6)
    inject = f"inject={calls}:error=EIO:when={first}..{first + 2}"
    words = ["strace", "-f", "-qq", "-o", os.devnull, "-p", str(process), "-e", f"trace={calls}", "-e", inject]
    tracer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with suppress(subprocess.TimeoutExpired):
        tracer.wait(target.randomness.uniform(0.5, 1.5))
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    return True


def jump(target: Target) -> bool:
    """Let the wall clock be wrong for a moment."""
    if target.process() is None:
        return False
    target.world.shared.offset = target.randomness.choice(JUMPS)
    time.sleep(target.randomness.uniform(0.5, 2.0))
    target.world.shared.offset = 0.0
    return True


HITS: dict[str, tuple[Hit, float]] = {
    "child": (kill_child, 4.0),
    "worker": (kill_worker, 2.0),
    "everything": (kill_everything, 2.0),
    "decoder": (kill_decoder, 1.0),
    "exiftool": (kill_exiftool, 1.0),
    "freeze": (freeze, 2.0),
    "unplug": (unplug, 1.5),
    "errors": (disk_errors, 1.5),
    "clock": (jump, 1.0),
}
"""By name: what strikes, and how often compared with the others."""
KILLS = ("child", "worker", "everything", "decoder", "exiftool")
NEEDS_A_HAND = {"unplug", "errors"}
"""After these people may have to press "retry": the disk was away, or said that it is ill."""
