"""Unpack one file of a ZIP archive into an open file: no more than the archive says, in bounded memory and time."""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

MIB = 1024 * 1024
_READ_BYTES = 64 * 1024
_WRITE_BYTES = MIB
_SECONDS = 60.0
_SECONDS_PER_BYTE = 1 / (2 * MIB)
_LARGEST_DICTIONARY = 64 * MIB
_LOCAL = struct.Struct("<4s5H3L2H")
_LZMA = struct.Struct("<2sHBL")
_LOCAL_MARK = b"PK\x03\x04"
_BROKEN = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


class _Decompressor(Protocol):
    """Gives at most `max_length` bytes of what it was fed; the rest comes when it is asked again."""

    @property
    def eof(self) -> bool:
        """True when the stream has said that it ends."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Go on with `data`, or with what is left of earlier ones."""


class _Stored:
    eof = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return what came in: never more than is asked for, since that is more than is read at once."""
        return data


class _Deflate:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        """True when the stream has said that it ends."""
        return self._inner.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """As the others do: what was fed and not used yet is kept here."""
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def unpack(archive: BinaryIO, entry: zipfile.ZipInfo, target: BinaryIO, keepalive: Callable[[], object]) -> None:
    """Write the content of `entry` to `target`. `keepalive` is called all the while, and may raise to end it.

    Raises OSError: EBADMSG if the archive is damaged there or does not hold what its list says, ETIMEDOUT if it takes
    longer than its size explains, else what reading or writing raised.
    """
    left, packed, crc = entry.file_size, entry.compress_size, 0
    until = time.monotonic() + _SECONDS + entry.file_size * _SECONDS_PER_BYTE
    archive.seek(entry.header_offset)
    header = archive.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MARK):
        raise _damaged("its header is not where the list says")
    archive.seek(sum(_LOCAL.unpack(header)[9:]), os.SEEK_CUR)
    decompressor, used = _decompressor(entry, archive)
    packed -= used
    data, is_hungry = b"", True
    while left:
        keepalive()
        if time.monotonic() > until:
            raise OSError(errno.ETIMEDOUT, "Unpacking it took longer than its size explains")
        if is_hungry:
            data = archive.read(max(0, min(_READ_BYTES, packed)))
            if not data:
                raise _damaged("it is shorter than the list says")
            packed -= len(data)
        try:
            piece = decompressor.decompress(data, min(_WRITE_BYTES, left))
        except _BROKEN as error:
            raise _damaged(str(error)) from None
        if len(piece) > left:
            raise _damaged("it is longer than the list says")
        data, is_hungry = b"", not piece or isinstance(decompressor, _Stored)
        crc = zlib.crc32(piece, crc)
        left -= len(piece)
        view = memoryview(piece)
        while view:
            view = view[target.write(view) :]
        if left and decompressor.eof:
            raise _damaged("it is shorter than the list says")
    if crc != entry.CRC:
        raise _damaged("its checksum differs")


def _decompressor(entry: zipfile.ZipInfo, archive: BinaryIO) -> tuple[_Decompressor, int]:
    """Return what unpacks the entry, and how many bytes were read for that. Raises OSError."""
    if entry.compress_type == zipfile.ZIP_STORED:
        return _Stored(), 0
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        return _Deflate(), 0
    if entry.compress_type == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor(), 0
    if entry.compress_type != zipfile.ZIP_LZMA:
        raise _damaged("it is packed in a way that is not known here")
    head = archive.read(_LZMA.size)
    if len(head) < _LZMA.size:
        raise _damaged("it is shorter than the list says")
    _, length, mixed, dictionary = _LZMA.unpack(head)
    if length != 5 or mixed >= 9 * 5 * 5 or dictionary > _LARGEST_DICTIONARY:
        raise _damaged("it asks for more memory than it gets")
    filters = {"lc": mixed % 9, "lp": mixed // 9 % 5, "pb": mixed // 45, "dict_size": dictionary}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **filters}]), _LZMA.size


def _damaged(reason: str) -> OSError:
    return OSError(errno.EBADMSG, f"The archive is damaged at this file ({reason})")
