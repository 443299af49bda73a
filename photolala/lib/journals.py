"""Which kind of journal SQLite's databases have on a disk."""

import os
from pathlib import Path

SMALLEST_BLOCK_BYTES = 4096


def journal_mode(folder: Path) -> str:
    """Return WAL, or TRUNCATE where the disk of `folder` (or what there is of its path) has blocks of less than 4 KB.

    SQLite maps the index of a WAL into memory and makes it longer by one byte in every 4 KB. On smaller blocks that leaves
    holes, and on a full disk a process that writes into one is killed (SIGBUS), again at each start.
    """
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
    try:
        return "WAL" if os.statvfs(there).f_bsize >= SMALLEST_BLOCK_BYTES else "TRUNCATE"
    except OSError:
        return "WAL"
