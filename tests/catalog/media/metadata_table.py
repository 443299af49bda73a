"""The table of docs/metadata.md: what is read from which format, found out by reading files that say everything.

`python -m tests.catalog.media.metadata_table` writes it anew.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, PngImagePlugin, TiffImagePlugin

from catalog.media.digest import apply_facts
from catalog.media.results import DigestResult
from catalog.media.sidecars import Sidecar, read_takeout_sidecar, read_xmp_sidecar
from catalog.media.source import MemorySource
from catalog.media.survey import apply_dates, begin
from tests.catalog.media.photos import corner_picture, xmp_packet

PAGE = Path(__file__).resolve().parents[3] / "docs/metadata.md"
BEGINNING, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"
FIELDS = ("date", "offset", "place", "camera", "lens", "exposure", "stars", "caption", "keywords", "orientation")

_DATE, _OFFSET = "2019:05:06 07:08:09", "+05:45"


def _exif(orientation: int = 6) -> bytes:
    block = Image.Exif()
    block.update({0x010F: "Canon", 0x0110: "EOS", 0x010E: "In EXIF", 0x0112: orientation, 0x4746: 4})
    block[0x9C9E] = "one;two".encode("utf-16-le")
    block.get_ifd(0x8769).update({0x9003: _DATE, 0x9011: _OFFSET, 0x8827: 200, 0x829D: 2.8, 0xA434: "50mm"})
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (11.0, 0.0, 0.0)})
    return block.tobytes().removeprefix(b"Exif\0\0")


def _turned() -> bytes:
    """Return EXIF of which the writers of HEIC and AVIF make a turn of their own."""
    block = Image.Exif()
    block[0x0112] = 6
    return block.tobytes()


EXIF = _exif()
XMP = xmp_packet(
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmp:Rating="4" tiff:Make="Canon"'
    ' tiff:Model="EOS" tiff:Orientation="6" aux:Lens="50mm" exif:GPSLatitude="48,30N" exif:GPSLongitude="11,0E"'
    ' exif:DateTimeOriginal="2019-05-06T07:08:09+05:45"',
    "<dc:description><rdf:Alt><rdf:li>In XMP</rdf:li></rdf:Alt></dc:description>"
    "<dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>two</rdf:li></rdf:Bag></dc:subject>",
)
IPTC = b"".join(
    b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text)) + text
    for number, text in (
        (25, b"one"), (25, b"two"), (55, b"20190506"), (60, b"070809+0545"), (120, b"In IPTC"),
    )
)  # fmt: skip
Build = Callable[[], bytes]


def saved(kind: str, **options: Any) -> bytes:
    """Return a small picture of that kind, with Pillow's save options."""
    out = io.BytesIO()
    corner_picture().save(out, kind, **options)
    return out.getvalue()


def box(kind: bytes, body: bytes) -> bytes:
    """Return a box as JPEG 2000, JPEG XL and HEIF have them."""
    return struct.pack(">I", 8 + len(body)) + kind + body


