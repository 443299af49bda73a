"""Decode pictures within bounds, turn them upright, and write them as small sRGB JPEGs."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageFile, JpegImagePlugin

from catalog.media.decoder_libraries import load
from catalog.media.depths import masked_bitmap
from catalog.media.drawing import Drawing, TooLarge, check_size, colours_of, finish, whole
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.heif import thumbnail_as_primary, with_known_alpha
from catalog.media.heif_deep import deep_picture, is_deep
from catalog.media.limits import Limits
from catalog.media.memory import is_want_of_memory, needed_bytes
from catalog.media.png import only_picture
from catalog.media.source import MemorySource, Source
from catalog.media.tiff_numbers import open_wide, wide_bytes
from catalog.media.tiff_samples import open_tiff
from catalog.media.webp_drawing import draw_webp

# Pixels are bounded here, per format and before decoding; Pillow's own alarm knows neither draft sizes nor our memory.
Image.MAX_IMAGE_PIXELS = None

_PILLOW_FORMATS = {
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/vnd.microsoft.icon": "ICO",
    "image/avif": "AVIF",
    "image/jp2": "JPEG2000",
    "image/vnd.adobe.photoshop": "PSD",
}
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
_UNUSUAL_JPEG = (
    "This is a JPEG that is coded without loss or has more than eight bits a colour, as scanners of hospitals write it; such "
    "can't be drawn here. Save it as TIFF or PNG with a program that can."
)
_LEAST_HEIF_SHARE = 0.6
_STRIP_ROWS = 256
_LEAST_SHARE = 3
"""What needs less than a third of the memory by its headers, and then more than there is, is damaged."""
_IN_ONE_PIECE_BYTES = 1 << 30
"""What is in memory goes to the decoder as it is, without copies in pieces."""


def draw(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw the file upright into `edge_px` pixels.

    Never raises for bad content: falls back to the embedded thumbnail, then to a reason.
    """
    drawing = Drawing()
    needed = needed_bytes(media_type, facts.found, source, edge_px)
    try:
        drawn = _draw(source, media_type, facts, edge_px, limits)
        drawn.needed_bytes = needed
        return drawn
    except TooLarge as error:
        drawing.problem, drawing.too_large, drawing.needed_bytes = str(error), True, error.needed_bytes
    except (*_DECODE_ERRORS, MemoryError) as error:
        drawing.needed_bytes = needed
        drawing.short_of_memory = is_want_of_memory(error)
        if drawing.short_of_memory and not 0 < needed * _LEAST_SHARE < limits.picture_bytes:
            width, height = facts.size
            drawing.too_large = True
            drawing.needed_bytes = max(needed, limits.picture_bytes + 1) if needed else 0
            drawing.problem = (
                f"Too large to draw: {width:,} x {height:,} pixels need more memory than a decoder may use."
            )
        else:
            drawing.problem, drawing.damaged = f"The picture could not be decoded: {_reason(error)}.", True
    embedded = facts.found.exif.thumbnail if facts.found.exif else b""
    if embedded:
        try:
            small = finish(_open_jpeg(io.BytesIO(embedded)), facts.turn, edge_px)
        except (*_DECODE_ERRORS, MemoryError):
            return drawing
        small.problem, small.damaged, small.too_large = drawing.problem, drawing.damaged, drawing.too_large
        small.needed_bytes, small.short_of_memory = drawing.needed_bytes, drawing.short_of_memory
        small.source_size = (0, 0)
        return small
    return drawing


