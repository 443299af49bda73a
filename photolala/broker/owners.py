"""Who holds a message: the identity of a process, and whether that process still lives."""

import os
import sys
from functools import lru_cache

#: A holder in another PID namespace (another container) is not in our /proc; after this silence it counts as dead.
FOREIGN_SILENCE_SECONDS = 180.0


def current_owner() -> str:
    """Return the identity of this process: boot id, PID namespace, PID and start time, joined by colons."""
    return _owner_of(os.getpid())


def is_alive(owner: str, seconds_since_seen: float) -> bool:
    """Say whether the process called `owner` still runs.

    Another boot means dead; in the same PID namespace PID and start time are looked up (a reused PID has
    another start time); a process of another namespace is judged by `seconds_since_seen`, the age of its last sign of
    life.
    """
    if owner == current_owner():
        return True
    boot, namespace, pid, start = owner.split(":")
    my_boot, my_namespace, _, _ = current_owner().split(":")
    if boot != my_boot:
        return False
    if namespace != my_namespace:
        return seconds_since_seen < FOREIGN_SILENCE_SECONDS
    return _start_time(int(pid)) == start


@lru_cache(maxsize=4)
def _owner_of(pid: int) -> str:
    return f"{_boot_id()}:{_pid_namespace()}:{pid}:{_start_time(pid)}"


def _boot_id() -> str:
    if not sys.platform.startswith("linux"):
        return "boot"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _pid_namespace() -> str:
    if not sys.platform.startswith("linux"):
        return "host"
    return os.readlink("/proc/self/ns/pid").removeprefix("pid:").strip("[]")


def _start_time(pid: int) -> str | None:
    """Return when process `pid` started, in clock ticks since boot; None if it is gone or a zombie."""
    if not sys.platform.startswith("linux"):
        return _exists(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else start


def _exists(pid: int) -> str | None:
    """Stand in for the start time where there is no /proc: a constant while a process of that PID exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "exists"
    return "exists"
