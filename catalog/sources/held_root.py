"""The folder at the top of a library or destination, held open while something is written below it.

A path may lead elsewhere from one moment to the next: a disk is unplugged, and below the bare mount point is the system's
own disk. What goes through the held descriptor lands on the disk that was there at the beginning, or nowhere; `verify` then
tells whether the path still leads there, before anything is acknowledged.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from catalog.snapshots.pointer import POINTER_NAME
from catalog.sources.base import SourceUnavailable
from catalog.sources.placing import open_folder
from photolala.lib.files import open_real_folder
from photolala.lib.paths import escape_path

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class HeldRoot:
    """A root that is held open; `descriptor` stays valid, and on the same disk, until `close()`.

    Make folders and files relative to it only: `open_folder(held.descriptor, …)`, `LocalSource(…, held=held)`. Closed at
    the end of a `with` block. Several threads may use one.
    """

    def __init__(
        self, path: str | bytes | os.PathLike[str], *, has_pointer: bool = False, is_real: bool = False
    ) -> None:
        """Open the folder `path`; `has_pointer` says that a `.photolala.md5` was left in it and has to be there.

        With `is_real` no part of the path may be a link, now or later. Raises SourceUnavailable if it is no folder, cannot
        be opened, or lacks the pointer.
        """
        self.path = os.fsencode(path)
        self._has_pointer = has_pointer
        self._is_real = is_real
        try:
            self.descriptor = self._open()
        except OSError as error:
            raise root_unavailable(self.path, error) from error
        try:
            facts = os.fstat(self.descriptor)
            self.device, self.inode = facts.st_dev, facts.st_ino
            self._require_pointer()
        except OSError as error:
            self.close()
            raise root_unavailable(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> HeldRoot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def verify(self, folders: Mapping[str, int] | None = None) -> None:
        """Raise SourceUnavailable unless the path still leads to the held folder, with its pointer.

        `folders` are open folders below it, by their path relative to the root in escaped form, that have to be reached
        still, too: another disk may be mounted below the root. Call it after the last write and before the rows that
        acknowledge it.
        """
        try:
            facts = self._facts()
            if (facts.st_dev, facts.st_ino) != (self.device, self.inode):
                raise self._gone()
            self._require_pointer()
            for directory, descriptor in (folders or {}).items():
                self._verify_folder(directory, descriptor)
        except OSError as error:
            raise root_unavailable(self.path, error) from error

    def _open(self) -> int:
        return open_real_folder(self.path) if self._is_real else os.open(self.path, FOLDER_FLAGS)

    def _facts(self) -> os.stat_result:
        if not self._is_real:
            return os.stat(self.path)
        descriptor = self._open()
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let the folder go. Safe to repeat."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _require_pointer(self) -> None:
        if not self._has_pointer:
            return
        try:
            os.stat(POINTER_NAME, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            raise SourceUnavailable(
                f"The file {POINTER_NAME} in {escape_path(self.path)} is gone all at once. Was its disk or share "
                "unplugged? Mount it, then retry."
            ) from None

    def _verify_folder(self, directory: str, descriptor: int) -> None:
        held = os.fstat(descriptor)
        try:
            folder = open_folder(self.descriptor, directory)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise self._gone(directory) from None
            raise
        try:
            facts = os.fstat(folder)
        finally:
            os.close(folder)
        if (facts.st_dev, facts.st_ino) != (held.st_dev, held.st_ino):
            raise self._gone(directory)

    def _gone(self, directory: str = "") -> SourceUnavailable:
        path = escape_path(self.path) + (f"/{directory}" if directory else "")
        return SourceUnavailable(
            f"The folder {path} is another one all at once. Was its disk or share unplugged? Mount it, then retry."
        )


def root_unavailable(root: bytes, error: OSError) -> SourceUnavailable:
    """Return the exception that says, in a sentence, why the folder `root` cannot be reached now."""
    name = escape_path(root)
    if error.errno == errno.ENOENT:
        sentence = f"The folder {name} is not there. Is its disk or share mounted? Nothing was changed."
    elif error.errno == errno.ELOOP:
        sentence = (
            f"The path {name} leads over a link now, perhaps to another folder than the chosen one, so nothing was read or "
            "changed. Put the folder back, or tell the library where it is now."
        )
    elif error.errno == errno.ENOTDIR:
        sentence = f"{name} is not a folder, so it cannot be a library. Choose a folder. Nothing was changed."
    elif error.errno in (errno.EACCES, errno.EPERM):
        sentence = f"Photolala may not read the folder {name}. Give its user the right to. Nothing was changed."
    else:
        sentence = f"The folder {name} cannot be read now: {error.strerror}. Nothing was changed; try again later."
    return SourceUnavailable(sentence)
