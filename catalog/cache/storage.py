"""The cache tree on a local folder: like Django's file storage, but no reader ever sees half a file."""

import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from photolala.lib.process import identity, is_alive, is_dead

TEMPORARY_FOLDER = ".writing"
_ABANDONED_SECONDS = 24 * 3600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class AtomicFolderStorage(FileSystemStorage):
    """Objects are written aside and renamed into place; an existing object is replaced, never renamed around."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the very name: the same name holds the same content."""
        return name

    def _save(self, name: str, content: "File[Any]") -> str:
        """Write `content` under a temporary name on the same file system, then rename it to `name`."""
        target = self.path(name)
        temporary, handle = self._open_aside()
        try:
            with open(handle, "wb") as file:
                for chunk in _chunks(content):
                    file.write(chunk)
                os.fchmod(file.fileno(), 0o644)
            try:
                os.replace(temporary, target)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        return name

    def _open_aside(self) -> tuple[str, int]:
        """Make a new file that carries its writer's name; return its path and a descriptor. A scan does this twice a photo."""
        aside = self.path(TEMPORARY_FOLDER)
        temporary = f"{aside}/{_own_identity(os.getpid())}={secrets.token_hex(8)}"
        try:
            return temporary, os.open(temporary, _NEW, 0o600)
        except FileNotFoundError:
            os.makedirs(aside, exist_ok=True)
            return temporary, os.open(temporary, _NEW, 0o600)

    def remove_abandoned_writes(self) -> int:
        """Delete what dead writers left; return how many files.

        Other machines and containers may write into the same folder: of theirs only what is older than a day goes. What
        a process here writes just now stays, whatever the clock says.
        """
        removed = 0
        aside = Path(self.path(TEMPORARY_FOLDER))
        oldest = time.time() - _ABANDONED_SECONDS
        for path in aside.glob("*") if aside.is_dir() else []:
            with suppress(OSError):
                writer = path.name.partition("=")[0]
                if is_dead(writer) or (not is_alive(writer) and path.stat().st_mtime < oldest):
                    path.unlink()
                    removed += 1
        return removed


@lru_cache(maxsize=1)
def _own_identity(pid: int) -> str:
    return identity(pid)


def _chunks(content: "File[Any]") -> Iterable[bytes]:
    content.seek(0)
    while chunk := content.read(1 << 20):
        yield chunk
