"""Writes files so that after a crash or a power cut the old or the new content is there, whole, never a part of one."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# What file systems answer that know no such call (CIFS, some FUSE and network mounts): no more can be done there.
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF})
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WAY_FLAGS = _FOLDER_FLAGS | os.O_PATH  # a folder on the way needs no right to list it
_NO_MODES = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})


def atomic_write(path: AnyPath, data: bytes | Iterable[bytes], *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace or create the file `path` with `data` in one step; readers see the old or the new bytes, never a mixture.

    Writes a temporary file beside it and renames that. `mode` is set exactly, whatever the umask says. `durable` waits
    until file and folder are on the disk; without it the change is atomic for readers but may be lost in a power cut.
    A symlink at `path` is replaced, not followed. On any error the old file is untouched and the temporary one
    removed; OSError says why.
    """
    target = os.fsencode(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, temporary_name(name))  # noqa: PTH118 - bytes, which pathlib has not
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb", buffering=1 << 16) as file:
            for chunk in (data,) if isinstance(data, bytes | bytearray | memoryview) else data:
                file.write(chunk)
            file.flush()
            set_mode(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        remove_if_there(temporary)
        raise
    if durable:
        fsync_directory(folder or b".")


def durable_replace(temporary: AnyPath, target: AnyPath) -> None:
    """Rename the finished file `temporary` to `target`, replacing it, and wait until content and name are on the disk.

    Both must be on one file system (else OSError EXDEV, and nothing has changed). After an error of the last fsync the
    new file is in place but may not survive a power cut: treat it as not written.
    """
    source, destination = os.fsencode(temporary), os.fsencode(target)
    fsync_file(source)
    os.replace(source, destination)
    target_folder, source_folder = os.path.dirname(destination) or b".", os.path.dirname(source) or b"."
    fsync_directory(target_folder)
    if source_folder != target_folder:
        fsync_directory(source_folder)


def fsync_file(path: AnyPath) -> None:
    """Wait until the content of the existing file `path` is on the disk. An OSError is final: the bytes may be lost."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_directory(path: AnyPath) -> None:
    """Wait until the names in the folder `path` (renames, new files, removals) are on the disk.

    Silently does nothing on file systems that cannot (some network mounts); other errors are raised as OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(descriptor)


def temporary_name(name: bytes) -> bytes:
    """Return a hidden name that no one else uses, for a file that is to become `name` in the same folder.

    Ends in `.tmp`; at most 255 bytes, also where `name` itself is as long as a name can be.
    """
    return b"." + name.lstrip(b".")[:200] + b"." + secrets.token_hex(8).encode() + b".tmp"


def remove_if_there(path: AnyPath) -> bool:
    """Delete the file `path`; return whether it was there. Other errors are raised as OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def set_mode(descriptor: int, mode: int) -> None:
    """Give the open file `mode`, whatever the umask says; silently not where the file system has no modes. OSError."""
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:  # FAT, CIFS: modes come from the mount options
            raise


def is_real_folder(path: AnyPath) -> bool:
    """Tell whether `path` is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def open_real_folder(path: bytes) -> int:
    """Return a read-only descriptor of the folder at the absolute `path`, for the caller to close; no link is followed to it.

    A folder that a person chose was resolved then; a link that stands in its way later leads somewhere else. Raises OSError:
    ELOOP if a part of the path is a link now.
    """
    if not path.startswith(b"/"):
        raise ValueError("Only an absolute path leads to the same folder always.")
    names = [name for name in path.split(b"/") if name]
    descriptor = os.open(b"/", _WAY_FLAGS if names else _FOLDER_FLAGS)
    for depth, name in enumerate(names):
        flags = _FOLDER_FLAGS if depth == len(names) - 1 else _WAY_FLAGS
        try:
            inner = os.open(name, flags, dir_fd=descriptor)
        except NotADirectoryError as error:
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path)) from error
            raise
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor
