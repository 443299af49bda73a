"""Dates, stars and captions in the places where each format keeps them, and in the encodings that are met."""

from __future__ import annotations

import struct
from pathlib import Path

import brotli
import pytest
from PIL import PngImagePlugin, TiffImagePlugin

from catalog.media.iptc import iptc_from_photoshop
from catalog.media.results import DigestResult
from catalog.media.source import MemorySource
from catalog.media.survey import begin
from catalog.media.words import stars_of_percent
from catalog.media.xmp import read_xmp
from tests.catalog.media.metadata_table import box, jpeg_xl, photoshop, resource, saved
from tests.catalog.media.photos import exif_block, jpeg, with_xmp, xmp_packet
from tests.catalog.media.test_digest import digest

EXIF = exif_block(exif={0x9003: "2019:05:06 07:08:09"})
TIFF_OF_EXIF = EXIF.removeprefix(b"Exif\0\0")
XMP = xmp_packet('xmp:Rating="4"', "<dc:description><rdf:Alt><rdf:li>Küste</rdf:li></rdf:Alt></dc:description>")
IPTC = b"".join(
    b"\x1c\x02" + bytes([dataset]) + struct.pack(">H", len(text)) + text
    for dataset, text in ((55, b"20190506"), (60, b"070809"), (120, b"In IPTC"))
)


def jpeg2000() -> bytes:
    return saved("JPEG2000") + box(b"uuid", b"JpgTiffExif->JP2" + TIFF_OF_EXIF) + box(b"xml ", XMP)


def jpeg_xl_of(*, packed: bool) -> bytes:
    words = [(b"Exif", b"\0" * 4 + TIFF_OF_EXIF), (b"xml ", XMP)]
    boxes = [box(b"brob", kind + brotli.compress(body)) if packed else box(kind, body) for kind, body in words]
    return jpeg_xl(boxes, orientation=6)


RESOURCES = b"".join(resource(n, body) for n, body in ((0x040C, b"\0" * 28), (0x0422, TIFF_OF_EXIF), (0x0424, XMP)))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(jpeg2000(), (64, 48), id="JPEG 2000"),
        pytest.param(photoshop(RESOURCES), (64, 48), id="Photoshop"),
        pytest.param(jpeg_xl_of(packed=False), (48, 64), id="JPEG XL"),
        pytest.param(jpeg_xl_of(packed=True), (48, 64), id="JPEG XL, packed"),
    ],
)
def test_boxes_and_resources(data: bytes, size: tuple[int, int]) -> None:
    facts = begin(MemorySource(data), DigestResult())
    assert facts is not None and not facts.found.problem and facts.size == size
    assert next(facts.embedded_dates()).value == "2019:05:06 07:08:09"
    assert (facts.words.rating, facts.words.caption) == (4, "Küste")


def test_a_bomb_in_jpeg_xl_is_not_unpacked() -> None:
    data = jpeg_xl_of(packed=True) + box(b"brob", b"xml " + brotli.compress(b"\0" * (64 * 1024 * 1024)))
    facts = begin(MemorySource(data), DigestResult())
    assert facts is not None and facts.words.rating == 4 and "too large" in " ".join(facts.notes)


@pytest.mark.parametrize("turned", [False, True])
def test_iptc_that_tiff_says_is_numbers(turned: bool) -> None:
    padded = IPTC + b"\0" * (-len(IPTC) % 4)
    if turned:
        padded = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    entries = [(256, 4, 1, 64), (257, 4, 1, 48), (33723, 4, len(padded) // 4, 50)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0) + padded
    facts = begin(MemorySource(data), DigestResult())
    assert facts is not None and facts.words.caption == "In IPTC"
    assert [one.value for one in facts.later_dates()] == ["2019-05-06 07:08:09"]


def test_dates_beside_exif(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x9003] = "2004:05:06 07:08:09"
    assert digest(tmp_path, saved("TIFF", tiffinfo=tags)).taken_local == "2004-05-06T07:08:09"
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Creation Time", "Mon, 06 May 2019 07:08:09 +0200")
    told = digest(tmp_path, saved("PNG", pnginfo=texts))
    assert (told.taken_local, told.offset_minutes, told.taken_source) == ("2019-05-06T07:08:09", 120, "exif")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp1252"])
@pytest.mark.parametrize(
    "around", [("", ""), ("http://ns.adobe.com/xap/1.0/\0", '<?xpacket end="w"?>\0\0 more > rubbish')]
)
def test_encodings_of_xmp(encoding: str, around: tuple[str, str]) -> None:
    before, behind = around if encoding in ("utf-8", "cp1252") else ("", around[1])
    said = read_xmp((before + XMP.decode() + behind).encode(encoding))
    assert said == {"xmp:Rating": "4", "dc:description": ["Küste"]}


def test_stars_of_acdsee(tmp_path: Path) -> None:
    acdsee = 'xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/" acdsee:rating="4" acdsee:caption="Dunes"'
    result = digest(tmp_path, with_xmp(jpeg(), acdsee))
    assert (result.rating, result.caption) == (4, "Dunes")
    assert digest(tmp_path, with_xmp(jpeg(), acdsee + ' xmp:Rating="2"')).rating == 2


def test_stars_of_every_percent() -> None:
    stars = [stars_of_percent(percent) or 0 for percent in range(101)]
    assert stars == sorted(stars)
    assert [stars.index(star) for star in range(1, 6)] == [1, 23, 45, 68, 90]
    assert (stars_of_percent(-1), stars_of_percent(101)) == (None, None)


def test_resources_of_photoshop() -> None:
    assert iptc_from_photoshop(b"8BIM\4\4\0\0\0\0\0\2ab") == b"ab"
    assert iptc_from_photoshop(b"8BIM\4\5\0\0\0\0\0\1a\0" + b"8BIM\4\4\0\0\0\0\0\2ab") == b"ab"
    assert iptc_from_photoshop(b"rubbish of some length") == b""
