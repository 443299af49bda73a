"""Where snapshots and pointers are kept: a folder here, an object store through another class with the same methods."""

import errno
import os
import shutil
import stat
import time
from typing import BinaryIO, Protocol

from photolala.lib.files import atomic_write, durable_replace, fsync_directory, remove_if_there, temporary_name

PREFIX = ".photolala."
SNAPSHOT_MODE = 0o444
_STALE_SECONDS = 24 * 3600
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EEXIST})


class Location(Protocol):
    """A flat place for files whose names begin with `.photolala.`. All methods raise OSError when they fail."""

    label: str
    """How sentences name it: "the library's folder", "the cache"."""

    def names(self) -> list[str]:
        """Return the names that begin with `.photolala.`, sorted; [] where nothing was ever written."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. FileNotFoundError if it is not there; links are not followed."""

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file `path` as `name`: whole and durable when this returns, else not at all."""

    def put_bytes(self, name: str, data: bytes) -> None:
        """Replace `name` by `data` in one step, durably."""

    def delete(self, name: str) -> None:
        """Delete `name`; nothing happens if it is not there."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name. FileNotFoundError if it is not there."""


class Nowhere:
    """A place that holds nothing and takes nothing: for looking into one place alone."""

    label = "nowhere"

    def names(self) -> list[str]:
        return []

    def open(self, name: str) -> BinaryIO:
        raise FileNotFoundError(errno.ENOENT, "There is nothing here", name)

    def put_file(self, name: str, path: str) -> None:
        raise PermissionError(errno.EACCES, "Nothing can be kept here", name)

    def put_bytes(self, name: str, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "Nothing can be kept here", name)

    def delete(self, name: str) -> None:
        return

    def rename(self, name: str, new_name: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "There is nothing here", name)


class FolderLocation:
    """A local folder. It is made when first written to, unless `create` is False (a library's root is never made).

    With `is_real` nothing in it is read or written while a part of its path is a link (OSError, ELOOP).
    """

    def __init__(
        self, folder: str | os.PathLike[str], label: str, *, create: bool = False, is_real: bool = False
    ) -> None:
        self.label = label
        self._folder = os.fsencode(folder)
        self._create = create
        self._is_real = is_real

    def names(self) -> list[str]:
        self._require_real()
        try:
            return sorted(name for name in map(os.fsdecode, os.listdir(self._folder)) if name.startswith(PREFIX))
        except FileNotFoundError:
            return []

    def open(self, name: str) -> BinaryIO:
        descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "Not a regular file, so it is not read", name)
        return open(descriptor, "rb")

    def put_file(self, name: str, path: str) -> None:
        self.prepare()
        temporary = self._folder + b"/" + temporary_name(os.fsencode(name))
        try:
            copy_in(path, temporary)
            durable_replace(temporary, self.path(name))
        except BaseException:
            remove_if_there(temporary)
            raise

    def put_bytes(self, name: str, data: bytes) -> None:
        self.prepare()
        atomic_write(self.path(name), data)

    def delete(self, name: str) -> None:
        if remove_if_there(self.path(name)):
            fsync_directory(self._folder)

    def rename(self, name: str, new_name: str) -> None:
        os.rename(self.path(name), self.path(new_name))
        fsync_directory(self._folder)

    def path(self, name: str) -> bytes:
        """Return where a file of that name is. Raises ValueError for names that are none of a snapshot or pointer."""
        if not name.startswith(PREFIX) or "/" in name or "\x00" in name:
            raise ValueError(f"{name!r} is not the name of a snapshot or pointer.")
        self._require_real()
        return self._folder + b"/" + os.fsencode(name)

    def _require_real(self) -> None:
        if self._is_real and os.path.realpath(self._folder) != self._folder:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(self._folder))

    def written_at(self, name: str) -> float | None:
        """Return when a file was written, in seconds since 1970; None if it is not there."""
        try:
            return os.lstat(self.path(name)).st_mtime
        except OSError:
            return None

    def prepare(self) -> None:
        """Make the folder if that is ours to do, and remove what a crash a day or more ago left half written."""
        if self._create:
            os.makedirs(self._folder, exist_ok=True)
        oldest = time.time() - _STALE_SECONDS
        for name in self.names():
            path = self.path(name)
            if name.endswith(".tmp") and _modified_at(path) < oldest:
                remove_if_there(path)


def copy_in(path: str, temporary: bytes) -> None:
    """Make `temporary` a read-only copy of the local file `path`, the cheapest way that is safe."""
    if not _take_over(path, temporary):
        shutil.copyfile(path, temporary)
    _make_read_only(temporary)


def _take_over(path: str, temporary: bytes) -> bool:
    """Make `temporary` a second name of `path` if that is cheap and safe; return whether it was done.

    Only while `path` has no other name: cache and root must never share one file, or one damage hits both.
    """
    if os.stat(path).st_nlink != 1:
        return False
    try:
        os.link(path, temporary)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        return False
    return True


def _modified_at(path: bytes) -> float:
    try:
        return os.lstat(path).st_mtime
    except FileNotFoundError:
        return time.time()  # someone else has just finished with it


def _make_read_only(path: bytes) -> None:
    try:
        os.chmod(path, SNAPSHOT_MODE)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):  # FAT, CIFS: modes come from the mount
            raise
