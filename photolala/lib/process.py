"""Name a process so that another one on the same machine can tell whether it still lives."""

import os
import time
from functools import lru_cache
from pathlib import Path


def start_time(pid: int) -> str | None:
    """Return the kernel's start time of `pid` in clock ticks, or None if there is no such process (or it is a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")  # a name may be of any bytes
        fields = text.rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else fields[19]


@lru_cache(maxsize=1)
def machine() -> str:
    """Return a name of this boot of this machine and its PID namespace; only inside it do process ids mean anything."""
    boot, namespace = boot_id(), pid_namespace()
    return f"{boot[:13]}.{namespace}" if boot and namespace else ""


def pid_namespace() -> str:
    """Return the number of this process's PID namespace, "" where the system has none."""
    try:
        return os.readlink("/proc/self/ns/pid").partition("[")[2].rstrip("]")
    except OSError:
        return ""


def boot_id() -> str:
    """Return the random name of this start of this machine, "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def boot_seconds() -> float:
    """Return the seconds since this machine was started, those of its sleep included; nobody can set this clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def is_of_this_boot(name: str) -> bool:
    """True if `name` is a process of this start of this machine, in whatever container: it has the same boot clock."""
    where, _, _ = name.partition("|")
    return bool(where) and where.partition(".")[0] == machine().partition(".")[0]


def identity(pid: int | None = None) -> str:
    """Return "machine|pid:start" of a process (this one by default), or "" where the system does not tell."""
    pid = pid or os.getpid()
    start = start_time(pid)
    return f"{machine()}|{pid}:{start}" if machine() and start else ""


def worker_identity() -> str:
    """Return the identities of this process and its parent; a worker's children carry their parent's."""
    own = identity()
    return f"{own}|{os.getppid()}:{start_time(os.getppid())}" if own else ""


def is_alive(name: str) -> bool:
    """True if `name` is a process of this machine that runs; False where that cannot be known."""
    where, _, rest = name.partition("|")
    return bool(where) and where == machine() and not is_dead(name) and rest.split("|")[0].partition(":")[0].isdigit()


def is_dead(name: str) -> bool:
    """True if `name` is a process of this machine that no longer runs; False where that cannot be known."""
    where, _, rest = name.partition("|")
    process = rest.split("|")[0]
    pid, _, start = process.partition(":")
    if not where or where != machine() or not pid.isdigit():
        return False
    return start_time(int(pid)) != start