def _draw(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    if media_type == "image/jpeg":
        return _draw_jpeg(source, facts, edge_px, limits)
    if media_type in ("image/heic", "image/heif"):
        return _draw_heif(source, media_type, facts, edge_px, limits)
    if media_type == "image/webp":
        return draw_webp(source, facts, edge_px, limits)
    if media_type in _PILLOW_FORMATS:
        return _draw_with_pillow(source, media_type, facts, edge_px, limits)
    if media_type.startswith("video/"):
        from catalog.media.video import draw_film

        return draw_film(source, media_type, facts, edge_px, limits)
    if media_type == "image/jxl":
        from catalog.media.jxl_drawing import draw_jxl

        return draw_jxl(source, facts, edge_px, limits)
    if media_type.startswith("image/x-"):
        from catalog.media.raw import draw_raw

        return draw_raw(source, media_type, facts, edge_px, limits)
    return Drawing(problem=f"This kind of file can't be drawn yet: {media_type}.")


def _draw_jpeg(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    found = facts.found
    if found.is_lossless or found.depth != 8:
        return Drawing(problem=_UNUSUAL_JPEG)
    check_size(found.width, found.height, needed_bytes("image/jpeg", found, source, edge_px), limits)
    return _twice(lambda: _open_jpeg(_file_of(source)), facts.turn, edge_px, colours_of(found.exif))


def _open_jpeg(file: Any) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(file)
    if isinstance(file, io.BytesIO):
        image.decodermaxblock = _IN_ONE_PIECE_BYTES
    return image


def _draw_with_pillow(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    kind, found = _PILLOW_FORMATS[media_type], facts.found
    check_size(found.width, found.height, needed_bytes(media_type, found, source, edge_px), limits)

    def opened() -> Image.Image:
        image = open_tiff(_file_of(source)) if kind == "TIFF" else Image.open(_file_of(source), formats=[kind])
        if image.width * image.height > found.width * found.height:
            # Its header, as read here, told less, or nothing.
            plain = 1 if image.mode in ("1", "L") else 5 if image.mode == "P" else 4
            real = Found(image.width, image.height, decoded_bytes=image.width * image.height * plain)
            check_size(*image.size, needed_bytes(media_type, real, source, edge_px), limits)
        return image

    if kind in _OTHERWISE:
        try:
            return finish(opened(), facts.turn, edge_px, found)
        except TooLarge:
            raise
        except _DECODE_ERRORS as error:
            if is_want_of_memory(error):
                raise
            other = _OTHERWISE[kind](whole(source, limits))
            drawing = _twice(other or opened, facts.turn, edge_px, found)
            if _reason(error) == _BOMB and not drawing.problem:
                # Drawn whole; but whoever made such a file is up to something.
                drawing.problem, drawing.damaged = f"The picture is drawn, but {_BOMB}.", True
            return drawing
    if kind == "TIFF" and (needed := wide_bytes(facts.ifd0, source.size)):
        check_size(found.width, found.height, needed, limits)
        return finish(open_wide(whole(source, limits), facts.ifd0), facts.turn, edge_px, found)
    # Pillow turns TIFF upright by itself, and only TIFF.
    return _twice(opened, 1 if kind == "TIFF" else facts.turn, edge_px, found)


def _png_without_words(data: bytes) -> Callable[[], Image.Image]:
    return lambda: Image.open(io.BytesIO(only_picture(data)), formats=["PNG"])


def _bmp_by_masks(data: bytes) -> Callable[[], Image.Image] | None:
    image = masked_bitmap(data)
    return None if image is None else lambda: image


def _avif_with_alpha(data: bytes) -> Callable[[], Image.Image] | None:
    changed = with_known_alpha(data)
    return None if changed is None else lambda: Image.open(io.BytesIO(changed), formats=["AVIF"])


_OTHERWISE: dict[str, Callable[[bytes], Callable[[], Image.Image] | None]] = {
    "PNG": _png_without_words,
    "BMP": _bmp_by_masks,
    "AVIF": _avif_with_alpha,
}
"""What else is tried where Pillow refuses a file."""


def _draw_heif(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    pillow_heif = load("pillow_heif")

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = False
    data = whole(source, limits)
    found = facts.found
    if found.thumbnail_item is not None and edge_px <= 256:
        smaller = thumbnail_as_primary(data, found.thumbnail_item)
        if smaller is not None:
            try:
                # A thumbnail seldom says what its colours mean: those of the picture, then.
                drawing = finish(pillow_heif.open_heif(smaller).to_pillow(), 1, edge_px, found)
                drawing.source_size = (0, 0)
                return drawing
            except _DECODE_ERRORS as error:
                if is_want_of_memory(error):
                    raise
    # Some take less than others, and libheif tells when memory lacks.
    needed = needed_bytes(media_type, found, source, edge_px)
    check_size(found.width, found.height, round(needed * _LEAST_HEIF_SHARE), limits)
    # libheif has applied irot and imir already.
    if is_deep(found):
        return finish(deep_picture(data, found, edge_px), 1, edge_px)
    opened = pillow_heif.open_heif(data)
    size = opened.size
    drawing = finish(_reduced(opened, edge_px), 1, edge_px, found)
    drawing.source_size = size
    return drawing


def _reduced(opened: Any, edge_px: int) -> Image.Image:
    """Return a decoded HEIF as a picture that is not much larger than `edge_px`, made in strips: a whole copy would cost as
    much again."""
    width, height = opened.size
    factor = int(max(width, height) // (edge_px * 1.01))
    if factor < 2 or opened.mode not in ("RGB", "RGBA"):
        return opened.to_pillow()
    profile = opened.info.get("icc_profile")
    rows = max(1, _STRIP_ROWS // factor) * factor
    small = Image.new(opened.mode, (-(-width // factor), -(-height // factor)))
    pixels = memoryview(opened.data)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        strip = pixels[top * opened.stride : (top + count) * opened.stride]
        image = Image.frombuffer(opened.mode, (width, count), bytes(strip), "raw", opened.mode, opened.stride, 1)
        small.paste(image.reduce(factor), (0, top // factor))
    if profile:
        small.info["icc_profile"] = profile
    return small


def _file_of(source: Source) -> Any:
    if isinstance(source, MemorySource):
        return io.BytesIO(source.data)
    # A real file lets libtiff read piece by piece what it would otherwise load whole.
    file = os.fdopen(os.dup(source.descriptor), "rb")
    file.seek(0)
    return file


def _twice(opened: Any, turn: int, edge_px: int, found: Found | None = None) -> Drawing:
    """Draw; if the data end too early or are garbled, draw again as far as they go and mark the drawing as damaged."""
    try:
        return finish(opened(), turn, edge_px, found)
    except TooLarge:
        raise
    except _DECODE_ERRORS as first:
        if is_want_of_memory(first):
            raise
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            drawing = finish(opened(), turn, edge_px, found)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        drawing.damaged = True
        drawing.problem = f"Only a part of the picture could be decoded: {_reason(first)}."
        return drawing


def average_of_jpeg(data: bytes) -> str:
    """Return the average colour of a small JPEG as #rrggbb, or an empty text if it cannot be decoded."""
    try:
        image = _open_jpeg(io.BytesIO(data))
        if image.width * image.height > 1024 * 1024:
            return ""
        image.draft("RGB", (1, 1))
        pixel = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    except (*_DECODE_ERRORS, MemoryError):
        return ""
    return "#{:02x}{:02x}{:02x}".format(*pixel)  # type: ignore[misc]


_DAMAGED, _CUT_OFF = "its data are damaged", "the file is cut off"
_BOMB = "a text in it takes far more room than texts do"
_WORDS = {
    "truncated": _CUT_OFF,
    "end of file": _CUT_OFF,
    "too large for pngimageplugin": _BOMB,
    "max_text_memory": _BOMB,
    "data stream": _DAMAGED,
    "decoder error": _DAMAGED,
    "unpack": _DAMAGED,
    "object at 0x": _DAMAGED,
}
"""What libraries say, in small letters, and what that means to the one whose file it is."""


def _reason(error: BaseException) -> str:
    if isinstance(error, (struct.error, LookupError, TypeError, ArithmeticError, AttributeError)):
        return _DAMAGED  # the words of these speak of code, not of files
    text = str(error).strip().rstrip(".").replace("\0", "")
    said = text.lower()
    if not any(letter.isalpha() for letter in text):
        return _DAMAGED  # some say the number that is wrong, and nothing else
    return next((words for part, words in _WORDS.items() if part in said), text[:200] or _DAMAGED)
