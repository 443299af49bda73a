"""One synchronisation at a time for a store, whatever the number of processes."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ATTEMPTS = 3


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` and yield True; yield False if somebody else holds it for longer than a moment.

    The system frees it when a process dies. Asking for the status holds it, too, but for microseconds.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == _ATTEMPTS - 1:
                    yield False
                    return
                time.sleep(0.01)
        yield True
    finally:
        os.close(descriptor)
