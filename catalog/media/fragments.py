"""Measure MP4 videos in fragments: their index tells no length, each fragment tells its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from catalog.media.isobmff import boxes, first_box
from catalog.media.source import Source

_MOST_STRETCHES = 20
"""Of as many boxes as `boxes` yields at most."""
_LONGEST_RUN_BYTES = 1024 * 1024
_DURATION, _OTHERS = 0x100, (0x200, 0x400, 0x800)
"""The flags of what a run tells of each sample, four bytes each."""


def fragmented_ms(source: Source) -> int | None:
    """Return how long the longest track is in milliseconds, None if that cannot be told."""
    moov = first_box(source, b"moov")
    extends = first_box(source, b"mvex", *moov) if moov else None
    if moov is None or extends is None:
        return None
    scales = dict(_scales(source, *moov))
    usual = dict(_usual_durations(source, *extends))
    ends = dict.fromkeys(scales, 0)
    for start, end in _fragments(source, moov[1]):
        for kind, at, stop in boxes(source, start, end):
            if kind == b"traf":
                _measure(source, at, stop, usual, ends)
    lengths = [round(ends[track] * 1000 / scale) for track, scale in scales.items() if scale]
    return max(lengths, default=0) or None


def _fragments(source: Source, start: int) -> Iterator[tuple[int, int]]:
    for _ in range(_MOST_STRETCHES):
        before = start
        for kind, at, stop in boxes(source, start):
            start = stop
            if kind == b"moof":
                yield at, stop
        if start == before:
            return


def _scales(source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the number and the units a second of each track."""
    for kind, at, stop in boxes(source, start, end):
        media = first_box(source, b"mdia", at, stop) if kind == b"trak" else None
        track = first_box(source, b"tkhd", at, stop) if media else None
        clock = first_box(source, b"mdhd", *media) if media else None
        if track is not None and clock is not None:
            head, times = source.read(track[0], 24), source.read(clock[0], 24)
            number = head[20:24] if head[:1] == b"\1" else head[12:16]
            scale = times[20:24] if times[:1] == b"\1" else times[12:16]
            yield int.from_bytes(number, "big"), int.from_bytes(scale, "big")


def _usual_durations(source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, at, _ in boxes(source, start, end):
        if kind == b"trex":
            body = source.read(at, 16)
            yield int.from_bytes(body[4:8], "big"), int.from_bytes(body[12:16], "big")


def _measure(source: Source, start: int, end: int, usual: dict[int, int], ends: dict[int, int]) -> None:
    """Move the end of a fragment's track in `ends` on."""
    track = duration = 0
    begin: int | None = None
    length = 0
    for kind, at, stop in boxes(source, start, end):
        body = source.read(at, min(stop - at, _LONGEST_RUN_BYTES))
        if len(body) < 8:
            continue
        if kind == b"tfhd":
            flags, track = struct.unpack(">II", body[:8])
            before = 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2)
            told = flags & 0x8 and len(body) >= before + 4
            duration = int.from_bytes(body[before : before + 4], "big") if told else usual.get(track, 0)
        elif kind == b"tfdt":
            begin = int.from_bytes(body[4:12] if body[:1] == b"\1" else body[4:8], "big")
        elif kind == b"trun":
            length += _run_length(body, duration)
    if track in ends:
        ends[track] = max(ends[track], (ends[track] if begin is None else begin) + length)


def _run_length(body: bytes, duration: int) -> int:
    flags, count = struct.unpack(">II", body[:8])
    flags &= 0xFFFFFF
    if not flags & _DURATION:
        return int(count * duration)
    first = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    step = 4 + 4 * sum(bool(flags & other) for other in _OTHERS)
    return sum(
        int.from_bytes(body[at : at + 4], "big") for at in range(first, min(len(body), first + count * step), step)
    )
