"""Who holds a message: the identity of a process, and whether that process still lives."""

import os
import sys
from functools import lru_cache

from photolala.lib.process import boot_id, pid_namespace, start_time

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
    return _started(int(pid)) == start


@lru_cache(maxsize=4)
def _owner_of(pid: int) -> str:
    return f"{boot_id() or 'boot'}:{pid_namespace() or 'host'}:{pid}:{_started(pid)}"


def _started(pid: int) -> str | None:
    """Return when process `pid` started; where there is no /proc a constant while a process of that PID exists."""
    if sys.platform.startswith("linux"):
        return start_time(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "exists"
    return "exists"
