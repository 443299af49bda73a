"""Put new files into a folder of photos: whole and on the disk, or not at all, and never in the place of another one.

Everything goes through open folders, so that no link that appears meanwhile leads out of the root.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress

from catalog.sources.hidden import PREFIX, remove_hidden, require_room_beside
from catalog.sources.renaming import rename_to_free_name
from photolala.lib.digests import md5_of_file
from photolala.lib.files import fsync_directory
from photolala.lib.paths import unescape_path

CHUNK_BYTES = 1024 * 1024
LONGEST_NAME_BYTES = 255
MOST_NUMBERS = 10_000
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class BytesDiffer(OSError):
    """What was copied is not what was read before: the file was changed in between."""


def open_folder(
    root: bytes | int, directory: str, *, create: bool = False, mode: int = 0o777, is_lasting: bool = True
) -> int:
    """Return a descriptor of the folder `directory` (relative to `root`, in escaped form), for the caller to close.

    `root` is a path, or the descriptor of a root that is held open (see HeldRoot): then nothing is made elsewhere, wherever
    its path leads by now. No link below the root is followed. With `create` what is missing of the way is made, and on the
    disk by then, but for `is_lasting=False`. Raises OSError, and ValueError for a path out of the root.
    """
    parts = unescape_path(directory).split(b"/") if directory else []
    if any(part in (b"", b".", b"..") for part in parts):
        raise ValueError(f"The path {directory!r} does not lead to a place below the root of the library.")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(b".", flags, dir_fd=root) if isinstance(root, int) else os.open(root, flags)
    try:
        for part in parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, mode, dir_fd=folder)
                    if is_lasting:
                        fsync_directory(f"/proc/self/fd/{folder}")
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
    except BaseException:
        os.close(folder)
        raise
    return folder


def reserve_hidden(folder: int, token: str) -> bytes:
    """Make the empty hidden file that `copy_into` with `is_reserved` fills; return its name. Raises OSError."""
    hidden = f"{PREFIX}{token}.new".encode("ascii")
    remove_hidden(folder, hidden)
    os.close(os.open(hidden, _NEW_FILE_FLAGS, 0o666, dir_fd=folder))
    return hidden


def copy_into(
    folder: int, name: bytes, token: str, source: int, *, mtime_ns: int, md5: str = "", is_reserved: bool = False
) -> os.stat_result:
    """Copy the open file `source` to the new file `name` in the open folder; return its facts.

    Its bytes are on the disk then; the name is for the caller to make last (`fsync_directory`), once for many.

    `token` is ASCII and makes the hidden name; what an earlier try with the same token left is removed. `md5` is what the
    bytes must have. With `is_reserved` the hidden name was made before (`reserve_hidden`): if somebody removed it, because
    this writer is late, that is FileNotFoundError. Raises FileExistsError, BytesDiffer, or another OSError (ENOSPC, EROFS …),
    and nothing is left then.
    """
    hidden = f"{PREFIX}{token}.new".encode("ascii")
    if not is_reserved:
        reserve_hidden(folder, token)
    try:
        require_room_beside(folder, os.fstat(source).st_size)
        target = os.open(hidden, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            digest = hashlib.md5(usedforsecurity=False)
            offset = 0
            while chunk := os.pread(source, CHUNK_BYTES, offset):
                offset += len(chunk)
                digest.update(chunk)
                _write_all(target, chunk)
            if md5 and digest.hexdigest() != md5:
                raise BytesDiffer("The file was changed while it was being read")
            os.utime(target, ns=(mtime_ns, mtime_ns))
            os.fsync(target)
            facts = os.fstat(target)
        finally:
            os.close(target)
        rename_to_free_name(folder, hidden, folder, name)
        return facts
    finally:
        remove_hidden(folder, hidden)


def move_between(from_folder: int, name: bytes, to_folder: int, new_name: bytes, *, is_lasting: bool = True) -> None:
    """Rename a file from one open folder into another of the same file system, never over another one.

    With `is_lasting=False` it is for the caller to bring both folders to the disk, once for many. Raises FileExistsError,
    FileNotFoundError or another OSError; the file then is where it was, unless `is_lasting` and only the disk's word failed.
    """
    rename_to_free_name(from_folder, name, to_folder, new_name)
    for folder in (to_folder, from_folder) if is_lasting else ():
        fsync_directory(f"/proc/self/fd/{folder}")


def content_of(folder: int, name: bytes) -> tuple[os.stat_result, str] | None:
    """Return facts and MD5 of the regular file `name` in the open folder; None if there is none. Raises OSError."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb", buffering=0) as file:
        facts = os.fstat(descriptor)
        return facts, md5_of_file(file)


def numbered(name: str, number: int) -> str:
    """Return `NAME (2).EXT` for the file name `NAME.EXT`, in escaped form; one that grows too long loses its end."""
    stem, extension = os.path.splitext(name)
    addition = f" ({number})"
    while len(f"{stem}{addition}{extension}".encode()) > LONGEST_NAME_BYTES and len(stem) > 1:
        stem = stem[:-1].rstrip("\\")  # half an escape is no name
    return f"{stem}{addition}{extension}"


def numbered_names(name: str) -> Iterator[str]:
    """Yield `NAME.EXT`, then `NAME (2).EXT` and so on, up to the number MOST_NUMBERS: for whoever looks for a free one."""
    yield name
    for number in range(2, MOST_NUMBERS + 1):
        yield numbered(name, number)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(root: bytes | int, directory: str) -> None:
    """Wait until the names in a folder below `root` are on the disk; one that is gone by now needs no more."""
    try:
        folder = open_folder(root, directory)
    except FileNotFoundError:
        return
    try:
        fsync_directory(f"/proc/self/fd/{folder}")
    finally:
        os.close(folder)
