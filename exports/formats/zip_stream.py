"""Streams a finished export folder as a ZIP whose every byte is known beforehand: downloads can be resumed.

Files are stored, not compressed (photos do not shrink): with sizes and CRC-32 known, the archive is a pure function of
its entries.
"""

import hashlib
import os
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from exports.formats.manifest import MANIFEST_NAME, check_export_path, decode_manifest
from exports.formats.zip_records import FileRecord, directory_record, dos_time, end_records, local_header

READ_BYTES = 1 << 18


class ChangedFile(OSError):
    """A file of the archive is not what it was when the archive was planned; the download must stop here."""


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file: its name in the archive, where its bytes are, how many there are, and their CRC-32."""

    name: str
    source: Path
    size_bytes: int
    crc32: int


class ZipStream:
    """A ZIP archive of `entries`, all dated `modified`: its size and any range of its bytes, without making it."""

    def __init__(self, entries: Sequence[ZipEntry], modified: datetime) -> None:
        """Lay the archive out; nothing is read. Memory: some bytes per entry."""
        self._entries = list(entries)
        self._dos_time = dos_time(modified)
        self._starts: list[int] = []  # where each entry's local header starts
        offset = 0
        for index, entry in enumerate(self._entries):
            self._starts.append(offset)
            offset += len(self._local_header(index)) + entry.size_bytes
        self._directory_start = offset
        self._directory_starts: list[int] = []  # where each entry's record in the central directory starts
        for index in range(len(self._entries)):
            self._directory_starts.append(offset)
            offset += len(self._directory_record(index))
        self._end_start = offset
        self._end = end_records(len(self._entries), self._directory_start, offset)
        self.total_size = offset + len(self._end)

    @property
    def names(self) -> list[str]:
        """The names of its files, as they are in it."""
        return [entry.name for entry in self._entries]

    @property
    def fingerprint(self) -> str:
        """A digest that changes whenever a byte of the archive would: an ETag for `If-Range`."""
        digest = hashlib.sha256(f"{self._dos_time[0]} {self._dos_time[1]}\n".encode())
        for entry in self._entries:
            digest.update(f"{entry.size_bytes} {entry.crc32} {entry.name}\n".encode())
        return digest.hexdigest()

    def iter_range(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end` (None: all), in pieces of at most 256 KiB.

        Raises ValueError for a range outside the archive, ChangedFile or OSError when a file is not as planned.
        """
        stop = self.total_size if end is None else end
        if not 0 <= start <= stop <= self.total_size:
            raise ValueError(f"Bytes {start} to {stop} are not a range of an archive of {self.total_size} bytes.")
        return self._pieces(start, stop)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for index in range(max(0, bisect_right(self._starts, start) - 1), len(self._entries)):
            offset = self._starts[index]
            if offset >= stop:
                return
            entry = self._entries[index]
            header = self._local_header(index)
            yield from _cut(header, offset, start, stop)
            offset += len(header)
            yield from _read(entry, max(0, start - offset), min(entry.size_bytes, stop - offset))
        for index in range(max(0, bisect_right(self._directory_starts, start) - 1), len(self._entries)):
            if self._directory_starts[index] >= stop:
                return
            yield from _cut(self._directory_record(index), self._directory_starts[index], start, stop)
        yield from _cut(self._end, self._end_start, start, stop)

    def _record(self, index: int) -> FileRecord:
        entry = self._entries[index]
        return FileRecord(entry.name.encode(), entry.size_bytes, entry.crc32, self._dos_time)

    def _local_header(self, index: int) -> bytes:
        return local_header(self._record(index))

    def _directory_record(self, index: int) -> bytes:
        return directory_record(self._record(index), self._entries[index].crc32, self._starts[index])


def stream_export_folder(folder: Path, name: str = "") -> ZipStream:
    """Return the ZIP of a finished export folder, as its manifest lists it, below `name` or the folder's own name.

    Raises OSError if the manifest or a file is missing, InvalidManifest if it is damaged, ChangedFile on a wrong size.
    """
    name = name or folder.name
    text = (folder / MANIFEST_NAME).read_bytes()
    manifest = decode_manifest(text)
    entries = []
    for file in manifest.files:
        source = folder / check_export_path(file.path)
        if source.lstat().st_size != file.size_bytes:
            raise ChangedFile(
                f"{source} has not the size that the manifest gives: the export is damaged. Make it anew."
            )
        entries.append(ZipEntry(f"{name}/{file.path}", source, file.size_bytes, int(file.crc32, 16)))
    own = ZipEntry(f"{name}/{MANIFEST_NAME}", folder / MANIFEST_NAME, len(text), zlib.crc32(text))
    return ZipStream([*entries, own], manifest.created)


def _cut(piece: bytes, offset: int, start: int, stop: int) -> Iterator[bytes]:
    part = piece[max(0, start - offset) : max(0, stop - offset)]
    if part:
        yield part


def _read(entry: ZipEntry, start: int, stop: int) -> Iterator[bytes]:
    if start >= stop:
        return
    descriptor = os.open(entry.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_size != entry.size_bytes:
            raise ChangedFile(
                f"{entry.source} has changed since the export was made: the download stops. Export again."
            )
        while start < stop:
            chunk = os.pread(descriptor, min(READ_BYTES, stop - start), start)
            if not chunk:
                raise ChangedFile(f"{entry.source} has become shorter: the download stops. Export again.")
            start += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)
