"""The records of a ZIP file as bytes: PKWARE APPNOTE 6.3.x, stored files, ZIP64 where sizes, offsets or counts need it."""

import struct
from datetime import UTC, datetime
from typing import NamedTuple

MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF
_UTF8_NAME = 0x0800
_CRC_FOLLOWS = 0x0008
_VERSION, _VERSION_ZIP64 = 20, 45
_MADE_BY_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16


class FileRecord(NamedTuple):
    """What the headers say of one file; `crc32` is None if it follows the file's bytes."""

    name: bytes
    size_bytes: int
    crc32: int | None
    dos_time: tuple[int, int]


def local_header(file: FileRecord) -> bytes:
    """Return what precedes the bytes of a file."""
    extra, size = b"", file.size_bytes
    if size >= MAX_32:
        extra = struct.pack("<HHQQ", 1, 16, size, size)
        size = MAX_32
    flags = _UTF8_NAME
    if file.crc32 is None:
        flags |= _CRC_FOLLOWS
        if not extra:
            size = 0  # as the format wants it; the descriptor and the directory say how many
    date, time = file.dos_time
    version = _VERSION_ZIP64 if extra else _VERSION
    fields = (version, flags, 0, time, date, file.crc32 or 0, size, size, len(file.name), len(extra))
    return struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + file.name + extra


def descriptor(crc32: int, size_bytes: int) -> bytes:
    """Return what follows the bytes of a file whose header did not say its CRC-32."""
    sizes = "QQ" if size_bytes >= MAX_32 else "LL"
    return struct.pack(f"<4sL{sizes}", b"PK\7\10", crc32, size_bytes, size_bytes)


def directory_record(file: FileRecord, crc32: int, offset: int) -> bytes:
    """Return the record in the central directory of a file whose local header starts at `offset`."""
    large: list[int] = []
    size = file.size_bytes
    if size >= MAX_32:
        large += [size, size]
        size = MAX_32
    if offset >= MAX_32:
        large.append(offset)
        offset = MAX_32
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = _VERSION_ZIP64 if extra else _VERSION
    flags = _UTF8_NAME | (_CRC_FOLLOWS if file.crc32 is None else 0)
    date, time = file.dos_time
    return (
        struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", _MADE_BY_UNIX | version, version, flags, 0, time, date),
            *(crc32, size, size, len(file.name), len(extra), 0, 0, 0, _FILE_MODE, offset),
        )
        + file.name
        + extra
    )


def end_records(count: int, directory_start: int, directory_end: int) -> bytes:
    """Return what ends an archive of `count` files whose central directory is from `directory_start` to `directory_end`."""
    start, size = directory_start, directory_end - directory_start
    end64 = b""
    if count >= _MAX_16 or size >= MAX_32 or start >= MAX_32:
        versions = (_MADE_BY_UNIX | _VERSION_ZIP64, _VERSION_ZIP64)
        end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, *versions, 0, 0, count, count, size, start)
        end64 += struct.pack("<4sLQL", b"PK\6\7", 0, directory_end, 1)
    count16 = min(count, _MAX_16)
    return end64 + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count16, count16, min(size, MAX_32), min(start, MAX_32), 0)


def dos_time(moment: datetime) -> tuple[int, int]:
    """Return date and time as ZIP stores them: UTC here, steps of two seconds, from 1980 to 2107."""
    moment = moment.astimezone(UTC)
    year = min(max(moment.year, 1980), 2107)
    return (
        (year - 1980) << 9 | moment.month << 5 | moment.day,
        moment.hour << 11 | moment.minute << 5 | moment.second // 2,
    )
