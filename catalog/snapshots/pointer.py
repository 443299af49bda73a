"""The pointer `.photolala.md5`: which snapshot is the latest, and which earlier ones are still kept."""

import re
from collections.abc import Iterable
from typing import NamedTuple

POINTER_NAME = ".photolala.md5"
MAX_POINTER_BYTES = 64 << 10

_MD5 = re.compile(r"[0-9a-f]{32}")


class Pointer(NamedTuple):
    """The MD5s of a pointer, the latest first, and sentences about what in the file was no MD5."""

    md5s: tuple[str, ...]
    notes: tuple[str, ...] = ()


def parse_pointer(data: bytes) -> Pointer:
    """Read a pointer, however damaged: lines that are no MD5 (torn, garbage) are left out with a note."""
    md5s: dict[str, None] = {}
    notes: list[str] = []
    if len(data) > MAX_POINTER_BYTES:
        notes.append(f"The pointer has {len(data)} bytes; only the first {MAX_POINTER_BYTES} were read.")
    for number, line in enumerate(data[:MAX_POINTER_BYTES].decode("utf-8-sig", "replace").splitlines(), 1):
        word = line.strip().lower()
        if _MD5.fullmatch(word):
            md5s.setdefault(word)
        elif word:
            notes.append(f"Line {number} of the pointer is no MD5 and was left out: {word[:40]!r}.")
    if not md5s and not notes:
        notes.append("The pointer is empty.")
    return Pointer(tuple(md5s), tuple(notes))


def format_pointer(md5s: Iterable[str]) -> bytes:
    """Return the whole content of a pointer. Raises ValueError for anything but 32 lowercase hex digits."""
    lines = list(md5s)
    for line in lines:
        if not _MD5.fullmatch(line):
            raise ValueError(f"{line!r} is no MD5, so it cannot stand in a pointer.")
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def advance(md5s: Iterable[str], latest: str, keep_count: int) -> tuple[str, ...]:
    """Return the lines after `latest` was written: it comes first, wherever it was before; at most `keep_count`."""
    return (latest, *(md5 for md5 in md5s if md5 != latest))[: max(keep_count, 1)]
