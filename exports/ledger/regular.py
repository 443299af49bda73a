"""Opens the files of a ledger, and nothing that only has the name of one: a pipe would hold its reader for ever."""

import errno
import os
import stat
from pathlib import Path


class NotAFile(OSError):
    """Something else stands where a file of the ledger belongs; its text is the end of a sentence that names it."""


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of the file `path`; follows no link. OSError: FileNotFoundError, NotAFile for what is no file."""
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise _not_a_file(path, error.errno) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_a_file(path, errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO)
    return descriptor


def refuse_link(directory: Path) -> None:
    """Raise NotAFile if the folder of a ledger is a link: it would lead to the records of somebody else."""
    if directory.is_symlink():
        raise NotAFile(
            errno.ELOOP,
            f"{directory.name} is a link, not a folder: move it away, then put the folder back if there is one",
        )


def _not_a_file(path: Path, code: int) -> NotAFile:
    what = {errno.EISDIR: "a folder", errno.ELOOP: "a link"}.get(code, "a device, pipe or socket")
    return NotAFile(code, f"{path.name} is {what}, not a file: move it away, then put the file back if there is one")
