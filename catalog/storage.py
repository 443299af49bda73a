"""The cache tree on a local folder: like Django's file storage, but no reader ever sees half a file."""

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from photolala.lib.process import identity, is_dead

TEMPORARY_FOLDER = ".writing"
_ABANDONED_SECONDS = 24 * 3600


class AtomicFolderStorage(FileSystemStorage):
    """Objects are written aside and renamed into place; an existing object is replaced, never renamed around."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the very name: the same name holds the same content."""
        return name

    def _save(self, name: str, content: File) -> str:
        """Write `content` under a temporary name on the same file system, then rename it to `name`."""
        target = Path(self.path(name))
        aside = Path(self.path(TEMPORARY_FOLDER))
        aside.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=aside, prefix=f"{identity()}=")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in _chunks(content):
                    file.write(chunk)
                os.fchmod(file.fileno(), 0o644)
            try:
                Path(temporary).replace(target)
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(temporary).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        return name

    def remove_abandoned_writes(self) -> int:
        """Delete what dead writers left; return how many files.

        Other machines and containers may write into the same folder: of theirs only what is older than a day goes.
        """
        removed = 0
        aside = Path(self.path(TEMPORARY_FOLDER))
        oldest = time.time() - _ABANDONED_SECONDS
        for path in aside.glob("*") if aside.is_dir() else []:
            with suppress(OSError):
                if is_dead(path.name.partition("=")[0]) or path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
        return removed


def _chunks(content: File) -> Iterable[bytes]:
    content.seek(0)
    while chunk := content.read(1 << 20):
        yield chunk
