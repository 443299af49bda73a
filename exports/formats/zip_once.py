"""Streams files that nobody has read yet as a ZIP: its size is known beforehand, its CRC-32s only when the bytes have passed.

Each file is read once, while it is sent; hence such a download cannot be resumed.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from exports.formats.zip_records import FileRecord, descriptor, directory_record, dos_time, end_records, local_header
from exports.formats.zip_stream import ChangedFile


@dataclass(frozen=True, slots=True)
class UnreadEntry:
    """A file: its name in the archive, its size, its date, and what opens it and gives its bytes in pieces."""

    name: str
    size_bytes: int
    modified: datetime
    read: Callable[[], Iterable[bytes]]


class ZipOnce:
    """A ZIP archive of `entries`, which is made while it is read. Memory: some bytes for each entry."""

    fingerprint = ""
    """None: another one may differ, and nobody can tell before all is read."""

    def __init__(self, entries: Sequence[UnreadEntry]) -> None:
        """Lay the archive out; nothing is read."""
        self._entries = entries
        offset, directory_bytes = 0, 0
        for entry in entries:
            record = _record(entry)
            directory_bytes += len(directory_record(record, 0, offset))
            offset += len(local_header(record)) + entry.size_bytes + len(descriptor(0, entry.size_bytes))
        self._directory_start, self._directory_end = offset, offset + directory_bytes
        self._end = end_records(len(entries), self._directory_start, self._directory_end)
        self.total_size = self._directory_end + len(self._end)

    def iter_range(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield all bytes; ValueError for a part. Raises ChangedFile, or what reading raises, when a file is not as planned."""
        if start or end not in (None, self.total_size):
            raise ValueError("An archive that is made while it is read can only be had from its beginning to its end.")
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        offset = 0
        directory: list[tuple[int, int]] = []  # CRC-32 and start of each file
        for entry in self._entries:
            header = local_header(_record(entry))
            yield header
            crc32 = 0
            left = entry.size_bytes
            for piece in entry.read():
                left -= len(piece)
                if left < 0:
                    break
                crc32 = zlib.crc32(piece, crc32)
                yield piece
            if left:
                raise ChangedFile(f"{entry.name} has not the size that it had when the download began: it stops here.")
            directory.append((crc32, offset))
            ending = descriptor(crc32, entry.size_bytes)
            yield ending
            offset += len(header) + entry.size_bytes + len(ending)
        for entry, (crc32, start) in zip(self._entries, directory, strict=True):
            yield directory_record(_record(entry), crc32, start)
        yield self._end


def _record(entry: UnreadEntry) -> FileRecord:
    return FileRecord(entry.name.encode(), entry.size_bytes, None, dos_time(entry.modified))
