"""Put a new version of a file in the place of the old one, so that at every moment one of both is there, whole.

The new version is made beside the old one under a hidden name, takes over its mode, owner and attributes, and is exchanged
with it in one step. Only then is the old one looked at again: if another program changed it meanwhile, the exchange is
taken back, and nothing has happened.

Every step that changes what lies in a place starts from a hidden name that says which claim made it. Who takes work over
renames the hidden versions of earlier claims first (`take_aside`): a writer that was only slow then finds nothing to put
into the place any more, and changes nothing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from catalog.sources.base import FileChanged, NotARegularFile
from photolala.lib import digests
from photolala.lib.files import fsync_directory, remove_if_there

PREFIX = ".photolala-write-"
"""How the names of unfinished versions begin: hidden, so that no scan lists them."""
OF_SIDECARS = (b".new", b".xmp", b".xmp.old")
"""How the hidden names of sidecars end."""
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_ROOM_BYTES = 4 * 1024 * 1024
"""Left free beside the new version, which may be somewhat larger than the old one."""
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_NO_ATTRIBUTES = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOSYS})
_FOREIGN_ATTRIBUTES = ("security.", "system.nfs", "trusted.")
_libc = ctypes.CDLL(None, use_errno=True)


class FileBusy(OSError):
    """Another program has the file open for writing."""


class HasOtherNames(OSError):
    """The file has other hard links, which would go on showing the old version."""


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
        self._holds_foreign = False  # under the hidden name lies another program's version
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
        """True while the new version lies in the place of the old one, as far as this object did that."""
        return self._is_in_place

    def swap(self) -> None:
        """Exchange both versions in one step. Raises FileChanged or FileBusy, with the other program's version in place.

        After another OSError ask `is_in_place`. FileNotFoundError: somebody took the new version aside, or the file is gone.
        """
        self._refuse_if_busy()
        self._new = os.stat(self._hidden, dir_fd=self._folder, follow_symlinks=False)
        if not _exchange(self._folder, self._hidden, self._name):
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
        if not _exchange(self._folder, self._hidden, self._name):
            if not self._is_new_one(self._name):
                self._swapped = self._is_in_place = False
                raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
            os.replace(self._hidden, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        elif not self._is_new_one(self._hidden):
            self._holds_foreign = True
            _exchange(self._folder, self._hidden, self._name)
            self._swapped = self._is_in_place = self._holds_foreign = False
            raise FileChanged(errno.ESTALE, "The file was changed by another program meanwhile")
        self._swapped = self._is_in_place = self._holds_foreign = False
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def close(self) -> None:
        """Close everything, and remove what lies under the hidden name, unless it is another program's."""
        if self._folder >= 0 and self._original >= 0 and not self._holds_foreign:
            with suppress(OSError):
                remove_hidden(self._folder, self._hidden)
        self.leave()

    def leave(self) -> None:
        """Close everything and change nothing: what lies under the hidden name is for whoever has the claim by now."""
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


class NewFile:
    """A file that is to appear in the open folder `folder_fd` as `name`, whole; until `swap` it lies under a hidden name.

    What a Replacement is for a file that is there.
    """

    def __init__(self, folder_fd: int, name: bytes, token: str, data: bytes) -> None:
        """Write `data` and bring it to the disk; what an earlier try with the same `token` left is removed. Raises OSError."""
        self._folder = os.dup(folder_fd)
        self._name = name
        self._hidden = f"{PREFIX}{token}.new".encode("ascii")
        self._is_in_place = False
        try:
            require_room_beside(self._folder, len(data))
            remove_hidden(self._folder, self._hidden)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(self._hidden, flags, 0o644, dir_fd=self._folder), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                self.facts = os.fstat(file.fileno())
        except BaseException:
            self.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """True if the file has its name."""
        return self._is_in_place

    def swap(self) -> None:
        """Give the file its name. Raises FileExistsError if something has it, or another OSError (see Replacement.swap)."""
        rename_to_free_name(self._folder, self._hidden, self._folder, self._name)
        self._is_in_place = True
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def swap_back(self) -> None:
        """Do nothing: another program may have the file by now, and it says what was wanted."""

    def close(self) -> None:
        """Close everything, and remove what still lies under the hidden name."""
        if self._folder >= 0:
            with suppress(OSError):
                remove_hidden(self._folder, self._hidden)
        self.leave()

    def leave(self) -> None:
        """Close everything and change nothing."""
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1


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


def rename_to_free_name(folder_fd: int, name: bytes, new_folder_fd: int, new_name: bytes) -> None:
    """Rename a file, in one step, to a name that nothing has. Raises FileExistsError or another OSError."""
    call = getattr(_libc, "renameat2", None)
    if call is not None and call(folder_fd, name, new_folder_fd, new_name, _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno() if call else errno.ENOSYS
    if code not in _CANNOT:
        raise OSError(code, os.strerror(code), new_name)
    try:
        os.link(name, new_name, src_dir_fd=folder_fd, dst_dir_fd=new_folder_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        _rename_where_none_is(folder_fd, name, new_folder_fd, new_name)
    else:
        os.unlink(name, dir_fd=folder_fd)


def _rename_where_none_is(folder_fd: int, name: bytes, new_folder_fd: int, new_name: bytes) -> None:
    """Look first, then rename: all that is left where the file system knows neither links nor careful renames."""
    try:
        os.stat(new_name, dir_fd=new_folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, new_name, src_dir_fd=folder_fd, dst_dir_fd=new_folder_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)


def hidden_versions(folder_fd: int, token_start: str) -> list[bytes]:
    """Return the hidden names in the open folder whose tokens begin so: what killed writers left."""
    start = f"{PREFIX}{token_start}".encode("ascii")
    return sorted(os.fsencode(name) for name in os.listdir(folder_fd) if os.fsencode(name).startswith(start))


def take_aside(folder_fd: int, family: str, claim: int) -> list[bytes]:
    """Rename what earlier claims of the `family` left under hidden names, so that their writers cannot use it any more.

    Tokens are `family` and the number of the claim. Returns all hidden names of the claim `claim` then, sorted: what lies in
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
    """Put a hidden version into its place and what lies there under the hidden name. Raises OSError."""
    if not _exchange(folder_fd, hidden, name):
        raise OSError(errno.ENOTSUP, "Names cannot be exchanged on this file system", name)
    fsync_directory(f"/proc/self/fd/{folder_fd}")


def remove_hidden(folder_fd: int, name: bytes) -> bool:
    """Delete an unfinished version in the open folder; return whether it was there."""
    if not name.startswith(PREFIX.encode()):
        raise ValueError("Only what this module made is removed.")
    return remove_if_there(f"/proc/self/fd/{folder_fd}/".encode() + name)


def _exchange(folder: int, first: bytes, second: bytes) -> bool:
    """Exchange two names in one step; False where the file system or the kernel cannot. Raises OSError."""
    call = getattr(_libc, "renameat2", None)
    if call is None:
        return False
    if call(folder, first, folder, second, _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), second)


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
