"""Draw a film's first good frame, through a file object: a playlist inside a file can open nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from catalog.media.avchd import read_mdpm
from catalog.media.decoder_libraries import load
from catalog.media.drawing import Drawing, check_size, finish
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.limits import Limits
from catalog.media.recorded import recorded
from catalog.media.source import MemorySource, Source, SourceFile
from catalog.media.tone import shown_in_srgb

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
    "video/dv": "dv",
    "video/x-flv": "flv",
    "video/ogg": "ogg",
    "video/mxf": "mxf",
}
_PICTURES_ALONE = b"\0\0\1\xb3"
"""How an MPEG video begins that is no stream with sound and times (.m1v, .m2v)."""
_TURNS = {0: 1, 90: 8, 180: 3, 270: 6}
_TAGS = ("date_recorded", "date_digitized", "creation_time", "creationdate", "date")
"""The tags of Matroska, OGG, FLV and others that tell the moment of recording, best first."""
_PACKETS_WITH_MESSAGES = 3
_LONGEST_MESSAGES_BYTES = 64 * 1024
_MOST_FRAMES = 4
_FRAMES_AT_THE_BEGINNING = 3
_MOST_PACKETS = 400
_MOST_PIXELS = 500_000_000
"""So many are decoded where there is no key frame."""
_DARK = 20
EXACT = 0x20 | 0x2000 | 0x40000
"""SWS_AREA, SWS_FULL_CHR_H_INT and SWS_ACCURATE_RND: without the latter two colours come out up to five levels too dark."""


class NoFrame(ValueError):
    """The film holds no frame that can be decoded."""


def open_film(source: Source, media_type: str) -> Any:
    """Open the film with the one demuxer that its first bytes name. Raises OSError or ValueError for damaged files."""
    av = load("av")

    av.logging.set_level(None)
    file = io.BytesIO(source.data) if isinstance(source, MemorySource) else SourceFile(source)
    demuxer = _DEMUXERS[media_type]
    if demuxer == "mpeg" and source.read(0, 4) == _PICTURES_ALONE:
        demuxer = "mpegvideo"
    return av.open(file, mode="r", format=demuxer, metadata_errors="replace", buffer_size=65536)


def examine_film(source: Source, media_type: str, found: Found) -> None:
    """Set size, length and date in `found` from the demuxer, where the headers read before lack them."""
    av = load("av")

    try:
        with open_film(source, media_type) as container:
            stream = picture_track(container)
            if stream is None:
                found.problem = found.problem or "The video holds no picture track."
                return
            if not found.width and stream.codec_context is not None:
                found.width, found.height = shown_size(found, stream)
            if found.duration_ms is None and container.duration and 0 < container.duration < 10 * 24 * 3600 * 1_000_000:
                found.duration_ms = container.duration // 1000
            if not found.created_text and found.created_utc_seconds is None:
                _read_recorded(container, stream, found)
    except (av.FFmpegError, OSError, ValueError, MemoryError, RuntimeError):
        found.problem = found.problem or "The video's headers are damaged."


def _read_recorded(container: Any, stream: Any, found: Found) -> None:
    said = {name.lower(): text for name, text in container.metadata.items()}
    dates = (recorded(f"{name.upper()} of the video", said.get(name, "")) for name in _TAGS)
    found.recorded += [date for date in dates if date]
    if container.format.name == "mpegts" and stream.codec_context and stream.codec_context.name == "h264":
        for packet in islice(container.demux(stream), _PACKETS_WITH_MESSAGES):
            if read_mdpm(bytes(packet)[:_LONGEST_MESSAGES_BYTES], found):
                break


def shown_size(found: Found, stream: Any) -> tuple[int, int]:
    """Return the size with square pixels, before any turn: QuickTime and MP4 tell it, elsewhere the pixels' shape counts."""
    if found.transform is not None and found.width and found.height:
        return found.width, found.height
    context = stream.codec_context
    width, height = context.width or 0, context.height or 0
    # Matroska says "square" where it says nothing: whoever knows another shape is right.
    ratios = (ratio for ratio in (context.sample_aspect_ratio, stream.sample_aspect_ratio) if ratio)
    ratio = next((ratio for ratio in ratios if ratio != 1 and 0.1 < ratio < 10), 1)
    width = round(width * ratio)
    return width or found.width, height or found.height


