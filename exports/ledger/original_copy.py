"""Copies one original into an export folder: verified, dated, and never over a file that is there."""

import ctypes
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exports.ledger.errors import advice_for
from exports.ledger.names import MAX_NUMBER, NoFreeName, numbered_names
from exports.ledger.placement import DestinationFolder
from photolala.lib.digests import md5_of_descriptor
from photolala.lib.paths import escape_path

_CHUNK_BYTES = 1 << 20
_PARTIAL_PREFIX, _PARTIAL_SUFFIX = ".photolala-", ".partial"
_RENAME_NOREPLACE = 1
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})


class CopyFailed(OSError):
    """The original was not copied; its text tells why and what to do, and nothing of it is left in the destination."""

    def __str__(self) -> str:
        """Return the sentence, without the number of the error."""
        return str(self.strerror)


class NameTaken(CopyFailed):
    """A file of that name is in the folder already; it was not touched."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A finished copy: the name it got, its size, and the MD5 of the whole of it."""

    filename: str
    size_bytes: int
    md5: str


def copy_original(
    read_fd: int,
    folder: DestinationFolder,
    filename: str,
    mtime_ns: int,
    *,
    expected_md5: str | None = None,
    is_numbered: bool = False,
    before_publishing: Callable[[], None] = lambda: None,
) -> CopiedFile:
    """Copy what `read_fd` holds, from its start, into `folder` as `filename`, with the modification time `mtime_ns`.

    Writes a temporary file, reads it back and compares MD5s, waits for the disk, and then gives it its name in one step
    that fails if the name is taken (NameTaken; with `is_numbered` the next free `stem (1).ext` is used). When this
    returns, the copy survives a power cut. CopyFailed otherwise: also if the original is not `expected_md5` any more.
    `before_publishing` may raise to leave nothing: it is called when all but the name is done.
    """
    temporary = f"{_PARTIAL_PREFIX}{secrets.token_hex(8)}{_PARTIAL_SUFFIX}"
    try:
        size_bytes, md5 = _write_copy(read_fd, folder, temporary, mtime_ns)
        if expected_md5 and md5 != expected_md5:
            raise CopyFailed(
                errno.ESTALE,
                f"{escape_path(filename)} was not exported: it has changed since the last scan. Scan the library again.",
            )
        before_publishing()
        name = _publish(folder, temporary, numbered_names(filename) if is_numbered else (filename,))
        folder.sync()
    except CopyFailed:
        _remove(folder, temporary)
        raise
    except OSError as error:
        _remove(folder, temporary)
        raise _explained(error, filename, folder) from error
    except BaseException:
        _remove(folder, temporary)
        raise
    return CopiedFile(name, size_bytes, md5)


def remove_partial_copies(folder: DestinationFolder) -> int:
    """Delete what copies killed midway left in `folder` and return how many; only for who holds the ledger."""
    leftovers = [n for n in folder.names() if n.startswith(_PARTIAL_PREFIX) and n.endswith(_PARTIAL_SUFFIX)]
    for name in leftovers:
        _remove(folder, name)
    return len(leftovers)


def _write_copy(read_fd: int, folder: DestinationFolder, temporary: str, mtime_ns: int) -> tuple[int, str]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644, dir_fd=folder.descriptor)
    try:
        digest = hashlib.md5(usedforsecurity=False)
        size_bytes = 0
        while chunk := os.pread(read_fd, _CHUNK_BYTES, size_bytes):
            digest.update(chunk)
            size_bytes += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # read back what the disk has, not the memory
        if os.fstat(descriptor).st_size != size_bytes or md5_of_descriptor(descriptor) != digest.hexdigest():
            raise CopyFailed(
                errno.EIO, f"A copy in {folder} reads back differently from what was written; it was removed."
            )
    finally:
        os.close(descriptor)
    return size_bytes, digest.hexdigest()


def _publish(folder: DestinationFolder, temporary: str, names: Iterable[str]) -> str:
    tried = ""
    for tried in names:
        try:
            _rename_without_replacing(folder.descriptor, temporary, tried)
        except FileExistsError:
            continue
        return tried
    if isinstance(names, tuple):
        raise NameTaken(
            errno.EEXIST, f"'{escape_path(tried)}' exists in {folder}; it was left as it is and nothing was written."
        )
    raise NoFreeName(f"All {MAX_NUMBER:,} numbered forms of this name exist in {folder}; nothing was written.")


def _rename_without_replacing(folder_fd: int, old: str, new: str) -> None:
    """Rename within a folder; FileExistsError if `new` exists. Hard links do it where the kernel's own call cannot."""
    answer = (
        _renameat2(folder_fd, os.fsencode(old), folder_fd, os.fsencode(new), _RENAME_NOREPLACE) if _renameat2 else -1
    )
    code = ctypes.get_errno() if _renameat2 else errno.ENOSYS
    if answer == 0:
        return
    if code not in _NO_SUCH_CALL:
        raise OSError(code, os.strerror(code), new)
    os.link(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
    os.unlink(old, dir_fd=folder_fd)


def _remove(folder: DestinationFolder, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return


def _explained(error: OSError, filename: str, folder: DestinationFolder) -> OSError:
    if isinstance(error, NoFreeName):
        return error
    advice = advice_for(error)
    reason = error.strerror or str(error)
    return CopyFailed(
        error.errno or errno.EIO,
        f"{escape_path(filename)} was not copied to {folder} ({reason}). Nothing of it is left there. {advice}",
    )


_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
