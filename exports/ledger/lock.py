"""The writer's lock of a ledger: one process at a time, and none after its end, however that comes."""

import errno
import fcntl
import os
from pathlib import Path

from exports.ledger.errors import LedgerBusy
from exports.ledger.regular import open_regular

LOCK_NAME = "export-records.lock"


def take_lock(directory: Path) -> int:
    """Return the descriptor that holds the writer's lock until it is closed, by whatever end of the process."""
    descriptor = open_regular(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LedgerBusy(
            f"Another export is writing the records in {directory}. Nothing was changed; try again when it has ended."
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def require_same_folder(directory: Path, lock: int) -> None:
    """Raise OSError unless the file locked by `lock` is still that of `directory`.

    Another folder may have come in its place, by a rename or a mount. The log is written through its descriptor and so
    stays in the old one; but a snapshot is replaced by its path, and would go over that of a stranger.
    """
    try:
        there = os.stat(directory / LOCK_NAME, follow_symlinks=False)
    except FileNotFoundError:
        raise OSError(errno.ESTALE, "the folder was moved away, or its lock file removed") from None
    ours = os.fstat(lock)
    if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
        raise OSError(errno.ESTALE, "another folder is in its place")
