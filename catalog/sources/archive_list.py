"""What the list of a ZIP archive says before anything is unpacked: how long it may be, and what no honest archive has."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from catalog.sources.base import Problem, SourceUnavailable
from catalog.sources.kinds import is_media_name
from catalog.sources.names import skipped_part

MOST_ENTRIES = 200_000
MOST_LIST_BYTES = 128 * 1024**2
LARGE_BYTES = 32 * 1024**2
"""A file up to this size may be packed as tightly as it likes: a white page shrinks to a thousandth."""
MOST_TIMES = 100
"""A larger one may unpack to no more than so many times its packed size; photos and videos stay below two, scans below fifty."""
LARGE_ARCHIVE_BYTES = 1024**3
MOST_TIMES_TOGETHER = 50
"""What all files of an archive may unpack to, in times of its size, if that is more than LARGE_ARCHIVE_BYTES."""
ARCHIVES = frozenset({"zip", "tar", "gz", "tgz", "bz2", "xz", "7z", "rar", "zst"})
MOST_TIMES_NESTED = 2
"""An archive inside may be so many times as large as it is packed: photos do not get smaller by being packed twice."""
NESTED_BYTES = 64 * 1024
"""A smaller one may be packed tighter."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
UNPACK_IT = "Unpack it with a program of your own, look at what comes out, and import that folder."

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_LOCATOR_BYTES = 20
_LOCATOR_MARK = b"PK\x06\x07"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_MARK = b"PK\x06\x06"
_ENTRY_MARK = b"PK\x01\x02"
_ENTRY_BYTES = 46
_LOCAL_BYTES = 30
_LONGEST_COMMENT = 1 << 16


def require_short_list(file: BinaryIO, most_entries: int | None = None) -> None:
    """Raise SourceUnavailable if the list of files is longer than is read, whatever number of files it claims.

    `most_entries`: so many instead of MOST_ENTRIES. Asked before `zipfile` makes an object of every entry. An archive without
    a list is left for that to refuse.
    """
    found = _find_list(file)
    if found is None:
        return
    offset, size = found
    if size > MOST_LIST_BYTES:
        raise SourceUnavailable(
            f"The archive's list of files takes {size / 10**6:,.0f} MB; up to {MOST_LIST_BYTES / 10**6:,.0f} MB are read. "
            f"Nothing was imported of it. {UNPACK_IT}"
        )
    file.seek(max(0, offset))
    data = file.read(size)
    position = count = 0
    while position + _ENTRY_BYTES <= len(data) and data.startswith(_ENTRY_MARK, position):
        position += _ENTRY_BYTES + sum(struct.unpack_from("<3H", data, position + 28))
        count += 1
    most = MOST_ENTRIES if most_entries is None else most_entries
    if count > most:
        raise SourceUnavailable(
            f"The archive lists {count:,} files; up to {most:,} are read. Nothing was imported of it. Unpack it into "
            "a folder and import that."
        )


def require_honest(entries: Sequence[zipfile.ZipInfo], archive_bytes: int, list_at: int) -> None:
    """Raise SourceUnavailable for what is only found in archives made to fill a disk: files that share bytes, a total that
    no photos unpack to."""
    by_place = sorted(entries, key=lambda entry: entry.header_offset)
    following = [entry.header_offset for entry in by_place[1:]] + [list_at]
    for number, (entry, end) in enumerate(zip(by_place, following, strict=True)):
        if entry.header_offset + _LOCAL_BYTES + _name_bytes(entry) + entry.compress_size > end:
            beside = (
                f"“{by_place[number + 1].filename[:100]}”" if number + 1 < len(by_place) else "the archive's own list"
            )
            raise SourceUnavailable(
                f"In the archive “{entry.filename[:100]}” and {beside} share the same bytes, as only archives do that are "
                f"damaged or made to fill a disk. Nothing was imported of it. {UNPACK_IT}"
            )
    total = sum(entry.file_size for entry in entries if wrong_size(entry) is None)
    if total > LARGE_ARCHIVE_BYTES and total > MOST_TIMES_TOGETHER * archive_bytes:
        raise SourceUnavailable(
            f"The archive has {archive_bytes / 10**6:,.1f} MB and would unpack to {total / 10**9:,.1f} GB, which no photos and "
            f"videos do. Nothing was imported of it. {UNPACK_IT}"
        )


def wrong_size(entry: zipfile.ZipInfo) -> str | None:
    """Return why an entry is not unpacked because of its size, as a sentence; None if it may be."""
    if entry.file_size > LARGE_BYTES and entry.file_size > MOST_TIMES * entry.compress_size:
        return (
            f"It has {entry.compress_size / 10**6:,.1f} MB in the archive and would unpack to "
            f"{entry.file_size / 10**6:,.0f} MB, which no photo or video does, so it was not unpacked. {UNPACK_IT}"
        )
    return None


def is_no_plain_zip(entry: zipfile.ZipInfo, extension: str) -> bool:
    """Return whether an entry is an archive that is not looked into: no ZIP, or one such as is made to fill a disk."""
    if extension not in ARCHIVES:
        return False
    return extension != "zip" or entry.file_size > max(NESTED_BYTES, MOST_TIMES_NESTED * entry.compress_size)


def is_left_out(parts: Sequence[str]) -> bool:
    """True for what a scan would not see either, by its name and those of its folders."""
    return bool(skipped_part("/".join(parts)))


def what_is_left_out(path: str, parts: Sequence[str]) -> Problem | None:
    """Return the problem of a photo in a hidden or system folder; None for what systems and tools leave there."""
    if parts[-1].startswith("._") or "__MACOSX" in parts or not is_media_name(parts[-1].lstrip(".")):
        return None
    sentence = (
        "Its name or folder is hidden or belongs to a system, so no library shows it. Rename it, and import it again."
    )
    return Problem(path, sentence, "special")


def _name_bytes(entry: zipfile.ZipInfo) -> int:
    is_utf8 = bool(entry.flag_bits & 0x800)
    return len(entry.orig_filename.encode(errors="replace") if is_utf8 else entry.orig_filename)


def _find_list(file: BinaryIO) -> tuple[int, int] | None:
    """Return where the list of files begins and how long it is, as `zipfile` finds it; None if there is none."""
    length = file.seek(0, os.SEEK_END)
    end_at = length - _END.size
    if end_at < 0:
        return None
    file.seek(end_at)
    end = file.read(_END.size)
    if not (end.startswith(_END_MARK) and end.endswith(b"\0\0")):
        start = max(0, length - _LONGEST_COMMENT - _END.size)
        file.seek(start)
        tail = file.read()
        found = tail.rfind(_END_MARK)
        if found < 0 or found + _END.size > len(tail):
            return None
        end, end_at = tail[found : found + _END.size], start + found
    size = int(_END.unpack(end)[5])
    locator_at = end_at - _LOCATOR_BYTES
    if locator_at >= _END_64.size:
        file.seek(locator_at - _END_64.size)
        record = file.read(_END_64.size + _LOCATOR_BYTES)
        if record.startswith(_LOCATOR_MARK, _END_64.size) and record.startswith(_END_64_MARK):
            size, end_at = int(_END_64.unpack_from(record)[8]), locator_at - _END_64.size
    return end_at - size, size
