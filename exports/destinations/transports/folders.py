"""Copies in a folder of the server: written beside, read back, on the disk, and then renamed over nothing."""

import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from exports.ledger.original_copy import copy_original, remove_partial_copies
from exports.ledger.placement import DestinationFolder
from photolala.lib.digests import md5_of_file
from photolala.lib.files import open_real_folder

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFolder:
    """A TransportFolder that is held by its descriptor: no link on the way to it is ever followed."""

    def __init__(self, folder: DestinationFolder) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        return self._folder.names()

    def size_of(self, name: str) -> int | None:
        """Return the size of the regular file `name`, or None."""
        try:
            facts = os.stat(name, dir_fd=self._folder.descriptor, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None

    def is_there(self, name: str) -> bool:
        """Tell whether anything of that very name is in the folder."""
        return os.access(name, os.F_OK, dir_fd=self._folder.descriptor, follow_symlinks=False)

    def digest_of(self, name: str) -> str:
        """Return the MD5 of the file. OSError."""
        descriptor = os.open(name, _READ_FLAGS, dir_fd=self._folder.descriptor)
        with open(descriptor, "rb", buffering=0) as file:
            return md5_of_file(file)

    def put(
        self,
        descriptor: int,
        name: str,
        mtime_ns: int,
        *,
        expected_md5: str | None,
        before_publishing: Callable[[], None],
    ) -> str:
        """Copy the file, see `copy_original`."""
        copied = copy_original(
            descriptor,
            self._folder,
            name,
            mtime_ns,
            expected_md5=expected_md5,
            before_publishing=before_publishing,
        )
        return copied.md5

    def delete_partials(self, names: Collection[str]) -> None:
        """Delete the temporary files of killed copies, which have names of their own."""
        remove_partial_copies(self._folder)

    def close(self) -> None:
        """Close the descriptor."""
        self._folder.close()

    def __str__(self) -> str:
        """Return the folder's path, for sentences."""
        return str(self._folder)


class FolderTransport:
    """The Transport of a folder of the server."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open_folder(self, rel_path: str) -> LocalFolder:
        """Return the folder, made if missing. FolderUnavailable, UnsafeFolder, InvalidRecord."""
        return LocalFolder(DestinationFolder(self._root, rel_path))

    def open_copy(self, folder: str, name: str) -> int:
        """Return a descriptor of whatever has the name, except of what a link leads to. OSError."""
        opened = open_real_folder(os.fsencode(self._root / folder))
        try:
            return os.open(name, _READ_FLAGS | os.O_NONBLOCK, dir_fd=opened)
        finally:
            os.close(opened)

    def fit_name(self, name: str) -> str:
        """Return the name: a disk holds any that came from a disk."""
        return name
