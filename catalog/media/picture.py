"""Decode pictures within bounds, turn them upright, and write them as small sRGB JPEGs."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import Any, cast

from PIL import Image, ImageFile, JpegImagePlugin

from catalog.media.exif import read_exif
from catalog.media.facts import Facts
from catalog.media.heif import thumbnail_as_primary
from catalog.media.libraries import load
from catalog.media.limits import Limits
from catalog.media.source import MemorySource, Source, SourceFile

# Pixels are bounded here, per format and before decoding; Pillow's own alarm knows neither draft sizes nor our memory.
Image.MAX_IMAGE_PIXELS = None

JPEG_QUALITY = 85
_PILLOW_FORMATS = {
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/vnd.microsoft.icon": "ICO",
    "image/avif": "AVIF",
    "image/jp2": "JPEG2000",
    "image/vnd.adobe.photoshop": "PSD",
}
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
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
)
_HEIF_BYTES_PER_PIXEL = 4.5
"""libheif holds the planes and the RGB picture made of them."""
_STRIP_ROWS = 256
_IN_ONE_PIECE_BYTES = 1 << 30
"""What is in memory goes to the decoder as it is, without copies in pieces."""


class TooLarge(ValueError):
    """The picture would need more memory than a decoder may use; the message is a sentence, `needed_bytes` how much."""

    def __init__(self, sentence: str, needed_bytes: int = 0) -> None:
        super().__init__(sentence)
        self.needed_bytes = needed_bytes


class PerhapsShortOfMemory(OSError):
    """libheif failed; its words for "damaged" and "out of memory" are the same. A fresh process can tell."""


@dataclass(slots=True)
class Drawing:
    """A drawn picture: JPEG bytes, size, average colour. `problem` says why there is none, or why it is less than asked for."""

    jpeg: bytes | None = None
    width: int = 0
    height: int = 0
    colour: str = ""
    problem: str = ""
    damaged: bool = False
    too_large: bool = False
    """Nothing is known to be wrong with it, but drawing it needs more memory than the limits allow."""
    needed_bytes: int = 0
    """How much that would be, if known."""
    short_of_memory: bool = False
    """Perhaps it failed only because this process held much already."""
    source_size: tuple[int, int] = (0, 0)
    """Upright size of the original as decoded; 0 when only a part of it or another picture was decoded."""


def draw(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    """Draw the file upright into `edge_px` pixels.

    Never raises for bad content: falls back to the embedded thumbnail, then to a reason.
    """
    drawing = Drawing()
    try:
        return _draw(source, media_type, facts, edge_px, limits)
    except TooLarge as error:
        drawing.problem, drawing.too_large, drawing.needed_bytes = str(error), True, error.needed_bytes
    except MemoryError:
        drawing.too_large = drawing.short_of_memory = True
        width, height = facts.size
        drawing.problem = f"Too large to draw: {width:,} x {height:,} pixels need more memory than a decoder may use."
    except _DECODE_ERRORS as error:
        drawing.problem = f"The picture could not be decoded: {_reason(error)}."
        drawing.damaged = True
        drawing.short_of_memory = isinstance(error, PerhapsShortOfMemory)
    embedded = facts.found.exif.thumbnail if facts.found.exif else b""
    if embedded:
        try:
            small = finish(_open_jpeg(io.BytesIO(embedded)), facts.turn, edge_px)
        except (*_DECODE_ERRORS, MemoryError):
            return drawing
        small.problem, small.damaged, small.too_large = drawing.problem, drawing.damaged, drawing.too_large
        small.source_size, small.short_of_memory = (0, 0), drawing.short_of_memory
        return small
    return drawing


def _draw(source: Source, media_type: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    if media_type == "image/jpeg":
        return _draw_jpeg(source, facts, edge_px, limits)
    if media_type in ("image/heic", "image/heif"):
        return _draw_heif(source, facts, edge_px, limits)
    if media_type in _PILLOW_FORMATS:
        return _draw_with_pillow(source, _PILLOW_FORMATS[media_type], facts, edge_px, limits)
    if media_type.startswith("video/"):
        from catalog.media.video import draw_film

        return draw_film(source, media_type, facts, edge_px, limits)
    if media_type.startswith("image/x-"):
        from catalog.media.raw import draw_raw

        return draw_raw(source, facts, edge_px, limits)
    return Drawing(problem=f"This kind of file can't be drawn yet: {media_type}.")


def check_size(width: int, height: int, needed_bytes: int, limits: Limits) -> None:
    """Raise TooLarge, with a sentence, if a decoder would need more than the limit."""
    if needed_bytes > limits.picture_bytes:
        most = limits.picture_bytes // (1024 * 1024)
        raise TooLarge(
            f"Too large to draw: {width:,} x {height:,} pixels need {needed_bytes // (1024 * 1024):,} MiB of memory, "
            f"the limit is {most:,} MiB.",
            needed_bytes,
        )


def _draw_jpeg(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    found = facts.found
    scale = next((s for s in (8, 4, 2) if min(found.width, found.height) // s >= edge_px * 1.01), 1)
    if max(found.width, found.height) // 8 >= edge_px * 1.01 and scale < 8:
        scale = next((s for s in (8, 4, 2) if max(found.width, found.height) // s >= edge_px * 1.01), scale)
    kept = found.decoded_bytes - found.width * found.height // 64 * 4
    check_size(found.width, found.height, kept + found.width * found.height * 4 // scale**2, limits)
    return _twice(lambda: _open_jpeg(_file_of(source)), facts.turn, edge_px)


def _open_jpeg(file: Any) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(file)
    if isinstance(file, io.BytesIO):
        image.decodermaxblock = _IN_ONE_PIECE_BYTES
    return image


def _draw_with_pillow(source: Source, kind: str, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    found = facts.found
    check_size(found.width, found.height, found.decoded_bytes, limits)

    def opened() -> Image.Image:
        image = Image.open(_file_of(source), formats=[kind])
        plain = 1 if image.mode in ("1", "L") else 5 if image.mode == "P" else 4
        check_size(*image.size, image.width * image.height * plain, limits)
        return image

    # Pillow turns TIFF upright by itself, and only TIFF.
    return _twice(opened, 1 if kind == "TIFF" else facts.turn, edge_px)


def _draw_heif(source: Source, facts: Facts, edge_px: int, limits: Limits) -> Drawing:
    pillow_heif = load("pillow_heif")

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = False
    data = _all_bytes(source, limits)
    found = facts.found
    if found.thumbnail_item is not None and edge_px <= 256:
        smaller = thumbnail_as_primary(data, found.thumbnail_item)
        if smaller is not None:
            try:
                drawing = finish(pillow_heif.open_heif(smaller).to_pillow(), 1, edge_px)
                drawing.source_size = (0, 0)
                return drawing
            except _DECODE_ERRORS:
                drawing = Drawing()
    check_size(found.width, found.height, round(found.width * found.height * _HEIF_BYTES_PER_PIXEL), limits)
    # libheif has applied irot and imir already.
    opened = pillow_heif.open_heif(data)
    size = opened.size
    try:
        drawing = finish(_reduced(opened, edge_px), 1, edge_px)
    except _DECODE_ERRORS as error:
        if found.width * found.height * _HEIF_BYTES_PER_PIXEL > limits.picture_bytes / 2:
            raise PerhapsShortOfMemory(
                "its data are damaged, or it needs more memory than a decoder may use"
            ) from error
        raise PerhapsShortOfMemory(_reason(error)) from error
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


def _all_bytes(source: Source, limits: Limits) -> bytes:
    if source.size > limits.in_memory_bytes:
        raise TooLarge(
            f"Too large to draw: the file has {source.size:,} bytes, the limit for its kind is {limits.in_memory_bytes:,}."
        )
    return source.data if isinstance(source, MemorySource) else SourceFile(source).read()


def _twice(opened: Any, turn: int, edge_px: int) -> Drawing:
    """Draw; if the data end too early or are garbled, draw again as far as they go and mark the drawing as damaged."""
    try:
        return finish(opened(), turn, edge_px)
    except TooLarge:
        raise
    except _DECODE_ERRORS as first:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            drawing = finish(opened(), turn, edge_px)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        drawing.damaged = True
        drawing.problem = f"Only a part of the picture could be decoded: {_reason(first)}."
        return drawing


def finish(image: Image.Image, turn: int, edge_px: int) -> Drawing:
    """Scale `image` into `edge_px`, convert it to sRGB, lay it over white, turn it by the EXIF orientation `turn`, and
    encode it."""
    profile = image.info.get("icc_profile")
    full = image.size
    if image.mode == "P" or (image.mode in ("L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("1", "PA", "La", "RGBa"):
        image = image.convert({"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}[image.mode])
    image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS, reducing_gap=1.01)
    image = _plain(image, profile)
    if turn in _METHODS:
        image = image.transpose(_METHODS[turn])
    colour = "#{:02x}{:02x}{:02x}".format(*image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))  # type: ignore[misc]
    image.info = {}
    out = io.BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return Drawing(out.getvalue(), *image.size, colour=colour, source_size=full[::-1] if turn >= 5 else full)


def _plain(image: Image.Image, profile: Any) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        from catalog.media.colour import to_srgb

        image = to_srgb(image, profile)
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=alpha)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a picture of 16 or 32 bits a pixel in eight: by its depth where that is known, else by its brightest pixel."""
    low, high = cast(tuple[float, float], image.getextrema())
    if low >= 0 and high <= 255 and not image.mode.startswith("I;16"):
        top = 255.0
    else:
        top = 65535.0 if image.mode.startswith("I") and high <= 65535 else max(high, 1.0)
    return image.convert("F").point(lambda value: value * (255 / top)).convert("L")  # type: ignore[operator]


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


def turn_of_embedded(jpeg: bytes) -> int:
    """Return the EXIF orientation inside an embedded JPEG, 1 when it has none."""
    at = jpeg.find(b"Exif\0\0", 0, 64)
    exif = read_exif(jpeg[at + 6 : at + 65536], thumbnail=False) if at > 0 else None
    value = exif.ifd0.get(0x0112) if exif else None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_DAMAGED, _CUT_OFF = "its data are damaged", "the file is cut off"
_WORDS = {
    "truncated": _CUT_OFF,
    "end of file": _CUT_OFF,
    "too large for pngimageplugin": "a text in it takes far more room than texts do",
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
    return next((words for part, words in _WORDS.items() if part in said), text[:200] or _DAMAGED)
