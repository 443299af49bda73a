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

from catalog.media.decoder_libraries import load, load_before_sealing, seal
from catalog.media.limits import Limits
from catalog.media.rendition_frames import BT709, LIMITED_RANGE, RenditionFrames
from catalog.media.results import DigestResult
from catalog.media.sandbox import shut_in
from catalog.media.survey import begin, open_source
from catalog.media.video import first_frame, open_film, picture_track, shown_size, turn_of

EDGE_PX = 1_920
_SAMPLES_A_SECOND = 48_000
_AUDIO_BITS_A_SECOND = 128_000
_SAMPLES_A_FRAME = 1_024
_MOST_FRAMES_A_SECOND = 60
_SHORTEST_STEP = 90_000 // _MOST_FRAMES_A_SECOND * 9 // 10
"""Of two frames; a tenth less than of even ones, since many containers round times to milliseconds."""
_LONGEST_WAY_BACK_SECONDS = 1
_AFTER_A_JUMP_SECONDS = Fraction(1, 25)
_QUALITY = {"preset": "veryfast", "crf": "23", "profile": "high"}
_SAID = ("done_ms", "total_ms", "frames")
_SAID_EVERY_SECONDS = 1.0
_TIME_BASE = Fraction(1, 90_000)


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
        raise CannotConvert(result.problem or "This is no video.")
    seen = first_frame(source, result.media_type)
    if seen is None:
        raise CannotConvert("The video holds no frame that can be decoded.")
    with open_film(source, result.media_type) as film:
        video = picture_track(film)
        sound = next((one for one in film.streams.audio if one.codec_context is not None), None)
        video.codec_context.thread_count = 2
        total_ms = (film.duration or 0) // 1000
        with av.open(target, mode="w", format="mp4") as out:
            size = fitted(*shown_size(facts.found, video))
            writer = _Writer(out, film, video, sound, size, turn_of(facts.found, seen))
            for done_ms, frames in writer.run():
                say(done_ms, total_ms, frames)
            return writer.size


class _Writer:
    """Decodes, makes frames and samples as browsers show them, and encodes."""

    def __init__(self, out: Any, film: Any, video: Any, sound: Any, size: tuple[int, int], turn: int) -> None:
        self._av = load("av")
        self._out, self._film, self._video, self._sound = out, film, video, sound
        self.size = size[::-1] if turn >= 5 else size
        self._frames = RenditionFrames(size, turn)
        rate = min(max(Fraction(video.average_rate or 30), Fraction(1)), Fraction(_MOST_FRAMES_A_SECOND))
        self._pictures = out.add_stream("libx264", rate=rate, options=_QUALITY)
        self._pictures.width, self._pictures.height = self.size
        self._pictures.pix_fmt = "yuv420p"
        context = self._pictures.codec_context
        context.time_base, context.thread_count = _TIME_BASE, 2
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
        # A recording may begin at any hour of its clock, and begin anew in the middle: what is shown begins at 0.
        begin = Fraction(film.start_time or 0, 1_000_000)
        self._picture_clock, self._sound_clock = _Clock(begin), _Clock(begin)
        self._last = -_SHORTEST_STEP
        self._samples: Any = None
        self._resampler: Any = None
        self._shape_of_sound: Any = None
        if sound is not None:
            self._samples = out.add_stream("aac", rate=_SAMPLES_A_SECOND, layout="stereo")
            self._samples.bit_rate = _AUDIO_BITS_A_SECOND

    def run(self) -> Iterator[tuple[int, int]]:
        """Convert packet after packet; yield how far it has come in milliseconds, and in frames."""
        tracks = [self._video, *([self._sound] if self._sound is not None else [])]
        count = 0
        said = time.monotonic()
        for packet in self._film.demux(tracks):
            for frame in self._decoded(packet):
                if frame.pts is None:
                    continue
                if packet.stream is not self._video:
                    self._sample(frame)
                    continue
                now = self._picture_clock.read(Fraction(frame.pts) * frame.time_base)
                self._picture(frame, now)
                count += 1
                if count % 30 == 0 or time.monotonic() - said > _SAID_EVERY_SECONDS:
                    said = time.monotonic()
                    yield max(0, round(now * 1000)), count
        if not count:
            raise CannotConvert("The video holds no frame that can be decoded.")
        self._encode(self._frames.made_of(None))
        if self._samples is not None:
            self._encode_samples(None)
            self._out.mux(self._samples.encode(None))
        self._out.mux(self._pictures.encode(None))

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._av.FFmpegError:
            return []  # a damaged stretch is left out

    def _picture(self, frame: Any, seconds: Fraction) -> None:
        pts = round(seconds / _TIME_BASE)
        if pts < self._last + _SHORTEST_STEP:
            return  # two at one moment, or more than a browser shows
        self._last = pts
        frame.pts, frame.time_base = pts, _TIME_BASE
        self._encode(self._frames.made_of(frame))

    def _encode(self, frames: Iterator[Any]) -> None:
        for made in frames:
            made.pts, made.time_base = round(made.pts * made.time_base / _TIME_BASE), _TIME_BASE
            made.pict_type = 0
            self._out.mux(self._pictures.encode(made))

    def _sample(self, frame: Any) -> None:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape_of_sound:  # at first, and where a recording changes, as from stereo to 5.1
            if self._resampler is not None:
                self._encode_samples(None)
            self._shape_of_sound = shape
            self._resampler = self._av.AudioResampler(
                format="fltp", layout="stereo", rate=_SAMPLES_A_SECOND, frame_size=_SAMPLES_A_FRAME
            )
        seconds = self._sound_clock.read(Fraction(frame.pts) * frame.time_base)
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(seconds * frame.sample_rate)
        self._encode_samples(frame)

    def _encode_samples(self, frame: Any) -> None:
        try:
            made = self._resampler.resample(frame) if self._resampler is not None else []
        except (self._av.FFmpegError, ValueError):
            return
        for one in made:
            self._out.mux(self._samples.encode(one))


class _Clock:
    """The times of one track, from 0, without the jumps back that a joined recording has."""

    def __init__(self, begin: Fraction) -> None:
        self._shift = -begin
        self._latest: Fraction | None = None

    def read(self, told: Fraction) -> Fraction:
        """Return the seconds since the beginning at the time `told` by a frame; it follows the one before if that jumps back."""
        now = told + self._shift
        if self._latest is not None and now < self._latest - _LONGEST_WAY_BACK_SECONDS:
            self._shift += self._latest + _AFTER_A_JUMP_SECONDS - now
            now = self._latest + _AFTER_A_JUMP_SECONDS
        self._latest = now if self._latest is None else max(now, self._latest)
        return now


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
        say(problem="The video is damaged, and cannot be converted.")
    except MemoryError:
        say(problem="The video needs more memory than its conversion may use.")
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes costs that file alone
        say(problem=f"The video could not be converted ({type(error).__name__}).")
    else:
        say(width=width, height=height)


if __name__ == "__main__":
    main()
