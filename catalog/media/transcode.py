"""Turn a film into one that every browser plays: H.264 and AAC in an MP4 of at most 1,920 x 1,920 pixels, upright.

Run by `catalog.browsing.video_renditions` as `python -m catalog.media.transcode <parent> <limits as JSON> <in> <out>
<largest bytes>`, the videos being open descriptors: like a decoder, this process can open, connect and start nothing. On the
standard output it writes lines of JSON: `{"done_ms", "total_ms", "frames"}`, at the end `{"width", "height"}` or `{"problem"}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from catalog.media.libraries import load, load_before_sealing, seal
from catalog.media.limits import Limits
from catalog.media.results import DigestResult
from catalog.media.sandbox import shut_in
from catalog.media.survey import begin, open_source
from catalog.media.video import open_film

EDGE_PX = 1_920
_SAMPLES_A_SECOND = 48_000
_AUDIO_BITS_A_SECOND = 128_000
_MOST_FRAMES_A_SECOND = 60
_QUALITY = {"preset": "veryfast", "crf": "23", "profile": "high"}
_SAID = ("done_ms", "total_ms", "frames")
_SAID_EVERY_SECONDS = 1.0
_TIME_BASE = Fraction(1, 90_000)
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


class CannotConvert(ValueError):
    """The film cannot be converted; the text is a sentence."""


def fitted(width: int, height: int, edge_px: int = EDGE_PX) -> tuple[int, int]:
    """Return the size that fits into a square of `edge_px`, both sides even and at least 2; never larger than it was."""
    scale = min(1.0, edge_px / max(width, height, 1))
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def convert(descriptor: int, target: Any, say: Any) -> tuple[int, int]:
    """Write the film behind `descriptor` to the seekable file `target`; return its size in pixels, upright.

    Calls `say(done_ms, total_ms, frames)` now and then: what the film claims, and how many frames were made. Raises
    CannotConvert, or what the libraries raise.
    """
    av = load("av")

    result = DigestResult()
    source = open_source(descriptor, result)
    facts = begin(source, result) if source is not None else None
    if source is None or facts is None or not result.media_type.startswith("video/"):
        raise CannotConvert(result.problem or "This is no film.")
    with open_film(source, result.media_type) as film:
        video = next(iter(film.streams.video), None)
        if video is None or video.codec_context is None or not video.codec_context.width:
            raise CannotConvert("The film holds no picture track that can be read.")
        sound = next((one for one in film.streams.audio if one.codec_context is not None), None)
        video.codec_context.thread_count = 2
        total_ms = (film.duration or 0) // 1000
        with av.open(target, mode="w", format="mp4") as out:
            writer = _Writer(av, out, video, sound, facts.turn)
            for done_ms, frames in writer.run(film):
                say(done_ms, total_ms, frames)
            return writer.size


class _Writer:
    """Decodes, turns, scales and encodes."""

    def __init__(self, av: Any, out: Any, video: Any, sound: Any, turn: int) -> None:
        self._av, self._out, self._video, self._sound = av, out, video, sound
        context = video.codec_context
        width, height = fitted(context.width, context.height)
        self.size = (height, width) if turn >= 5 else (width, height)
        self._graph_size, self._turn = (width, height), turn
        self._graph: Any = None
        self._graph_of: Any = None
        rate = video.average_rate or Fraction(30)
        rate = min(max(Fraction(rate), Fraction(1)), Fraction(_MOST_FRAMES_A_SECOND))
        self._pictures = out.add_stream("libx264", rate=rate, options=_QUALITY)
        self._pictures.width, self._pictures.height = self.size
        self._pictures.pix_fmt = "yuv420p"
        self._pictures.codec_context.time_base = _TIME_BASE
        self._pictures.codec_context.thread_count = 2
        self._step = max(1, int(1 / rate / _TIME_BASE) // 2)
        self._last = -self._step
        self._samples: Any = None
        if sound is not None:
            self._samples = out.add_stream("aac", rate=_SAMPLES_A_SECOND, layout="stereo")
            self._samples.bit_rate = _AUDIO_BITS_A_SECOND
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SAMPLES_A_SECOND, frame_size=1024)

    def run(self, film: Any) -> Iterator[tuple[int, int]]:
        """Convert packet after packet; yield how far it has come in milliseconds, and in frames."""
        tracks = [self._video, *([self._sound] if self._sound is not None else [])]
        start: float | None = None
        count = 0
        said = time.monotonic()
        for packet in film.demux(tracks):
            for frame in self._decoded(packet):
                if packet.stream is self._video:
                    if frame.time is None:
                        continue
                    start = frame.time if start is None else start
                    self._picture(frame)
                    count += 1
                    if count % 30 == 0 or time.monotonic() - said > _SAID_EVERY_SECONDS:
                        said = time.monotonic()
                        yield max(0, round((frame.time - start) * 1000)), count
                else:
                    self._sample(frame)
        if not count:
            raise CannotConvert("The film holds no frame that can be decoded.")
        if self._samples is not None:
            self._sample(None)
            self._out.mux(self._samples.encode(None))
        self._out.mux(self._pictures.encode(None))

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._av.FFmpegError:
            return []  # a damaged stretch is left out

    def _picture(self, frame: Any) -> None:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._graph_of:
            self._graph, self._graph_of = self._filters(frame), shape
        pts = round(frame.time / _TIME_BASE)
        if pts < self._last + self._step:
            return  # two at one moment, or more than a browser shows
        self._last = pts
        self._graph.push(frame)
        made = self._graph.pull()
        made.pts, made.time_base = pts, _TIME_BASE
        made.pict_type = 0
        self._out.mux(self._pictures.encode(made))

    def _filters(self, frame: Any) -> Any:
        graph = self._av.filter.Graph()
        last = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or _TIME_BASE
        )
        width, height = self._graph_size
        steps = [("scale", f"{width}:{height}:flags=area"), *_TURNS.get(self._turn, []), ("format", "yuv420p")]
        for name, arguments in [*steps, ("buffersink", "")]:
            step = graph.add(name, arguments) if arguments else graph.add(name)
            last.link_to(step)
            last = step
        graph.configure()
        return graph

    def _sample(self, frame: Any) -> None:
        if frame is not None and frame.pts is None:
            return
        try:
            made = self._resampler.resample(frame)
        except (self._av.FFmpegError, ValueError):
            return  # a change in the middle of the track
        for one in made:
            self._out.mux(self._samples.encode(one))


def main() -> None:
    """Convert, and say how it went."""
    av = load("av")

    load_before_sealing(["av"])
    av.logging.set_level(None)
    parent, limits, source, target = int(sys.argv[1]), Limits(**json.loads(sys.argv[2])), *map(int, sys.argv[3:5])
    shut_in(limits, parent, largest_file_bytes=int(sys.argv[5]))
    seal()

    def say(**words: Any) -> None:
        os.write(1, json.dumps(words).encode() + b"\n")

    try:
        with open(target, "w+b", buffering=1 << 20, closefd=False) as file:
            width, height = convert(source, file, lambda *done: say(**dict(zip(_SAID, done, strict=True))))
            file.flush()
    except CannotConvert as error:
        say(problem=str(error))
    except av.FFmpegError:
        say(problem="The film is damaged, and cannot be converted.")
    except MemoryError:
        say(problem="The film needs more memory than its conversion may use.")
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes costs that file alone
        say(problem=f"The film could not be converted ({type(error).__name__}).")
    else:
        say(width=width, height=height)


if __name__ == "__main__":
    main()
