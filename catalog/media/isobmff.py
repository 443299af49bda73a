"""Walk the boxes that HEIF, AVIF, CR3, MP4 and QuickTime files are made of."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.media.source import MemorySource, Source

_MOST_BOXES = 2000

Box = tuple[bytes, int, int]
"""Type, start and end of the body."""


def boxes(source: Source | bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes between `start` and `end`; ends quietly at the first size that is none.

    A body that leaves its parent is clipped.
    """
    if isinstance(source, bytes):
        source = MemorySource(source)
    end = source.size if end is None else min(end, source.size)
    for _ in range(_MOST_BOXES):
        head = source.read(start, 16)
        if start + 8 > end or len(head) < 8:
            return
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            if len(head) < 16:
                return
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header:
            return
        yield kind, start + header, min(start + size, end)
        start += size


def first_box(source: Source | bytes, kind: bytes, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """Return start and end of the first body of that kind, or None."""
    for found, body, stop in boxes(source, start, end):
        if found == kind:
            return body, stop
    return None
