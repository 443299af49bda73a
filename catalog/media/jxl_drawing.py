"""Draw JPEG XL pictures with libjxl."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, JpegImagePlugin

from catalog.media.decoder_libraries import load
from catalog.media.drawing import Drawing, check_size, finish, whole
from catalog.media.facts import Facts
from catalog.media.limits import Limits
from catalog.media.memory import needed_bytes
from catalog.media.source import Source

_RAW_MODES = {
    "L": ("L", "L"),
    "LA": ("LA", "LA"),
    "RGB": ("RGB", "RGB"),
    "RGBA": ("RGBA", "RGBA"),
    "I;16": ("I;16", "I;16"),
    "RGB;16": ("RGB", "RGB;16N"),
    "RGBA;16": ("RGBA", "RGBA;16N"),
    "F": ("F", "F;32NF"),
}
"""How the decoder names its samples -> Pillow's mode, and how Pillow names the samples."""


def draw_jxl(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw a JPEG XL picture upright into `edge_px`. Raises TooLarge, or ValueError with the reason."""
    found = facts.found
    check_size(found.width, found.height, needed_bytes("image/jxl", found, source, edge_px), limits)
    is_jpeg, info, pixels, profile = _decoded(whole(source, limits))
    if is_jpeg:
        # The very JPEG that it was made of: no codestream's orientation is applied to that.
        return finish(JpegImagePlugin.JpegImageFile(io.BytesIO(pixels)), facts.turn, edge_px)
    if info.mode not in _RAW_MODES:
        raise ValueError("its samples are of a kind that cannot be drawn")
    mode, raw_mode = _RAW_MODES[info.mode]
    image = Image.frombuffer(mode, (info.width, info.height), pixels, "raw", raw_mode, 0, 1)
    if profile:
        image.info["icc_profile"] = profile
    return finish(image, 1, edge_px)


def _decoded(data: bytes) -> tuple[bool, Any, bytes, bytes]:
    pillow_jxl = load("pillow_jxl")
    try:
        is_jpeg, info, pixels, profile, _ = pillow_jxl.Decoder(num_threads=0)(data)
    except BaseException as error:
        # A panic of code in Rust is no Exception, and known by its name only.
        if not isinstance(error, RuntimeError) and type(error).__name__ != "PanicException":
            raise
        raise ValueError("its data are damaged") from None
    return is_jpeg, info, pixels, profile
