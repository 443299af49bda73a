"""How much memory it takes to draw a picture, by its kind: measured, so that want of memory is told from damage.

The figures are bytes per pixel at the peak, all copies included that a decoder and Pillow make on the way to a preview;
they were measured with pictures of 12 megapixels. A decoder that runs out of memory often calls the file damaged: a
picture that does not fit is therefore refused before it is decoded, which does not depend on what was decoded before.
"""

from __future__ import annotations

from catalog.media import tone
from catalog.media.found import Found
from catalog.media.source import MemorySource, Source

HELD_BYTES = 16 * 1024 * 1024
"""A larger file is not kept in memory while it is drawn, if its decoder can read it piece by piece."""
_STREAMED = frozenset(("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/vnd.adobe.photoshop"))
_WEBP = 12.1
"""Two canvases of libwebp, and the frame that it hands over (`webp_drawing`)."""
_JPEG2000 = 20.0
_VIDEO = 30.0
"""A decoder of H.264 or HEVC keeps up to 17 frames."""
_RAW = 8.0
_HEIF = (8.0, 8.6, 9.8, 10.4)
_HEIF_DEEP = (8.0, 8.9, 14.9, 16.5)
"""By chroma format (grey, 4:2:0, 4:2:2, 4:4:4), of 8 bits and of more."""
_ALL_BITS = 3.5
"""More, where high dynamic range is drawn from all bits."""
_SAMPLES = (1.0, 1.5, 2.0, 3.0)
"""Per pixel, by chroma format."""
_SCALED_BYTES_PER_PIXEL = 12
"""Of the drawing itself: its copies while it is scaled, converted and encoded."""
_WORDS = ("out of memory", "sufficient memory", "allocat", "could not create decoder object")
"""What libraries say in small letters when they get no memory."""


def can_be_streamed(media_type: str) -> bool:
    """Return whether the decoder of that kind reads a file piece by piece."""
    return media_type in _STREAMED


def needed_bytes(media_type: str, found: Found, source: Source, edge_px: int) -> int:
    """Return how much memory drawing into `edge_px` takes, the file included if it is held; 0 when the size is unknown."""
    pixels = found.width * found.height
    held = source.size if isinstance(source, MemorySource) or not can_be_streamed(media_type) else 0
    if media_type == "image/webp":
        drawn = pixels * _WEBP
    elif media_type == "image/jp2":
        drawn = pixels * _JPEG2000
    elif media_type == "image/avif":
        drawn = pixels * _avif(found)
    elif media_type in ("image/heic", "image/heif"):
        each = (_HEIF_DEEP if found.depth > 8 else _HEIF)[found.chroma] + 3 * found.has_alpha
        drawn = pixels * (each + (_ALL_BITS if found.transfer in (tone.PQ, tone.HLG) else 0))
    elif media_type.startswith("video/"):
        drawn, held = pixels * _VIDEO, 0
    elif media_type.startswith("image/x-"):
        drawn, held = pixels * _RAW, 2 * source.size
    elif media_type == "image/jpeg":
        drawn = found.decoded_bytes - pixels // 64 * 4 + pixels // _jpeg_scale(found, edge_px) ** 2 * 4
    else:
        drawn = found.decoded_bytes
    return round(drawn) + held + edge_px**2 * _SCALED_BYTES_PER_PIXEL if drawn else 0


def is_want_of_memory(error: BaseException | None) -> bool:
    """Return whether an error of a decoder, or what caused it, tells of too little memory."""
    while error is not None:
        words = str(error).lower()
        if isinstance(error, MemoryError) or any(part in words for part in _WORDS):
            return True
        error = error.__cause__
    return False


def _jpeg_scale(found: Found, edge_px: int) -> int:
    """Return the part of its size, 1 to 8, at which Pillow decodes a JPEG that is to fit into `edge_px`."""
    least = edge_px * 1.01
    scale = next((s for s in (8, 4, 2) if min(found.width, found.height) // s >= least), 1)
    if scale < 8 and max(found.width, found.height) // 8 >= least:
        scale = next((s for s in (8, 4, 2) if max(found.width, found.height) // s >= least), scale)
    return scale


def _avif(found: Found) -> float:
    planes = (_SAMPLES[found.chroma] + found.has_alpha) * (2 if found.depth > 8 else 1)
    # The decoder's planes, the picture made of them, and Pillow's.
    return 1.12 * (planes + (4 if found.has_alpha else 3) + 4) + 0.6
