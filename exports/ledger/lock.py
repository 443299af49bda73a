"""The writer's lock of a ledger: one process at a time, and none after its end, however that comes."""

import fcntl
import os
from pathlib import Path

from exports.ledger.errors import LedgerBusy

LOCK_NAME = "export-records.lock"


def take_lock(directory: Path) -> int:
    """Return the descriptor that holds the writer's lock until it is closed, by whatever end of the process."""
    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
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
