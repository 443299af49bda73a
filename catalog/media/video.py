"""Draw a film's first good frame, through a file object: a playlist inside a file can open nothing."""

from __future__ import annotations

import io
from typing import Any

from catalog.media.drawing import Drawing, check_size, finish
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.libraries import load
from catalog.media.limits import Limits
from catalog.media.source import MemorySource, Source, SourceFile

_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/x-m4v": "mov",
    "video/3gpp": "mov",
    "video/3gpp2": "mov",
    "video/x-msvideo": "avi",
    "video/x-matroska": "matroska",
    "video/webm": "matroska",
    "video/mp2t": "mpegts",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "asf",
}
_TURNS = {0: 1, 90: 8, 180: 3, 270: 6}
_MOST_FRAMES = 3
_MOST_PACKETS = 400
_DARK = 20


class NoFrame(ValueError):
    """The film holds no frame that can be decoded."""


def open_film(source: Source, media_type: str) -> Any:
    """Open the film with the one demuxer that its first bytes name. Raises OSError or ValueError for damaged files."""
    av = load("av")

    av.logging.set_level(None)
    file = io.BytesIO(source.data) if isinstance(source, MemorySource) else SourceFile(source)
    return av.open(file, mode="r", format=_DEMUXERS[media_type], metadata_errors="replace", buffer_size=65536)


def examine_film(source: Source, media_type: str, found: Found) -> None:
    """Set size, length and date in `found` from the demuxer, where the headers read before lack them."""
    av = load("av")

    try:
        with open_film(source, media_type) as container:
            stream = next((stream for stream in container.streams.video), None)
            if stream is None:
                found.problem = found.problem or "The film holds no picture track."
                return
            if not found.width and stream.codec_context is not None:
                found.width, found.height = _shown_size(stream.codec_context)
            if found.duration_ms is None and container.duration and 0 < container.duration < 10 * 24 * 3600 * 1_000_000:
                found.duration_ms = container.duration // 1000
            created = container.metadata.get("creation_time", "")
            if created and not found.created_text and found.created_utc_seconds is None:
                found.created_text = created
    except (av.FFmpegError, OSError, ValueError, MemoryError, RuntimeError):
        found.problem = found.problem or "The film's headers are damaged."


def _shown_size(context: Any) -> tuple[int, int]:
    ratio = context.sample_aspect_ratio
    width = context.width or 0
    if ratio and ratio > 0 and 0.1 < ratio < 10:
        width = round(width * ratio)
    return width, context.height or 0


def draw_film(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw the first key frame that is not dark, else the first, turned upright. Raises ValueError when nothing decodes."""
    av = load("av")

    if facts.found.problem and not facts.found.width:
        return Drawing(problem=facts.found.problem)
    try:
        with open_film(source, media_type) as container:
            return _first_good(container, facts, edge_px, limits)
    except av.FFmpegError as error:
        raise NoFrame(f"the film's data are damaged ({error.strerror or type(error).__name__})") from error


def _first_good(container: Any, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    stream = next((stream for stream in container.streams.video), None)
    if stream is None:
        raise NoFrame("it holds no picture track")
    context = stream.codec_context
    if context is None:
        raise NoFrame("no decoder knows its picture track")
    check_size(context.width, context.height, context.width * context.height * 4, limits)
    context.thread_count = 1
    context.skip_frame = "NONKEY"
    first: Drawing | None = None
    for number, frame in enumerate(_frames(container, stream)):
        drawing = _draw_frame(frame, facts, edge_px)
        first = first or drawing
        if sum(bytes.fromhex(drawing.colour[1:])) > 3 * _DARK:
            return drawing
        if number + 1 >= _MOST_FRAMES:
            break
    if first is None:
        raise NoFrame("the film holds no frame that can be decoded")
    return first


def _frames(container: Any, stream: Any) -> Any:
    av = load("av")

    for number, packet in enumerate(container.demux(stream)):
        if number > _MOST_PACKETS:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _draw_frame(frame: Any, facts: Facts, edge_px: int) -> Drawing:
    turn = facts.found.transform
    if turn is None:
        turn = _TURNS.get(round(getattr(frame, "rotation", 0) or 0) % 360, 1)
    width, height = facts.found.width or frame.width, facts.found.height or frame.height
    scale = min(1.0, edge_px / max(width, height))
    small = frame.reformat(
        width=max(1, round(width * scale)), height=max(1, round(height * scale)), format="rgb24", interpolation="AREA"
    ).to_image()
    drawing = finish(small, turn, edge_px)
    drawing.source_size = (0, 0)
    return drawing
