"""Small real files for the tests of decoding."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image

CORNERS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}


def corner_picture(width: int = 64, height: int = 48) -> Image.Image:
    """Red at the top left, green at the top right, blue at the bottom left, white at the bottom right."""
    image = Image.new("RGB", (width, height))
    half = (width // 2, height // 2)
    for colour, place in zip(CORNERS.values(), ((0, 0), (half[0], 0), (0, half[1]), half), strict=True):
        image.paste(colour, (*place, place[0] + half[0], place[1] + half[1]))
    return image


def corners_of(data: bytes) -> list[str]:
    """The names of the four corner colours of a JPEG, row by row."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    places = (
        (width // 4, height // 4),
        (3 * width // 4, height // 4),
        (width // 4, 3 * height // 4),
        (3 * width // 4, 3 * height // 4),
    )
    return [nearest(image.getpixel(place)) for place in places]


def nearest(pixel: Any) -> str:
    return min(CORNERS, key=lambda name: sum((a - b) ** 2 for a, b in zip(CORNERS[name], pixel, strict=True)))


def exif_block(
    ifd0: dict[int, Any] | None = None, exif: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    """An EXIF block as Pillow writes it, "Exif" mark included."""
    block = Image.Exif()
    block.update(ifd0 or {})
    if exif:
        block.get_ifd(0x8769).update(exif)
    if gps:
        block.get_ifd(0x8825).update(gps)
    return block.tobytes()


def jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    """A JPEG of `image`, with Pillow's save options."""
    out = io.BytesIO()
    (image or corner_picture()).save(out, "JPEG", quality=95, subsampling=0, **options)
    return out.getvalue()


def with_xmp(data: bytes, properties: str) -> bytes:
    """`data`, a JPEG, with an XMP packet whose description has these attributes and elements."""
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(properties)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + data[2:]


def xmp_packet(attributes: str, elements: str = "") -> bytes:
    """An XMP packet."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/" {attributes}>'
        f"{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
