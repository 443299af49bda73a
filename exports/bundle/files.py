"""The files of a bundle that is a folder or a ZIP, to be read."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol, cast

from .layout import MANIFEST_NAME, METADATA_NAME
from .lists import InvalidBundle

TOP_NAMES = (METADATA_NAME, MANIFEST_NAME)


class BundleFiles(Protocol):
    """Where the files of a bundle are read from."""

    def size_of(self, name: str) -> int | None:
        """Return the size of a file in bytes; None if there is none of that name."""

    def open(self, name: str) -> BinaryIO:
        """Return a file open for reading. OSError, or InvalidBundle if it cannot be unpacked."""


class FolderFiles:
    """A bundle in a folder. Links are not followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size_of(self, name: str) -> int | None:
        """As in BundleFiles."""
        path = self._folder / name
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        is_inside = path.parent.resolve().is_relative_to(self._folder.resolve())
        return status.st_size if S_ISREG(status.st_mode) and is_inside else None

    def open(self, name: str) -> BinaryIO:
        """As in BundleFiles."""
        return open(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0)  # type: ignore[return-value]


class ZipFiles:
    """A bundle in a ZIP: its files are at the root, or all below one folder."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises InvalidBundle if a name is there twice."""
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        top = names[0].partition("/")[0] + "/" if names else ""
        prefix = (
            top if not any(name in TOP_NAMES for name in names) and all(name.startswith(top) for name in names) else ""
        )
        for entry in archive.infolist():
            name = entry.filename.removeprefix(prefix)
            if entry.is_dir():
                continue
            if name in self._entries:
                raise InvalidBundle(f"{name[:200]!r} is in the ZIP twice.")
            self._entries[name] = entry

    def size_of(self, name: str) -> int | None:
        """As in BundleFiles."""
        entry = self._entries.get(name)
        return entry.file_size if entry is not None else None

    def open(self, name: str) -> BinaryIO:
        """As in BundleFiles."""
        try:
            return cast(BinaryIO, self._archive.open(self._entries[name]))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise InvalidBundle(f"{name} cannot be unpacked: {error}.") from None


@contextmanager
def opened(path: Path) -> Iterator[BundleFiles]:
    """Yield the files of the folder or ZIP `path`. Raises InvalidBundle if it is neither, and OSError."""
    if path.is_dir():
        yield FolderFiles(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InvalidBundle(f"{path.name} is no folder and no ZIP: {error}.") from None
    with archive:
        yield ZipFiles(archive)