def turn_of(found: Found, frame: Any) -> int:
    """Return the orientation, 1 to 8, that the container or the frame itself prescribes."""
    if found.transform is not None:
        return found.transform
    return _TURNS.get(round(getattr(frame, "rotation", 0) or 0) % 360, 1)


def first_frame(source: Source, media_type: str) -> Any:
    """Return the first frame that can be decoded, None if there is none. Raises what `open_film` does."""
    with open_film(source, media_type) as container:
        stream = picture_track(container)
        if stream is None or stream.codec_context is None:
            return None
        stream.codec_context.thread_count = 1
        return next(_frames(container, stream), None)


def draw_film(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw the first key frame that is not dark, else the first, turned upright. Raises ValueError when nothing decodes."""
    av = load("av")

    if facts.found.problem and not facts.found.width:
        return Drawing(problem=facts.found.problem)
    try:
        with open_film(source, media_type) as container:
            return _first_good(container, facts, edge_px, limits)
    except av.FFmpegError as error:
        raise NoFrame(f"the video's data are damaged ({error.strerror or type(error).__name__})") from error


def picture_track(container: Any) -> Any:
    """Return the first track of moving pictures, None if there is none; a cover is none."""
    tracks = list(container.streams.video)
    moving = (track for track in tracks if not track.disposition & load("av").stream.Disposition.attached_pic)
    return next(moving, None)


def _first_good(container: Any, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    stream = picture_track(container)
    if stream is None:
        raise NoFrame("it holds no picture track")
    context = stream.codec_context
    if context is None:
        raise NoFrame("no decoder knows its picture track")
    check_size(context.width, context.height, context.width * context.height * 4, limits)
    context.thread_count = 1
    first: Drawing | None = None
    for frame in islice(_frames(container, stream), _MOST_FRAMES):
        drawing = _draw_frame(frame, stream, facts, edge_px)
        first = first or drawing
        if sum(bytes.fromhex(drawing.colour[1:])) > 3 * _DARK:
            return drawing
    if first is None:
        raise NoFrame("the video holds no frame that can be decoded")
    return first


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the first key frames, those a third into the film then; if there are none, whatever can be decoded."""
    found = False
    for frame in islice(_key_frames(container, stream), _FRAMES_AT_THE_BEGINNING):
        found = True
        yield frame
    if found and container.format.name.startswith("mov") and container.duration:
        # Its index is in memory: elsewhere, to seek may mean to read all that is before.
        if _seek(container, stream, container.duration // 3):
            yield from _key_frames(container, stream)
    elif not found and _seek(container, stream, 0):
        yield from _all_frames(container, stream)


def _key_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the key frames of the next packets, each decoded by itself: a decoder that waits for others is flushed."""
    av = load("av")

    context = stream.codec_context
    for packet in islice(container.demux(stream), _MOST_PACKETS):
        if not packet.is_keyframe or not packet.size:
            continue
        try:
            frames = context.decode(packet) + context.decode(None)
        except av.FFmpegError:
            frames = []
        context.flush_buffers()
        yield from frames[:1]


def _all_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the frames of the next packets; one that the decoder knows to be damaged comes last."""
    av = load("av")

    damaged = None
    pixels = 0
    for packet in islice(container.demux(stream), _MOST_PACKETS):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.is_corrupt:
                damaged = damaged or frame
            else:
                yield frame
        pixels += sum(frame.width * frame.height for frame in frames)
        if pixels > _MOST_PIXELS:
            break
    if damaged is not None:
        yield damaged


def _seek(container: Any, stream: Any, time_us: int) -> bool:
    av = load("av")

    stream.codec_context.flush_buffers()
    try:
        container.seek(time_us + max(0, container.start_time or 0))
    except (av.FFmpegError, OSError, ValueError):
        return False
    return True


def _draw_frame(frame: Any, stream: Any, facts: Facts, edge_px: int) -> Drawing:
    turn = turn_of(facts.found, frame)
    width, height = shown_size(facts.found, stream)
    scale = min(1.0, edge_px / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = frame.reformat(*size, "rgb24", interpolation=EXACT, threads=1).to_image()
    drawing = finish(shown_in_srgb(small, frame.color_trc, frame.color_primaries), turn, edge_px)
    # QuickTime and MP4 say how a video is shown; of the others only the demuxer and the frame know.
    drawing.source_size = (0, 0) if facts.found.transform else (height, width) if turn >= 5 else (width, height)
    return drawing
