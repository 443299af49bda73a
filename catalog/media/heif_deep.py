"""Draw HEIF pictures of high dynamic range from all their bits: eight of them are too few for the darker colours."""

from __future__ import annotations

from typing import Any

from PIL import Image

from catalog.media import tone
from catalog.media.decoder_libraries import load
from catalog.media.found import Found

_STRIP_ROWS = 256
_CHANNELS = {"RGB;16": 3, "RGBA;16": 4}
_MOST = 65535


def is_deep(found: Found) -> bool:
    """Return whether the headers tell of high dynamic range in more than eight bits."""
    return found.depth > 8 and found.transfer in (tone.PQ, tone.HLG)


def deep_picture(data: bytes, found: Found, edge_px: int) -> Image.Image:
    """Return the picture in sRGB, not much larger than `edge_px`. Raises what libheif raises, and ValueError."""
    numpy = load("numpy")
    opened = load("pillow_heif").open_heif(data, convert_hdr_to_8bit=False)
    channels = _CHANNELS.get(opened.mode)
    if channels is None:
        raise ValueError("its samples are of a kind that cannot be drawn")
    width, height = opened.size
    factor = max(1, int(max(width, height) // (edge_px * 1.01)))
    rows = max(1, _STRIP_ROWS // factor) * factor
    pixels = memoryview(opened.data)
    strips = []
    for top in range(0, height, rows):
        count = min(rows, height - top)
        strip = numpy.frombuffer(pixels[top * opened.stride : (top + count) * opened.stride], "<u2")
        strip = strip.reshape(count, opened.stride // 2)[:, : width * channels].reshape(count, width, channels)
        small = _reduced(strip, factor, numpy) / _MOST
        # Strip by strip: numbers take eight times the room of what becomes of them.
        small[..., :3] = tone.shown_exactly(small[..., :3], found.transfer, found.primaries, numpy)
        strips.append((small * 255 + 0.5).astype("uint8"))
    return Image.fromarray(numpy.concatenate(strips))


def _reduced(strip: Any, factor: int, numpy: Any) -> Any:
    """Return the means of squares of `factor` pixels; those at the right and lower edge may be of fewer."""
    height, width = strip.shape[:2]
    down, across = range(0, height, factor), range(0, width, factor)
    sums = numpy.add.reduceat(numpy.add.reduceat(strip, down, 0, "uint32"), across, 1, "uint32")
    counts = numpy.minimum(factor, height - numpy.array(down))[:, None] * numpy.minimum(
        factor, width - numpy.array(across)
    )
    return (sums / counts[..., None]).astype("float32")
