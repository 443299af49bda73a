"""The undo delta, which leads from a changed file back to the earlier one: which of its bytes stayed, and the few that differ.

A delta is made of `COPY offset length` and `INSERT bytes` steps over the *new* file, and the MD5 of the earlier file, which
is checked when it is applied. Metadata edits move the pixels as a whole, so that deltas take some hundred bytes.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Iterator

MOST_DELTA_BYTES = 256 * 1024
_HEAD = struct.Struct("!4s16sQ")
_MARK = b"PLD1"
_STEP = struct.Struct("!BQQ")
_COPY, _INSERT = 0, 1
_ANCHOR_BYTES = 48
_SHORTEST_BYTES = 96
"""What is shorter is inserted: a copy of it would save nothing."""
_MOST_DEPTH = 14
_BLOCK_BYTES = 1 << 18
_MOST_CHUNK_BYTES = 1 << 20

Steps = list[tuple[int, int, int]]


class FileBytes:
    """The bytes of an open file as if they were in memory; not mapped, so that one that shrinks meanwhile crashes nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._size)
        pieces = []
        while start < end:
            piece = os.pread(self._descriptor, end - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def parts(self, places: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Yield what lies at these places (start, end), one after the other, in pieces of 1 MiB; the last may be shorter."""
        pending = bytearray()
        for start, end in places:
            while start < end:
                piece = self[start : min(end, start + _MOST_CHUNK_BYTES - len(pending))]
                if not piece:
                    break
                start += len(piece)
                pending += piece
                if len(pending) == _MOST_CHUNK_BYTES:
                    yield bytes(pending)
                    pending.clear()
        yield bytes(pending)

    def find(self, key: bytes, start: int, end: int) -> int:
        """Return where `key` begins in `[start, end)`, or -1."""
        overlap = len(key) - 1
        while start < end:
            piece = self[start : min(end, start + _MOST_CHUNK_BYTES + overlap)]
            place = piece.find(key)
            if place >= 0:
                return start + place
            start += _MOST_CHUNK_BYTES
        return -1


class BadDelta(ValueError):
    """The delta does not lead from this file to the earlier one."""


def make_delta(
    old: bytes | FileBytes, new: bytes | FileBytes, *, old_md5: str = "", most_bytes: int = MOST_DELTA_BYTES
) -> bytes | None:
    """Return what turns `new` back into `old`, or None if that takes more than `most_bytes`.

    `old_md5` is the MD5 of `old` where it is known already.
    """
    steps: Steps = []
    _compare(old, (0, len(old)), new, (0, len(new)), steps, _MOST_DEPTH)
    inserted = sum(length for kind, _, length in steps if kind == _INSERT)
    if inserted > 8 * most_bytes:
        return None
    plain = b"".join(
        _STEP.pack(kind, start, length) + (bytes(old[start : start + length]) if kind == _INSERT else b"")
        for kind, start, length in steps
    )
    packed = zlib.compress(plain, 9)
    if len(packed) > most_bytes:
        return None
    return _HEAD.pack(_MARK, bytes.fromhex(old_md5) if old_md5 else _md5(old), len(old)) + packed


def apply_delta(new: bytes | FileBytes, delta: bytes) -> Iterator[bytes]:
    """Yield the earlier file's bytes, in parts. Raises BadDelta, at the latest at the end: use nothing of it then."""
    try:
        mark, md5, size = _HEAD.unpack_from(delta)
        plain = zlib.decompressobj().decompress(delta[_HEAD.size :], 16 * MOST_DELTA_BYTES)
    except (struct.error, zlib.error) as error:
        raise BadDelta("What leads back to the earlier file is damaged.") from error
    if mark != _MARK:
        raise BadDelta("What leads back to the earlier file is of an unknown kind.")
    digest, given = hashlib.md5(usedforsecurity=False), 0
    for part in _parts(new, plain):
        given += len(part)
        if given > size:
            break
        digest.update(part)
        yield part
    if given != size or digest.digest() != md5:
        raise BadDelta("The file was changed since, so that the earlier one cannot be made from it.")


def _parts(new: bytes | FileBytes, plain: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(plain):
        try:
            kind, start, length = _STEP.unpack_from(plain, position)
        except struct.error as error:
            raise BadDelta("What leads back to the earlier file is cut short.") from error
        position += _STEP.size
        if kind == _INSERT:
            yield plain[position : position + length]
            position += length
            continue
        for begin in range(start, start + length, _MOST_CHUNK_BYTES):
            yield bytes(new[begin : min(begin + _MOST_CHUNK_BYTES, start + length)])


def _md5(data: bytes | FileBytes) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for begin in range(0, len(data), _MOST_CHUNK_BYTES):
        digest.update(data[begin : begin + _MOST_CHUNK_BYTES])
    return digest.digest()


def _compare(
    old: bytes | FileBytes,
    here: tuple[int, int],
    new: bytes | FileBytes,
    there: tuple[int, int],
    steps: Steps,
    depth: int,
) -> None:
    """Append the steps that make `old[here]`, looking for its parts in `new[there]`."""
    (a, b), (c, d) = here, there
    same = common_start(old, a, new, c, min(b - a, d - c))
    _add(steps, _COPY, c, same)
    a, c = a + same, c + same
    tail = _common_end(old, b, new, d, min(b - a, d - c))
    b, d = b - tail, d - tail
    found = _anchor(old, (a, b), new, (c, d)) if depth and b - a > _SHORTEST_BYTES and d - c > _SHORTEST_BYTES else None
    if found is None:
        _add(steps, _INSERT, a, b - a)
    else:
        place, match = found
        before = _common_end(old, place, new, match, min(place - a, match - c))
        length = before + common_start(old, place, new, match, min(b - place, d - match))
        place, match = place - before, match - before
        _compare(old, (a, place), new, (c, match), steps, depth - 1)
        _add(steps, _COPY, match, length)
        _compare(old, (place + length, b), new, (match + length, d), steps, depth - 1)
    _add(steps, _COPY, d, tail)


def _anchor(
    old: bytes | FileBytes, here: tuple[int, int], new: bytes | FileBytes, there: tuple[int, int]
) -> tuple[int, int] | None:
    """Return where some bytes of `old[here]` are found in `new[there]`: looked for in its middle, then around it."""
    (a, b), (c, d) = here, there
    for parts in (2, 4, 8, 16, 32):
        for part in range(1, parts, 2):
            place = a + (b - a) * part // parts
            key = bytes(old[place : place + _ANCHOR_BYTES])
            if place + _ANCHOR_BYTES > b or len(set(key)) < 8:  # a run of zeros is found anywhere
                continue
            match = new.find(key, c, d)
            if match >= 0:
                return place, match
    return None


def _add(steps: Steps, kind: int, start: int, length: int) -> None:
    if length > 0:
        steps.append((kind, start, length))


def common_start(old: bytes | FileBytes, i: int, new: bytes | FileBytes, j: int, most: int) -> int:
    """Return how many bytes from `old[i]` and `new[j]` on are equal, at most `most`."""
    same = 0
    step = _BLOCK_BYTES
    while same < most and step:
        length = min(step, most - same)
        if old[i + same : i + same + length] == new[j + same : j + same + length]:
            same += length
        else:
            step = length // 2
    return same


def _common_end(old: bytes | FileBytes, i: int, new: bytes | FileBytes, j: int, most: int) -> int:
    """Return how many bytes before `old[i]` and `new[j]` are equal, at most `most`."""
    same = 0
    step = _BLOCK_BYTES
    while same < most and step:
        length = min(step, most - same)
        if old[i - same - length : i - same] == new[j - same - length : j - same]:
            same += length
        else:
            step = length // 2
    return same
