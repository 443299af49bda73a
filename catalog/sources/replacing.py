"""Put a new version of a file in the place of the old one, so that at every moment one of both is there, whole.

The new version is made beside the old one under a hidden name, takes over its mode, owner and attributes, and is exchanged
with it in one step. Only then is the old one looked at again: if another program changed it meanwhile, the exchange is
taken back, and nothing has happened.

Every step that changes what is in a place starts from a hidden name that says which claim made it. Who takes work over
renames the hidden versions of earlier claims first (`take_aside`): a writer that was only slow then finds nothing to put
into the place any more, and changes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from catalog.sources import renaming
from catalog.sources.base import FileChanged, NotARegularFile
from catalog.sources.hidden import PREFIX, open_hidden, remove_hidden, require_room_beside
from photolala.lib.files import fsync_directory

_NO_ATTRIBUTES = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOSYS})
_FOREIGN_ATTRIBUTES = ("security.", "system.nfs", "trusted.")


class FileBusy(OSError):
    """Another program has the file open for writing."""


class HasOtherNames(OSError):
    """The file has other hard links, which would continue showing the old version."""


class Replacement:
    """A new version of the file `name` in the open folder `folder_fd`, and how it gets into its place.

    In this order: `temporary_path` is written by whoever makes the new version; `complete()`; `swap()`; then, if the new
    version is not wanted after all, `swap_back()`. `close()`, or leaving the `with` block, removes what is left under the
    hidden name: before `swap` the unfinished new version, after it the old one.
    """

    def __init__(self, folder_fd: int, name: bytes, token: str, extension: str, expected: tuple[int, int]) -> None:
        """Open the file, which must be (size in bytes, mtime in ns) `expected`.

        `token` is ASCII and makes the hidden name; what an earlier try with the same token left is removed. Raises
        FileChanged, FileBusy, HasOtherNames, NotARegularFile or another OSError, and has then changed nothing.
        """
        self._folder = os.dup(folder_fd)
        self._name = name
        self._hidden = f"{PREFIX}{token}{extension}".encode("ascii")
        self._swapped = False
        self._is_in_place = False
        self._new: os.stat_result | None = None
        self._holds_foreign = False  # under the hidden name is another program's version
        self._original = -1
        try:
            self._original = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder
            )
            self._facts = os.fstat(self._original)
            self._check(expected)
            remove_hidden(self._folder, self._hidden)
        except BaseException:
            self.close()
            raise

    def _check(self, expected: tuple[int, int]) -> None:
        facts = self._facts
        if not stat.S_ISREG(facts.st_mode):
            raise NotARegularFile(errno.EINVAL, "This is no regular file, so it is not written")
        if (facts.st_size, facts.st_mtime_ns) != expected:
            raise FileChanged(errno.ESTALE, "The file has changed since it was scanned")
        if facts.st_nlink > 1:
            raise HasOtherNames(errno.EMLINK, f"The file has {facts.st_nlink} names (hard links)")
        self._refuse_if_busy()

    def _refuse_if_busy(self) -> None:
        """Raise FileBusy if somebody has the file open for writing, as far as the kernel tells."""
        try:
            fcntl.fcntl(self._original, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EBUSY):
                raise FileBusy(errno.EBUSY, "Another program is writing this file just now") from None
            return  # network file systems and foreign owners: it cannot be told
        with suppress(OSError):
            fcntl.fcntl(self._original, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def original(self) -> int:
        """A read-only descriptor of the old version; stays open, and the same file, whatever its name comes to mean."""
        return self._original

    @property
    def original_path(self) -> str:
        """A path of ASCII to the old version, for programs of this machine while this object lives."""
        return f"/proc/{os.getpid()}/fd/{self._original}"

    @property
    def temporary_path(self) -> str:
        """A path of ASCII where the new version is to be written, for programs of this machine while this object lives."""
        return f"/proc/{os.getpid()}/fd/{self._folder}/{self._hidden.decode('ascii')}"

    def require_room(self) -> None:
        """Raise OSError (ENOSPC, EROFS, EACCES) if no second version can be written into the folder any more."""
        require_room_beside(self._folder, self._facts.st_size)

    def open_new(self) -> int:
        """Return a read-only descriptor of the new version, for the caller to close."""
        return open_hidden(self._folder, self._hidden)

    def write_new(self, parts: Iterable[bytes]) -> None:
        """Write the new version from `parts`, where no other program does. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self._hidden, flags, 0o600, dir_fd=self._folder), "wb") as file:
            for part in parts:
                file.write(part)

    def complete(self, *, keep_mtime: bool) -> os.stat_result:
        """Give the new version mode, owner and attributes of the old one and bring it to the disk; return its facts.

        With `keep_mtime` it also gets the old one's modification time. What the file system cannot do (owners as an
        ordinary user, attributes) is left as it is; every other error is raised as OSError.
        """
        facts = self._facts
        descriptor = os.open(self._hidden, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            for owner in (facts.st_uid, -1):  # who is not root can at least keep the group
                with suppress(PermissionError):
                    os.fchown(descriptor, owner, facts.st_gid)
                    break
            with suppress(PermissionError):
                os.fchmod(descriptor, stat.S_IMODE(facts.st_mode))
            _copy_attributes(self._original, descriptor)
            if keep_mtime:
                os.utime(descriptor, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            os.fsync(descriptor)
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    @property
    def is_in_place(self) -> bool:
        """True while the new version is in the place of the old one, as far as this object did that."""
        return self._is_in_place

    def swap(self) -> None:
        """Exchange both versions in one step. Raises FileChanged or FileBusy, with the other program's version in place.

        After another OSError ask `is_in_place`. FileNotFoundError: somebody took the new version aside, or the file is gone.
        """
        self._refuse_if_busy()
        self._new = os.stat(self._hidden, dir_fd=self._folder, follow_symlinks=False)
        if not renaming.exchange(self._folder, self._hidden, self._name):
            self._replace_with_backup()
            return
        self._swapped = self._is_in_place = True
        if not self._is_old_one(self._hidden):
            self._holds_foreign = True  # nothing removes it if it cannot be put back
            self.swap_back()
            raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def _replace_with_backup(self) -> None:
        """Do the same where names cannot be exchanged: the old version gets a second name first, where that is possible."""
        if not self._is_old_one(self._name):
            raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
        backup = self._hidden + b".old"
        remove_hidden(self._folder, backup)
        has_backup = True
        try:
            os.link(self._name, backup, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            has_backup = False
        try:
            if has_backup and not self._is_old_one(backup):
                raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
            os.replace(self._hidden, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            if has_backup:
                remove_hidden(self._folder, backup)
            raise
        self._is_in_place = True
        if has_backup:
            os.rename(backup, self._hidden, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._swapped = True
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def swap_back(self) -> None:
        """Put the old version back in its place, if it is still there.

        Raises FileChanged, with that version in place, if another program has replaced the new one meanwhile, or another
        OSError: then ask `is_in_place`.
        """
        if not self._swapped:
            return
        if not renaming.exchange(self._folder, self._hidden, self._name):
            if not self._is_new_one(self._name):
                self._swapped = self._is_in_place = False
                raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
            os.replace(self._hidden, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        elif not self._is_new_one(self._hidden):
            self._holds_foreign = True
            renaming.exchange(self._folder, self._hidden, self._name)
            self._swapped = self._is_in_place = self._holds_foreign = False
            raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
        self._swapped = self._is_in_place = self._holds_foreign = False
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def close(self) -> None:
        """Close everything, and remove what is under the hidden name, unless it is another program's."""
        if self._folder >= 0 and self._original >= 0 and not self._holds_foreign:
            with suppress(OSError):
                remove_hidden(self._folder, self._hidden)
        self.leave()

    def leave(self) -> None:
        """Close everything and change nothing: what is under the hidden name is for whoever has the claim by now."""
        for descriptor in (self._original, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._original = self._folder = -1

    def _is_old_one(self, name: bytes) -> bool:
        return self._is_at(name, self._facts)

    def _is_new_one(self, name: bytes) -> bool:
        return self._new is not None and self._is_at(name, self._new)

    def _is_at(self, name: bytes, then: os.stat_result) -> bool:
        try:
            now = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == (
            then.st_dev,
            then.st_ino,
            then.st_size,
            then.st_mtime_ns,
        )


def _copy_attributes(source: int, target: int) -> None:
    """Copy extended attributes and access lists, without those that are the system's own."""
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return
        raise
    for name in names:
        if name.startswith(_FOREIGN_ATTRIBUTES):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
