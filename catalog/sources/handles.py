"""Reaches folders below a root by descriptors, name by name, so that no link is followed and no path is too long."""

import errno
import os
from collections import OrderedDict

from photolala.lib.files import open_real_folder

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[bytes, ...]
"""The names that lead from the root to a folder; () is the root. Not one string: those of deep trees are huge."""


class FolderHandles:
    """Open descriptors of the root and of the folders last used below it, at most `limit` of them.

    The descriptors stay this object's own: they are valid until the next call. Not for use by several threads at once.
    """

    def __init__(self, root: bytes | int, limit: int = 64, *, is_real: bool = False) -> None:
        """Start from the path `root`, or from the descriptor of a root that somebody else holds open.

        With `is_real` no part of the path may be a link.
        """
        self._root = root
        self._is_real = is_real
        self._limit = limit
        self._open: OrderedDict[Parts, int] = OrderedDict()

    def get(self, parts: Parts) -> int:
        """Return a descriptor of the folder; a kept one if there is any. OSError if not (a link is no folder)."""
        descriptor = self._open.get(parts)
        if descriptor is not None:
            self._open.move_to_end(parts)
            return descriptor
        if not parts:
            if isinstance(self._root, int):
                return self._keep(parts, os.open(b".", FOLDER_FLAGS, dir_fd=self._root))
            if self._is_real:
                return self._keep(parts, open_real_folder(self._root))
            return self._keep(parts, os.open(self._root, FOLDER_FLAGS))
        known = len(parts) - 1
        while known and parts[:known] not in self._open:
            known -= 1
        descriptor = self.get(parts[:known])
        for depth in range(known, len(parts)):
            descriptor = self._keep(parts[: depth + 1], os.open(parts[depth], FOLDER_FLAGS, dir_fd=descriptor))
        return descriptor

    def get_again(self, parts: Parts) -> int:
        """Like `get`, but opens the folder anew from its parent: a kept descriptor may be of a folder moved away."""
        self._drop(parts)
        return self.get(parts)

    def forget(self) -> None:
        """Close all descriptors. The next `get` starts from the root again."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _keep(self, parts: Parts, descriptor: int) -> int:
        self._open[parts] = descriptor
        if len(self._open) > self._limit:
            oldest = next(iter(self._open))
            if not oldest:  # the root is what everything starts from
                self._open.move_to_end(oldest)
                oldest = next(iter(self._open))
            self._drop(oldest)
        return descriptor

    def _drop(self, parts: Parts) -> None:
        descriptor = self._open.pop(parts, None)
        if descriptor is not None:
            os.close(descriptor)


def is_gone(error: OSError) -> bool:
    """Return whether `error` means that a name is no longer there, or is no longer a real folder."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
