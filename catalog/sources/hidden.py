"""Hidden versions of files: how they are named, which claim made them, and how a later claim takes them aside."""

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress

from catalog.sources import renaming
from photolala.lib import digests
from photolala.lib.files import fsync_directory, remove_if_there

PREFIX = ".photolala-write-"
"""How the names of unfinished versions begin: hidden, so that no scan lists them."""
OF_SIDECARS = (b".new", b".xmp", b".xmp.old")
"""How the hidden names of sidecars end."""
_ROOM_BYTES = 4 * 1024 * 1024
"""Left free beside the new version, which may be somewhat larger than the old one."""


class HiddenVersions:
    """Hidden versions `names` in the open folder that stay until the catalog knows what became of their file."""

    def __init__(self, folder_fd: int, names: Iterable[bytes]) -> None:
        self._folder = os.dup(folder_fd)
        self._names = list(names)

    def close(self) -> None:
        """Remove them."""
        if self._folder >= 0:
            for name in self._names:
                with suppress(OSError):
                    remove_hidden(self._folder, name)
        self.leave()

    def leave(self) -> None:
        """Close the folder and change nothing."""
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1


def require_room_beside(folder_fd: int, size_bytes: int) -> None:
    """Raise OSError (EROFS, EACCES, ENOSPC) if no second version of that size can be written into the open folder."""
    facts = os.fstatvfs(folder_fd)
    if facts.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, "The file system is mounted read-only")
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder_fd):
        raise PermissionError(errno.EACCES, "Photolala's user may not write into the folder")
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < size_bytes + _ROOM_BYTES:
        raise OSError(errno.ENOSPC, "The disk is full")


def hidden_versions(folder_fd: int, token_start: str) -> list[bytes]:
    """Return the hidden names in the open folder whose tokens begin so: what killed writers left."""
    start = f"{PREFIX}{token_start}".encode("ascii")
    return sorted(os.fsencode(name) for name in os.listdir(folder_fd) if os.fsencode(name).startswith(start))


def take_aside(folder_fd: int, family: str, claim: int) -> list[bytes]:
    """Rename what earlier claims of the `family` left under hidden names, so that their writers cannot use it any more.

    Tokens are `family` and the number of the claim. Returns all hidden names of the claim `claim` then, sorted: what is in
    the files' places is decided from then on by that claim alone. Raises OSError.
    """
    start = f"{PREFIX}{family}".encode("ascii")
    while earlier := [name for name in hidden_versions(folder_fd, family) if _claim_in(name[len(start) :]) < claim]:
        for name in earlier:
            with suppress(FileNotFoundError):
                aside = start + f"{claim}.".encode("ascii") + name[len(start) :]
                os.rename(name, aside, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    return [name for name in hidden_versions(folder_fd, family) if _claim_in(name[len(start) :]) == claim]


def _claim_in(rest: bytes) -> int:
    """Return the claim's number that what follows the family in a hidden name begins with."""
    number = re.match(rb"\d+", rest)
    return int(number[0]) if number else 0


def md5_of_file(folder_fd: int, name: bytes) -> str:
    """Return the MD5 of a small file's bytes, or "" if no regular file has the name. Raises OSError."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    except FileNotFoundError:
        return ""
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        return digests.md5_of_file(file)


def open_hidden(folder_fd: int, hidden: bytes) -> int:
    """Return a read-only descriptor of a hidden version, for the caller to close."""
    return os.open(hidden, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)


def exchange_with_hidden(folder_fd: int, hidden: bytes, name: bytes) -> None:
    """Put a hidden version into its place and what is there under the hidden name. Raises OSError."""
    if not renaming.exchange(folder_fd, hidden, name):
        raise OSError(errno.ENOTSUP, "Names cannot be exchanged on this file system", name)
    fsync_directory(f"/proc/self/fd/{folder_fd}")


def remove_hidden(folder_fd: int, name: bytes) -> bool:
    """Delete an unfinished version in the open folder; return whether it was there."""
    if not name.startswith(PREFIX.encode()):
        raise ValueError("Only what this module made is removed.")
    return remove_if_there(f"/proc/self/fd/{folder_fd}/".encode() + name)
