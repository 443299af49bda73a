"""What every decoder of pictures shares: the drawing, its limits, and finishing it."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from catalog.media.colour import from_lab, srgb_profile, to_srgb
from catalog.media.depths import eight_bits
from catalog.media.exif import Exif, read_exif
from catalog.media.found import Found
from catalog.media.limits import Limits
from catalog.media.look import NO_LOOK, look_of
from catalog.media.source import MemorySource, Source, SourceFile
from catalog.media.tone import ADOBE_RGB, shown_in_srgb

THUMBNAIL_EDGE_PX = 256
JPEG_QUALITY = 85
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class TooLarge(ValueError):
    """The picture would need more memory than a decoder may use; the message is a sentence, `needed_bytes` how much."""

    def __init__(self, sentence: str, needed_bytes: int = 0) -> None:
        super().__init__(sentence)
        self.needed_bytes = needed_bytes


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
    """How much memory drawing takes, if known and there is a problem."""
    short_of_memory: bool = False
    """It failed for want of memory, perhaps only because this process held much already."""
    source_size: tuple[int, int] = (0, 0)
    """Upright size of the original as decoded; 0 when only a part of it or another picture was decoded."""
    look: int = NO_LOOK
    """What tells similar pictures, of a thumbnail."""


def check_size(width: int, height: int, needed_bytes: int, limits: Limits) -> None:
    """Raise TooLarge, with a sentence, if a decoder would need more than the limit."""
    if needed_bytes > limits.picture_bytes:
        most = limits.picture_bytes // (1024 * 1024)
        raise TooLarge(
            f"Too large to draw: {width:,} x {height:,} pixels need {needed_bytes // (1024 * 1024):,} MiB of memory, "
            f"the limit is {most:,} MiB.",
            needed_bytes,
        )


def whole(source: Source, limits: Limits) -> bytes:
    """Return all bytes of a file for a decoder that cannot read it piece by piece. Raises TooLarge."""
    if source.size > limits.in_memory_bytes:
        raise TooLarge(
            f"Too large to draw: the file has {source.size:,} bytes, the limit for its kind is {limits.in_memory_bytes:,}."
        )
    return source.data if isinstance(source, MemorySource) else SourceFile(source).read()


def finish(image: Image.Image, turn: int, edge_px: int, found: Found | None = None) -> Drawing:
    """Scale `image` into `edge_px`, convert it to sRGB, lay it over white, turn it by the EXIF orientation `turn`, and
    encode it. What its colours mean is said by its own profile, else by what was `found` in its headers.

    What is larger than a thumbnail says that it is sRGB.
    """
    profile = image.info.get("icc_profile") or (found.profile if found else b"")
    full = image.size
    if image.mode == "P" or (image.mode in ("L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("1", "PA", "La", "RGBa"):
        image = image.convert({"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}[image.mode])
    elif image.mode.startswith("I;16"):
        image = eight_bits(image)
    image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS, reducing_gap=1.01)
    image = _plain(image, profile, found)
    if turn in _METHODS:
        image = image.transpose(_METHODS[turn])
    colour = "#{:02x}{:02x}{:02x}".format(*image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))  # type: ignore[misc]
    look = look_of(image) if edge_px <= THUMBNAIL_EDGE_PX else NO_LOOK
    image.info = {}
    out = io.BytesIO()
    tag = {"icc_profile": srgb_profile()} if edge_px > THUMBNAIL_EDGE_PX else {}
    image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0", **tag)
    shown = full[::-1] if turn >= 5 else full
    return Drawing(out.getvalue(), *image.size, colour=colour, source_size=shown, look=look)


def _plain(image: Image.Image, profile: Any, found: Found | None) -> Image.Image:
    if image.mode in ("I", "F"):
        image = eight_bits(image)
    if image.mode == "LAB":
        image = from_lab(image)
    elif profile and image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        image = to_srgb(image, profile)
    elif found and image.mode in ("RGB", "RGBA"):
        image = shown_in_srgb(image, found.transfer, found.primaries)
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=alpha)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def colours_of(exif: Exif | None) -> Found | None:
    """Return what the colours of a JPEG without a profile mean, where its EXIF says that they are not those of sRGB."""
    if exif is None or not exif.is_adobe_rgb:
        return None
    return Found(transfer=ADOBE_RGB, primaries=ADOBE_RGB)


def turn_of_embedded(jpeg: bytes) -> int:
    """Return the EXIF orientation inside an embedded JPEG, 1 when it has none."""
    at = jpeg.find(b"Exif\0\0", 0, 64)
    exif = read_exif(jpeg[at + 6 : at + 65536], thumbnail=False) if at > 0 else None
    value = exif.ifd0.get(0x0112) if exif else None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
