"""Draw RAW photos: the JPEG that the camera put in, else the sensor's data at half size."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, JpegImagePlugin

from catalog.media.decoder_libraries import load
from catalog.media.drawing import Drawing, TooLarge, check_size, colours_of, finish, turn_of_embedded
from catalog.media.facts import Facts
from catalog.media.limits import Limits
from catalog.media.memory import is_want_of_memory, needed_bytes
from catalog.media.raw_previews import Preview, previews_in
from catalog.media.source import MemorySource, Source, SourceFile

_ENOUGH_PX = 1000
"""A smaller preview serves only what is no larger than it: else the sensor's data are drawn, if they can be."""

_LEAST_PX = 96
"""What is smaller stands for no picture."""


def draw_raw(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw a RAW photo upright into `edge_px`. Raises TooLarge, or ValueError with the reason when nothing in it can be drawn."""
    previews = [p for p in previews_in(source, media_type, facts) if max(p.found.width, p.found.height) >= _LEAST_PX]
    enough = min(edge_px, _ENOUGH_PX)
    large = [one for one in previews if max(one.found.width, one.found.height) >= enough]
    # A header that gives no size leaves that to the library.
    drawing = _first_drawn(source, large, facts, edge_px, limits) if facts.found.width else None
    if drawing is not None:
        return drawing
    try:
        return _with_library(source, facts, edge_px, limits)
    except (TooLarge, ValueError, MemoryError) as error:
        drawing = _first_drawn(source, previews, facts, edge_px, limits)
        if drawing is None or is_want_of_memory(error):
            raise
        return drawing


def _first_drawn(source: Source, previews: list[Preview], facts: Facts, edge_px: int, limits: Limits) -> Drawing | None:
    """Return the first of the previews that is whole and can be drawn."""
    for preview in previews:
        jpeg = _bytes_of(source, preview)
        found, size = preview.found, (preview.found.width, preview.found.height)
        try:
            check_size(*size, needed_bytes("image/jpeg", found, MemorySource(jpeg), edge_px), limits)
            drawing = finish(_opened(jpeg), _turn(jpeg, facts, size), edge_px, colours_of(facts.found.exif))
        except (OSError, SyntaxError, ValueError, IndexError, TypeError) as error:
            if is_want_of_memory(error):
                raise
            continue
        drawing.source_size = (0, 0)
        return drawing
    return None


def _with_library(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    rawpy = load("rawpy")
    if source.size > limits.in_memory_bytes:
        raise TooLarge(
            f"Too large to draw: the RAW file has {source.size:,} bytes, the limit is {limits.in_memory_bytes:,}."
        )
    data = source.data if isinstance(source, MemorySource) else SourceFile(source).read()
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            full = raw.sizes.width, raw.sizes.height
            try:
                embedded = raw.extract_thumb()
            except rawpy.LibRawError:
                embedded = None
            jpeg = b""
            if embedded is not None and embedded.format == rawpy.ThumbFormat.JPEG:
                jpeg = bytes(embedded.data)
            if jpeg and max(_opened(jpeg).size) >= min(edge_px, _ENOUGH_PX):
                drawing = finish(
                    _opened(jpeg), _turn(jpeg, facts, _opened(jpeg).size), edge_px, colours_of(facts.found.exif)
                )
            else:
                pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
                # LibRaw has turned it upright already.
                drawing = finish(Image.fromarray(pixels), 1, edge_px)
    except rawpy.LibRawError as error:
        raise ValueError("its RAW data are damaged, or of a kind that is not known") from error
    drawing.source_size = (full[1], full[0]) if facts.turn >= 5 else full
    return drawing


def _bytes_of(source: Source, preview: Preview) -> bytes:
    file = SourceFile(source)
    file.seek(preview.offset)
    return file.read(preview.length)


def _opened(jpeg: bytes) -> Any:
    return JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg))


def _turn(jpeg: bytes, facts: Facts, size: tuple[int, int]) -> int:
    """Return the orientation for an embedded JPEG: its own, else the RAW's, unless the camera turned the JPEG already."""
    own = turn_of_embedded(jpeg)
    if own != 1:
        return own
    found = facts.found
    is_turned = facts.turn >= 5 and size[0] != size[1] and (size[0] > size[1]) != (found.width > found.height)
    return 1 if is_turned and found.width != found.height and found.width else facts.turn
