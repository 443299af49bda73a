"""Draw RAW photos: the JPEG that the camera put in, else the sensor's data at half size."""

from __future__ import annotations

import io

from PIL import Image, JpegImagePlugin

from catalog.media.drawing import Drawing, TooLarge, finish, turn_of_embedded
from catalog.media.facts import Facts
from catalog.media.libraries import load
from catalog.media.limits import Limits
from catalog.media.source import MemorySource, Source, SourceFile


def draw_raw(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw a RAW photo upright into `edge_px`. Raises TooLarge, or ValueError with the reason when LibRaw cannot read it."""
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
            if embedded is not None and embedded.format == rawpy.ThumbFormat.JPEG:
                jpeg = bytes(embedded.data)
                drawing = finish(JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg)), _turn(jpeg, facts), edge_px)
            else:
                pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
                # LibRaw has turned it upright already.
                drawing = finish(Image.fromarray(pixels), 1, edge_px)
    except rawpy.LibRawError as error:
        raise ValueError("its RAW data are damaged, or of a kind that is not known") from error
    drawing.source_size = (full[1], full[0]) if facts.turn >= 5 else full
    return drawing


def _turn(jpeg: bytes, facts: Facts) -> int:
    """Return the orientation for the embedded JPEG: its own, else the RAW's."""
    own = turn_of_embedded(jpeg)
    return own if own != 1 else facts.turn
