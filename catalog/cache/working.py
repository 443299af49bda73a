"""Folders of the server's own in which work puts files together; what a killed one leaves is removed by whoever comes next."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

WORK = ("snapshot-", "restore-", "rebuild-switch-", "rebuild-known-", "seed-", "brought-along-", "repair-", "history-")
"""How the names of folders begin in which somebody works for a moment. (Rebuilds keep theirs, to continue from there.)"""
_MOST_TRIES = 10


@contextmanager
def working_folder(purpose: str) -> Iterator[Path]:
    """Make a folder of the server's own, where no one else can change what was verified; it is removed in the end.

    While its process lives it holds a lock on the folder; those without one, whose processes were killed, are removed.
    """
    remove_abandoned()
    working = Path(settings.DATA_DIR) / "working"
    working.mkdir(parents=True, exist_ok=True)
    folder, held = _locked_folder(working, purpose)
    try:
        with folder:
            yield Path(folder.name)
    finally:
        os.close(held)


def remove_abandoned() -> None:
    """Remove the working folders of processes that were killed; nothing where the file system has no locks."""
    working = Path(settings.DATA_DIR) / "working"
    for path in list(working.iterdir()) if working.is_dir() else ():
        if not path.name.startswith(WORK) or path.is_symlink():
            continue
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it has just been removed, or is none of ours
            continue
        try:
            if _lock(folder):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(folder)


def _locked_folder(working: Path, purpose: str) -> tuple["tempfile.TemporaryDirectory[str]", int]:
    """Make a folder and lock it; another one if somebody took it for abandoned before it was locked."""
    for number in range(_MOST_TRIES):
        folder = tempfile.TemporaryDirectory(dir=working, prefix=f"{purpose}-", ignore_cleanup_errors=True)
        try:
            held = os.open(folder.name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        is_locked = _lock(held)
        if Path(folder.name).is_dir() and (is_locked or number == _MOST_TRIES - 1):
            return folder, held
        os.close(held)
        folder.cleanup()
    raise FileNotFoundError(f"No working folder could be kept in {working}.")


def _lock(folder: int) -> bool:
    """Lock it; False if another process has it, or where the file system has no locks: `cache prune` waits a day then."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_in_use(path: Path) -> bool:
    """True if a process works in this folder, where the file system has locks."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(folder)
    return False
