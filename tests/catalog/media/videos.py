"""Small real videos for the tests of decoding."""

from __future__ import annotations

import fractions
import io
from typing import Any

import av
import numpy

QUADRANTS = ((200, 30, 30), (30, 160, 60), (40, 60, 200), (128, 128, 128))
"""What a video shows, row by row."""


def quadrants(width: int = 64, height: int = 48) -> Any:
    """An RGB picture of the four colours as an array of numpy."""
    picture = numpy.zeros((height, width, 3), numpy.uint8)
    for number, colour in enumerate(QUADRANTS):
        top, left = number // 2 * (height // 2), number % 2 * (width // 2)
        picture[top : top + height // 2, left : left + width // 2] = colour
    return picture


def video(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    picture: Any = None,
    frames: int = 10,
    rate: int = 25,
    size: tuple[int, int] = (64, 48),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    message: bytes = b"",
    **context: Any,
) -> bytes:
    """A video that shows `picture` (an array), or a function of the frame's number; `context` is set on the encoder.

    `message` is put before the data of each packet, such as a message of H.264.
    """
    out = io.BytesIO()
    with av.open(out, "w", format=container, container_options=container_options or {}) as target:
        target.metadata.update(metadata or {})
        track = target.add_stream(codec, rate=rate, options=options or {})
        track.width, track.height, track.pix_fmt = *size, context.pop("pix_fmt", "yuv420p")
        for name, value in context.items():
            setattr(track.codec_context, name, value)
        plain = quadrants(*size) if picture is None else picture
        for number in range(frames):
            shown = plain(number) if callable(plain) else plain
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            coded = {"dst_colorspace": context.get("colorspace"), "dst_color_range": context.get("color_range")}
            frame = frame.reformat(format=track.pix_fmt, threads=1, **coded)
            frame.pts, frame.time_base = number, fractions.Fraction(1, rate)
            target.mux(with_message(track.encode(frame), message))
        target.mux(with_message(track.encode(None), message))
    return out.getvalue()


def with_message(packets: list[av.Packet], message: bytes) -> list[av.Packet]:
    """The packets, each with the message before its data."""
    if not message:
        return packets
    made = []
    for packet in packets:
        made.append(av.Packet(message + bytes(packet)))
        for name in ("pts", "dts", "time_base", "stream", "is_keyframe"):
            setattr(made[-1], name, getattr(packet, name))
    return made


def colours_of(image: Any) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quadrants of a Pillow image."""
    width, height = image.size
    places = [(x, y) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [image.convert("RGB").getpixel(place) for place in places]


def farthest(ours: list[tuple[int, ...]], theirs: Any = QUADRANTS) -> int:
    """The largest difference of one colour of one quadrant."""
    return max(abs(one - other) for a, b in zip(ours, theirs, strict=True) for one, other in zip(a, b, strict=True))
