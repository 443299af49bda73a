"""The writer's lock of a ledger: one process at a time, and none after its end, however that comes."""

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
