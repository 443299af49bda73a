"""The files of a bundle, which may be a stranger's: a folder or a ZIP, read by names that were checked, and no link followed."""

import errno
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from catalog.sources import archive_list
from catalog.sources.archive import BROKEN
from catalog.sources.base import SourceUnavailable
from catalog.sources.unpacking import unpack
from exports.formats.manifest import InvalidManifest, check_export_path

from .layout import METADATA_NAME
from .lists import BundleRefused

MOST_FILES = 450_000
"""Of a backup: the manifest of so many has 128 MB, which is as much as restoring reads of one."""
DEEPEST = 8
LARGEST_JSON_BYTES = 1 << 30
"""A list of a backup may be so long: 1,000,000 photos take 300 MB."""
MOST_ENTRIES = 5_000_000
"""Of one list."""
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LINK = "“{}” in the backup is a link or no ordinary file, and a backup holds only files."


class BundleFiles(Protocol):
    """Reads the files of a backup by their names in it. A context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def size(self, name: str) -> int | None:
        """Return how many bytes a file has; None if there is none."""

    def open(self, name: str) -> BinaryIO:
        """Open a file from its beginning. Raises FileNotFoundError, BundleRefused, OSError."""


def open_bundle(path: Path, scratch: Path) -> BundleFiles:
    """Return the files of the backup at `path`; `scratch` is a folder, made if needed, for what is unpacked. BundleRefused."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BundleRefused(f"The backup {path.name} cannot be opened: {error.strerror}.", "not_there") from None
    if stat.S_ISDIR(mode):
        return FolderFiles(path)
    if not stat.S_ISREG(mode):
        raise BundleRefused("A backup is a folder or a ZIP file, and this is neither.")
    return ZipFiles(path, scratch)


def require_short(files: BundleFiles, name: str) -> int | None:
    """Return how many bytes a list has; None if there is none. Raises BundleRefused if it is longer than is read."""
    size = files.size(name)
    if size is not None and size > LARGEST_JSON_BYTES:
        raise BundleRefused(
            f"{name} of the backup has {size / 1e9:,.1f} GB; up to {LARGEST_JSON_BYTES / 1e9:,.1f} GB are read.",
            "too_large",
        )
    return size


def require_few(count: int, name: str) -> None:
    """Raise BundleRefused if a list has more entries than are read."""
    if count > MOST_ENTRIES:
        raise BundleRefused(f"{name} of the backup has more than {MOST_ENTRIES:,} entries.", "too_large")


class FolderFiles:
    """A backup that is a folder."""

    def __init__(self, path: Path) -> None:
        """Open the folder; what replaces it later is not read. Raises BundleRefused."""
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BundleRefused(f"The backup {path.name} cannot be opened: {error.strerror}.", "not_there") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def size(self, name: str) -> int | None:
        """As the protocol says; a link or anything else that is no file counts as not there."""
        try:
            with self.open(name) as file:
                return os.fstat(file.fileno()).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> BinaryIO:
        """As the protocol says. Each part of the way is opened on its own: a link in it is refused, not followed."""
        parts = checked_name(name).split("/")
        folder, descriptor = self._root, -1
        try:
            for part in parts[:-1]:
                inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
                if folder != self._root:
                    os.close(folder)
                folder = inner
            descriptor = os.open(parts[-1], _FLAGS, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO) or _is_link(parts, self._root):
                raise BundleRefused(_LINK.format(name[:100])) from None
            raise
        finally:
            if folder != self._root:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleRefused(_LINK.format(name[:100]))
        return open(descriptor, "rb")


class ZipFiles:
    """A backup that is a ZIP: its list is judged first, and a file is unpacked, no further than that says, when it is opened."""

    def __init__(self, path: Path, scratch: Path) -> None:
        """Read and judge the list of files. Raises BundleRefused."""
        self._scratch = scratch
        self._file: BinaryIO = path.open("rb")
        try:
            archive_list.require_short_list(self._file, MOST_FILES)
            self._zip = zipfile.ZipFile(self._file)
            archive_list.require_honest(self._zip.filelist, path.stat().st_size, self._zip.start_dir)
            self._entries = _without_top_folder(dict(self._named()))
        except BaseException as error:
            self._file.close()
            if isinstance(error, SourceUnavailable):
                words = str(error).partition(" Nothing was imported")[0]
                raise BundleRefused(words, "bad_archive") from None
            if isinstance(error, (*BROKEN, OSError)):
                raise BundleRefused(f"The ZIP file cannot be read: {error}.", "bad_archive") from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def size(self, name: str) -> int | None:
        """As the protocol says."""
        entry = self._entries.get(name)
        return None if entry is None else entry.file_size

    def open(self, name: str) -> BinaryIO:
        """As the protocol says: an unnamed copy in the scratch folder, gone when it is closed."""
        entry = self._entries.get(checked_name(name))
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "The backup has no such file", name)
        if (sentence := archive_list.wrong_size(entry)) is not None:
            raise BundleRefused(f"“{name[:100]}”: {sentence.partition(', which no')[0]}, as no backup does.")
        self._scratch.mkdir(parents=True, exist_ok=True)
        copy: BinaryIO = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - the caller closes it
        try:
            unpack(self._file, entry, copy, lambda: None)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy

    def _named(self) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        seen: set[str] = set()
        for entry in self._zip.filelist:
            if entry.is_dir():
                continue
            name = checked_name(entry.filename)
            if name in seen:
                raise BundleRefused(f"The ZIP file has “{name[:100]}” twice.", "bad_archive")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise BundleRefused(_LINK.format(name[:100]))
            if entry.flag_bits & 0x1:
                raise BundleRefused(f"“{name[:100]}” in the ZIP file is locked with a password.", "locked")
            seen.add(name)
            yield name, entry


def _without_top_folder(entries: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the files by their names in the backup: an archive that the server sends has them below one folder."""
    tops = {name.partition("/")[0] for name in entries}
    if len(tops) != 1 or METADATA_NAME in entries:
        return entries
    (top,) = tops
    return {name.removeprefix(f"{top}/"): entry for name, entry in entries.items()}


def checked_name(name: str) -> str:
    """Return the name of a file of a backup if it stays inside of it. Raises BundleRefused."""
    try:
        check_export_path(name)
        name.encode()
    except (InvalidManifest, UnicodeError):
        raise BundleRefused(f"{name[:100]!a} is no name inside a backup.", "bad_path") from None
    if "\\" in name or name.count("/") >= DEEPEST:
        raise BundleRefused(f"{name[:100]!a} is no name inside a backup.", "bad_path")
    return name


def _is_link(parts: list[str], root: int) -> bool:
    """True if a part of the way is a link: some systems say so by another error than ELOOP."""
    for count in range(1, len(parts) + 1):
        try:
            if stat.S_ISLNK(os.stat("/".join(parts[:count]), dir_fd=root, follow_symlinks=False).st_mode):
                return True
        except OSError:
            return False
    return False