def resource(number: int, body: bytes) -> bytes:
    """Return one of Photoshop's image resources."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + b"\0" * (len(body) % 2)


def photoshop(resources: bytes) -> bytes:
    """Return the beginning of a Photoshop file of 64 x 48 pixels."""
    head = b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 48, 64, 8, 3) + struct.pack(">I", 0)
    return head + struct.pack(">I", len(resources)) + resources + struct.pack(">IH", 0, 0) + b"\x80" * (64 * 48 * 3)


def jpeg_xl(words: list[bytes], orientation: int = 1) -> bytes:
    """Return the beginning of a JPEG XL file of 64 x 48 pixels as stored, with more boxes."""
    # Not small; 48 and 64 less one in 9 bits each; no fixed ratio; not all defaults; an orientation.
    bits = [(0, 1), (0, 2), (47, 9), (0, 3), (0, 2), (63, 9), (0, 1), (1, 1), (orientation - 1, 3)]
    number, position = 0, 0
    for value, count in bits:
        number |= value << position
        position += count
    stream = box(b"jxlc", b"\xff\x0a" + number.to_bytes(8, "little"))
    return b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + stream + b"".join(words)


def _gif() -> bytes:
    data = saved("GIF")
    table = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return data[: 13 + table] + b"\x21\xff\x0bXMP DataXMP" + XMP + trailer + data[13 + table :]


def _heif(**options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    return saved("HEIF", **options)


def _png(**texts: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        chunks.add_text(name.replace("_", " "), text)
    return saved("PNG", pnginfo=chunks)


def _png_with_xmp() -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return saved("PNG", pnginfo=chunks)


def _tiff(tag: int, data: bytes) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[tag] = 7
    tags[tag] = data
    return saved("TIFF", tiffinfo=tags)


def _tiff_with_exif() -> bytes:
    block = Image.Exif()
    block.load(EXIF)
    return saved("TIFF", exif=block)


def _app13() -> bytes:
    body = b"Photoshop 3.0\0" + resource(0x0404, IPTC)
    data = saved("JPEG")
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + data[2:]


def _digits(block: bytes) -> str:
    return f"\niptc\n{len(block):8}\n{block.hex()}\n"


_IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
FORMATS: dict[str, dict[str, Build]] = {
    "JPEG": {
        "EXIF": lambda: saved("JPEG", exif=b"Exif\0\0" + EXIF),
        "XMP": lambda: saved("JPEG", xmp=XMP),
        "IPTC": _app13,
    },
    "PNG": {
        "EXIF": lambda: saved("PNG", exif=b"Exif\0\0" + EXIF),
        "XMP": _png_with_xmp,
        "IPTC": lambda: _png(Raw_profile_type_iptc=_digits(resource(0x0404, IPTC))),
        "text": lambda: _png(Creation_Time="Mon, 06 May 2019 07:08:09 +0545", Description="In a text"),
    },
    "GIF": {"XMP": _gif},
    "WebP": {"EXIF": lambda: saved("WEBP", exif=EXIF), "XMP": lambda: saved("WEBP", xmp=XMP)},
    "TIFF": {"EXIF": _tiff_with_exif, "XMP": lambda: _tiff(700, XMP), "IPTC": lambda: _tiff(33723, IPTC)},
    "HEIC": {
        "EXIF": lambda: _heif(exif=_exif(orientation=1)),
        "XMP": lambda: _heif(xmp=XMP.replace(b' tiff:Orientation="6"', b"")),
        "own": lambda: _heif(exif=_turned()),
    },
    "AVIF": {
        "EXIF": lambda: saved("AVIF", exif=_exif(orientation=1)),
        "XMP": lambda: saved("AVIF", xmp=XMP),
        "own": lambda: saved("AVIF", exif=_turned()),
    },
    "JPEG 2000": {
        "EXIF": lambda: saved("JPEG2000") + box(b"uuid", b"JpgTiffExif->JP2" + EXIF),
        "XMP": lambda: saved("JPEG2000") + box(b"xml ", XMP),
        "IPTC": lambda: saved("JPEG2000") + box(b"uuid", _IPTC_UUID + IPTC),
    },
    "JPEG XL": {
        "EXIF": lambda: jpeg_xl([box(b"Exif", b"\0" * 4 + EXIF)]),
        "XMP": lambda: jpeg_xl([box(b"xml ", XMP)]),
        "own": lambda: jpeg_xl([], orientation=6),
    },
    "Photoshop": {
        "EXIF": lambda: photoshop(resource(0x0422, EXIF)),
        "XMP": lambda: photoshop(resource(0x0424, XMP)),
        "IPTC": lambda: photoshop(resource(0x0404, IPTC)),
    },
}
"""Each format with the places in which it keeps words, and a file that says everything in that place alone."""
_TAKEOUT = {
    "photoTakenTime": {"timestamp": "1557105789"},
    "description": "In Takeout",
    "geoData": {"latitude": 48.5, "longitude": 11.0},
}
BESIDE: dict[str, dict[str, Sidecar]] = {
    "an XMP file beside it": {"xmp": read_xmp_sidecar(XMP)},
    "Takeout's JSON": {"takeout": read_takeout_sidecar(json.dumps(_TAKEOUT).encode())},
    "the file's name": {},
}


def told(data: bytes, name: str = "a", sidecars: dict[str, Sidecar] | None = None) -> set[str]:
    """Return which of FIELDS are read. What is read wrongly is an error."""
    result = DigestResult()
    facts = begin(MemorySource(data), result)
    assert facts is not None and not result.problem, result.problem
    apply_dates(result, facts, name, {"zone": "Asia/Kathmandu", "mtime_ns": -1}, sidecars or {})
    apply_facts(result, facts, sidecars or {})
    right: dict[str, tuple[Any, Any]] = {
        "date": (result.taken_local, "2019-05-06T07:08:09"),
        "offset": (result.offset_minutes, 345),
        "place": (result.latitude, 48.5),
        "camera": (f"{result.camera_make} {result.camera_model}".strip(), "Canon EOS"),
        "lens": (result.lens_model, "50mm"),
        "exposure": (result.iso, 200),
        "stars": (result.rating, 4),
        "keywords": (result.keywords, ["one", "two"]),
        "orientation": ((result.width, result.height) if facts.turn >= 5 else None, (48, 64)),
    }
    found = {field for field, (ours, theirs) in right.items() if ours == theirs}
    wrong = {field: ours for field, (ours, _) in right.items() if ours and field not in found}
    assert not wrong, wrong
    return found | ({"caption"} if result.caption.startswith("In ") else set())


def table() -> str:
    """Return the table."""
    rows = []
    for name, places in FORMATS.items():
        read = {place: told(build()) for place, build in places.items()}
        rows.append([name, *(", ".join(place for place in read if field in read[place]) for field in FIELDS)])
    for name, sidecars in BESIDE.items():
        file_name = "IMG_20190506_070809.jpg" if not sidecars else "a.jpg"
        read_beside = told(saved("JPEG"), file_name, sidecars)
        rows.append([name, *("yes" if field in read_beside else "" for field in FIELDS)])
    head = ["", *FIELDS]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def page_with(text: str, page: str) -> str:
    """Return the page with another table."""
    before, _, rest = page.partition(BEGINNING)
    return before + BEGINNING + text + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(table(), PAGE.read_text()))
