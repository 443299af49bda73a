"""The highest running number that a ledger ever gave, kept where the loss of its snapshot does not take it along.

Lines with a number up to that of the snapshot are passed over, as they are in it. If numbers began anew after a snapshot was
lost, new lines would be passed over once that snapshot, or an older one, is put back from a backup.
"""

import errno
import os
import re

from exports.ledger.mutations import MAX_RUNNING_NUMBER

RENUMBERED_ABOVE = MAX_RUNNING_NUMBER // 2
"""Only damage gives changes such numbers; those that follow would soon be too large to be read."""
_NUMBER = re.compile(rb'"n" ?: ?(\d{1,16})(?=[,} ])')
_MARK = re.compile(rb"(\d{16}) (\d{16})\n")
_MARK_BYTES = 34


def number_in(text: bytes) -> int:
    """Return the largest running number that stands in damaged JSON, or 0."""
    return max((number for each in _NUMBER.findall(text) if (number := int(each)) <= RENUMBERED_ABOVE), default=0)


def read_mark(lock: int) -> int:
    """Return the number that `write_mark` left in the lock's file; 0 if there is none, or it is damaged. OSError."""
    found = _MARK.fullmatch(os.pread(lock, _MARK_BYTES + 1, 0))
    if found is None or found[1] != found[2]:
        return 0
    number = int(found[1])
    return number if number <= RENUMBERED_ABOVE else 0


def write_mark(lock: int, number: int) -> None:
    """Note durably that numbers up to `number` were given. It is written twice, so that a torn one is none. OSError."""
    text = f"{number:016} {number:016}\n".encode()
    if os.pwrite(lock, text, 0) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(lock)
