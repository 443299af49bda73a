"""Streams a finished export folder as a ZIP whose every byte is known beforehand: downloads can be resumed.

Files are stored, not compressed (photos do not shrink): with sizes and CRC-32 known, the archive is a pure function of
its entries. Format: PKWARE APPNOTE 6.3.x, ZIP64 where sizes, offsets or counts need it.
"""

import hashlib
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exports.formats.manifest import MANIFEST_NAME, check_export_path, decode_manifest

READ_BYTES = 1 << 18
_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF
_UTF8_NAME = 0x0800
_VERSION, _VERSION_ZIP64 = 20, 45
_MADE_BY_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16


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
        self._date, self._time = _dos_time(modified)
        self._starts: list[int] = []  # where each entry's local header starts
        offset = 0
        for entry in self._entries:
            self._starts.append(offset)
            offset += len(self._local_header(entry)) + entry.size_bytes
        self._directory_start = offset
        self._directory_starts: list[int] = []  # where each entry's record in the central directory starts
        for index in range(len(self._entries)):
            self._directory_starts.append(offset)
            offset += len(self._directory_record(index))
        self._end_start = offset
        self._end = self._end_records()
        self.total_size = offset + len(self._end)

    @property
    def fingerprint(self) -> str:
        """A digest that changes whenever a byte of the archive would: an ETag for `If-Range`."""
        digest = hashlib.sha256(f"{self._date} {self._time}\n".encode())
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
            header = self._local_header(entry)
            yield from _cut(header, offset, start, stop)
            offset += len(header)
            yield from _read(entry, max(0, start - offset), min(entry.size_bytes, stop - offset))
        for index in range(max(0, bisect_right(self._directory_starts, start) - 1), len(self._entries)):
            if self._directory_starts[index] >= stop:
                return
            yield from _cut(self._directory_record(index), self._directory_starts[index], start, stop)
        yield from _cut(self._end, self._end_start, start, stop)

    def _local_header(self, entry: ZipEntry) -> bytes:
        name = entry.name.encode()
        extra, size = b"", entry.size_bytes
        if size >= _MAX_32:
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            size = _MAX_32
        version = _VERSION_ZIP64 if extra else _VERSION
        fields = (version, _UTF8_NAME, 0, self._time, self._date, entry.crc32, size, size, len(name), len(extra))
        return struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + name + extra

    def _directory_record(self, index: int) -> bytes:
        entry, offset = self._entries[index], self._starts[index]
        name = entry.name.encode()
        large: list[int] = []
        size = entry.size_bytes
        if size >= _MAX_32:
            large += [size, size]
            size = _MAX_32
        if offset >= _MAX_32:
            large.append(offset)
            offset = _MAX_32
        extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = _VERSION_ZIP64 if extra else _VERSION
        return (
            struct.pack(
                "<4s6H3L5H2L",
                *(b"PK\1\2", _MADE_BY_UNIX | version, version, _UTF8_NAME, 0, self._time, self._date),
                *(entry.crc32, size, size, len(name), len(extra), 0, 0, 0, _FILE_MODE, offset),
            )
            + name
            + extra
        )

    def _end_records(self) -> bytes:
        count, start = len(self._entries), self._directory_start
        size = self._end_start - start
        end64 = b""
        if count >= _MAX_16 or size >= _MAX_32 or start >= _MAX_32:
            versions = (_MADE_BY_UNIX | _VERSION_ZIP64, _VERSION_ZIP64)
            end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, *versions, 0, 0, count, count, size, start)
            end64 += struct.pack("<4sLQL", b"PK\6\7", 0, self._end_start, 1)
        count16 = min(count, _MAX_16)
        return end64 + struct.pack(
            "<4s4H2LH", b"PK\5\6", 0, 0, count16, count16, min(size, _MAX_32), min(start, _MAX_32), 0
        )


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


def _dos_time(moment: datetime) -> tuple[int, int]:
    """Return date and time as ZIP stores them: UTC here, steps of two seconds, from 1980 to 2107."""
    moment = moment.astimezone(UTC)
    year = min(max(moment.year, 1980), 2107)
    return (
        year - 1980
    ) << 9 | moment.month << 5 | moment.day, moment.hour << 11 | moment.minute << 5 | moment.second // 2
