"""Draw WebP pictures with three copies of their pixels at most: the decoder's two, and what it hands over."""

from __future__ import annotations

from typing import Any

from PIL import Image, _webp

from catalog.media.drawing import Drawing, check_size, finish, whole
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.limits import Limits
from catalog.media.memory import needed_bytes
from catalog.media.source import MemorySource, Source


def draw_webp(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw a WebP picture, of an animation the first frame, upright into `edge_px`. Raises TooLarge, or what Pillow raises."""
    found = facts.found
    check_size(found.width, found.height, needed_bytes("image/webp", found, source, edge_px), limits)
    size, mode, pixels, profile = _decoded(whole(source, limits), found, edge_px, limits)
    # Pillow's own way copies the pixels once more. This picture is only looked at: what is smaller is made anew.
    image = Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)
    image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS, reducing_gap=1.01)
    image = image.convert("RGB" if mode == "RGBX" else mode)
    if profile:
        image.info["icc_profile"] = profile
    drawing = finish(image, facts.turn, edge_px, found)
    drawing.source_size = size[::-1] if facts.turn >= 5 else size
    return drawing


def _decoded(data: bytes, found: Found, edge_px: int, limits: Limits) -> tuple[tuple[int, int], str, bytes, bytes]:
    """Return size, mode, pixels of the first frame, and profile; the decoder is gone by then."""
    decoder: Any = _webp.WebPAnimDecoder(data)
    size, _, _, _, mode = decoder.get_info()
    if size[0] * size[1] > found.width * found.height:  # its header, as read here, told less
        real = Found(size[0], size[1])
        check_size(size[0], size[1], needed_bytes("image/webp", real, MemorySource(data), edge_px), limits)
    frame = decoder.get_next()
    if frame is None:
        raise EOFError("its data are damaged")
    return size, mode, frame[0], decoder.get_chunk("ICCP") or b""
