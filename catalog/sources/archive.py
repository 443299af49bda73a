"""The files of a ZIP archive, which is a stranger's: bounded in number and size, never unpacked by the names in it."""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from catalog.sources import archive_list
from catalog.sources.base import Directory, Problem, ProblemKind, SourceUnavailable
from catalog.sources.hidden import require_room_beside
from catalog.sources.kinds import extension_of
from catalog.sources.placing import numbered
from catalog.sources.unpacking import unpack
from photolala.lib.paths import escape_path

MOST_KEPT = 64
"""Unpacked copies at once, each an open file."""
_EXTENDED_TIME = 0x5455
_LONGEST_SHOWN = 300
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


class ArchiveSource:
    """The regular, visible files of the archive behind a descriptor, which this object takes over and closes.

    Names are those of the archive in escaped form; of several files with one name all but the first get a number. A file is
    unpacked into an unnamed temporary file in `working` when it is opened, and stays there until `forget` or `close`, or
    until many others were opened: then it is unpacked again.
    """

    def __init__(self, descriptor: int, working: Path, keepalive: Callable[[], object] = lambda: None) -> None:
        """Read and judge the list of files. Raises SourceUnavailable with a sentence if nothing is read of this archive.

        `keepalive` is called while something is unpacked; what it raises ends that.
        """
        self._working, self._keepalive = working, keepalive
        self._unpacked: dict[str, int] = {}
        self._file = open(descriptor, "rb")  # noqa: SIM115  (closed by close)
        try:
            archive_list.require_short_list(self._file)
            self._zip = zipfile.ZipFile(self._file)
            archive_list.require_honest(self._zip.filelist, os.fstat(descriptor).st_size, self._zip.start_dir)
        except (*BROKEN, OSError) as error:
            self._file.close()
            raise SourceUnavailable(f"The ZIP archive cannot be read: {error}. Nothing was imported of it.") from None
        except SourceUnavailable:
            self._file.close()
            raise
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._problems: dict[str, Problem] = {}
        self._numbers: dict[str, int] = {}
        for entry in self._zip.filelist:
            self._add(entry)

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def walk(self) -> Iterator[Directory]:
        """Yield the folders that hold files, in order of their paths; the first carries what cannot be read."""
        by_folder: dict[str, Directory] = {"": Directory("", problems=list(self._problems.values()))}
        for path, entry in self._entries.items():
            folder, _, name = path.rpartition("/")
            directory = by_folder.setdefault(folder, Directory(folder))
            directory.files.append((name, entry.file_size, _mtime_ns(entry)))
        for folder in sorted(by_folder):
            by_folder[folder].files.sort()
            yield by_folder[folder]

    def open(self, path: str) -> int:
        """Return a read-only descriptor of an unpacked file, for the caller to close. Raises OSError."""
        entry = self._entries.get(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "The archive holds no such file", path)
        if path not in self._unpacked:
            while len(self._unpacked) >= MOST_KEPT:
                self.forget(next(iter(self._unpacked)))
            self._unpacked[path] = self._unpack(entry)
        return os.open(f"/proc/self/fd/{self._unpacked[path]}", os.O_RDONLY | os.O_CLOEXEC)

    def forget(self, path: str) -> None:
        """Remove the unpacked copy, if there is one."""
        descriptor = self._unpacked.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Remove what was unpacked, and close the archive."""
        for path in list(self._unpacked):
            self.forget(path)
        self._zip.close()
        self._file.close()

    def _add(self, entry: zipfile.ZipInfo) -> None:
        if entry.is_dir():
            return
        parts = entry.filename.split("/")
        try:
            path = escape_path(entry.filename)
        except ValueError:
            path = ascii(entry.filename)[1:-1]
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            self._refuse(path, "Its name leads out of the archive, so it is not read.", "special")
        elif archive_list.is_left_out(parts):
            if (problem := archive_list.what_is_left_out(path, parts)) is not None:
                self._refuse(*problem)
        elif stat.S_ISLNK(entry.external_attr >> 16):
            self._refuse(path, "This is a link, so it is not read.", "special")
        elif archive_list.is_no_plain_zip(entry, extension_of(parts[-1])):
            sentence = (
                "It is an archive inside an archive, which is not unpacked: it is no ZIP, or is packed tighter than photos can "
                "be. Unpack the outer one, and import this one."
            )
            self._refuse(path, sentence, "special")
        elif entry.flag_bits & 0x1:
            self._refuse(path, "It is locked with a password.", "unreadable")
        elif entry.compress_type not in archive_list.METHODS:
            self._refuse(path, "It is packed in a way that is not known here.", "unreadable")
        elif (sentence := archive_list.wrong_size(entry) or "") != "":
            self._refuse(path, sentence, "unreadable")
        else:
            self._entries[self._own_path(path)] = entry

    def _refuse(self, path: str, sentence: str, kind: ProblemKind) -> None:
        path = self._own_path(path[:_LONGEST_SHOWN].lstrip("/") or "(no name)")
        self._problems[path] = Problem(path, sentence, kind)

    def _own_path(self, path: str) -> str:
        """Return `path`, with a number if the archive has another file of that name: none may stand for two."""
        free = path
        folder, slash, name = path.rpartition("/")
        while free in self._entries or free in self._problems:
            self._numbers[path] = self._numbers.get(path, 1) + 1
            free = f"{folder}{slash}{numbered(name, self._numbers[path])}"
        return free

    def _unpack(self, entry: zipfile.ZipInfo) -> int:
        """Return a descriptor of a temporary copy. No more is written than the archive says, and than there is room for."""
        self._working.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._working, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            require_room_beside(folder, entry.file_size)
        finally:
            os.close(folder)
        with tempfile.TemporaryFile(dir=self._working, buffering=0) as copy:
            unpack(self._file, entry, copy, self._keepalive)
            moment = _mtime_ns(entry)
            os.utime(copy.fileno(), ns=(moment, moment))
            return os.dup(copy.fileno())


def _mtime_ns(entry: zipfile.ZipInfo) -> int:
    """Return when the file was written: the archive's UTC time if it has one, else its wall clock as if that were UTC."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == _EXTENDED_TIME and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return int(struct.unpack_from("<i", extra, 5)[0]) * 10**9
        extra = extra[4 + length :]
    try:
        return int(datetime(*entry.date_time, tzinfo=UTC).timestamp()) * 10**9
    except ValueError:
        return 0
