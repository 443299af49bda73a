"""Random access to the bytes of one file, whether they are in memory or behind a descriptor."""

from __future__ import annotations

import io
import os

HEAD_BYTES = 64 * 1024
_LONGEST_READ_BYTES = 16 * 1024 * 1024


class MemorySource:
    """The bytes of a file that was read whole."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer at the end of the file, none outside it."""
        if offset < 0 or length <= 0:
            return b""
        return self.data[offset : offset + min(length, _LONGEST_READ_BYTES)]


class DescriptorSource:
    """The bytes behind an open descriptor of a regular file; the first 64 KiB are read once and kept."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.size = size
        self.head = os.pread(descriptor, min(size, HEAD_BYTES), 0)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer at the end of the file, none outside it."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        return os.pread(self.descriptor, min(length, _LONGEST_READ_BYTES), offset)


Source = MemorySource | DescriptorSource


class SourceFile(io.RawIOBase):
    """A read-only, seekable file object over a source, for decoders that want one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` from the start, the position or the end. Raises ValueError before the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes from the position, all that is left when negative."""
        left = max(0, self._source.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted > 0:
            part = self._source.read(self._position, wanted)
            if not part:
                break
            parts.append(part)
            self._position += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` from the position and return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
