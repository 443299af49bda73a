"""Make frames of a video as browsers show them: whole pictures, square pixels, sRGB in BT.709, upright."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.media.decoder_libraries import load
from catalog.media.tone import is_wide, shown_in_srgb
from catalog.media.video import EXACT

BT709 = 1
LIMITED_RANGE = 1
"""Code points of ITU-T H.273 and FFmpeg."""
_FORMAT = "yuv420p"
_TURNS = {
    2: [("hflip", "")],
    3: [("hflip", ""), ("vflip", "")],
    4: [("vflip", "")],
    5: [("transpose", "cclock_flip")],
    6: [("transpose", "clock")],
    7: [("transpose", "clock_flip")],
    8: [("transpose", "cclock")],
}
"""What makes a frame upright, by orientation."""


class RenditionFrames:
    """Turns decoded frames into frames of `size` before they are turned by the orientation `turn`."""

    def __init__(self, size: tuple[int, int], turn: int) -> None:
        self._size = size
        self._turning = _Graph(_TURNS[turn]) if turn in _TURNS else None
        self._deinterlacing: _Graph | None = None
        made = load("av").video.reformatter.VideoReformatter
        self._to_rgb, self._to_yuv = made(), made()

    def made_of(self, frame: Any) -> Iterator[Any]:
        """Yield what is ready after one more frame, None for the end; a deinterlacer waits for the frame that follows.

        The time of each is in its `pts` and `time_base`.
        """
        if self._deinterlacing is None and frame is not None and frame.interlaced_frame:
            # One frame of each two fields; frames that are whole pass unchanged, for many videos mix both. Unlike yadif
            # and bwdif this filter leaves no combs in the first and the last frame.
            self._deinterlacing = _Graph([("w3fdif", "filter=complex:mode=frame:parity=auto:deint=interlaced")])
        whole = [frame] if frame is not None else []
        for one in self._deinterlacing.made_of(frame) if self._deinterlacing else whole:
            scaled = self._scaled(one)
            scaled.pts, scaled.time_base = one.pts, one.time_base
            yield from self._turning.made_of(scaled) if self._turning else (scaled,)

    def _scaled(self, frame: Any) -> Any:
        width, height = self._size
        tags = {"dst_colorspace": BT709, "dst_color_range": LIMITED_RANGE, "interpolation": EXACT, "threads": 1}
        if is_wide(frame.color_trc, frame.color_primaries):
            seen = self._to_rgb.reformat(frame, width, height, "rgb24", interpolation=EXACT, threads=1).to_image()
            frame = load("av").VideoFrame.from_image(shown_in_srgb(seen, frame.color_trc, frame.color_primaries))
        return self._to_yuv.reformat(frame, width, height, _FORMAT, **tags)


class _Graph:
    """Filters of FFmpeg in a row, made anew when the frames change their shape."""

    def __init__(self, steps: list[tuple[str, str]]) -> None:
        self._steps = steps
        self._graph: Any = None
        self._shape: Any = None

    def made_of(self, frame: Any) -> Iterator[Any]:
        """Yield what the filters have ready after one more frame; None ends them."""
        shape = frame and (frame.width, frame.height, frame.format.name, frame.time_base)
        if shape != self._shape:
            if self._graph is not None:
                yield from self._pushed(None)
            self._graph, self._shape = self._built(frame) if frame is not None else None, shape
        if self._graph is not None:
            yield from self._pushed(frame)

    def _pushed(self, frame: Any) -> Iterator[Any]:
        av = load("av")

        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    def _built(self, frame: Any) -> Any:
        graph = load("av").filter.Graph()
        last = graph.add_buffer(template=frame)
        for name, arguments in [*self._steps, ("buffersink", "")]:
            step = graph.add(name, arguments) if arguments else graph.add(name)
            last.link_to(step)
            last = step
        graph.configure()
        return graph
