"""An XMP file beside a photo is what a person said last: what it says of date, place, caption and keywords counts first."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from catalog.media.digest import digest_file
from catalog.media.limits import DEFAULT_LIMITS
from catalog.media.results import DigestResult
from tests.catalog.media.photos import exif_block, jpeg, xmp_packet

OWN = {0x9003: "2024:03:06 13:19:33"}
TAKEOUT = json.dumps({"photoTakenTime": {"timestamp": "1500000000"}, "description": "From Takeout"}).encode()
_WORDS = (
    "<dc:description><rdf:Alt><rdf:li>{}</rdf:li></rdf:Alt></dc:description>"
    "<dc:subject><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></dc:subject>"
)


def told(folder: Path, data: bytes, beside: dict[str, bytes], name: str = "photo.jpg", **params: Any) -> DigestResult:
    files = {}
    for kind, content in {"photo": data, **beside}.items():
        (folder / kind).write_bytes(content)
        files[kind] = (folder / kind).open("rb")
    descriptors = {kind: file.fileno() for kind, file in files.items()}
    settings = {"zone": "Europe/Berlin", "mtime_ns": 1_600_000_000 * 10**9, **params}
    main = descriptors.pop("photo")
    *_, result = digest_file(main, name, settings, descriptors, DEFAULT_LIMITS, draws=False)
    for file in files.values():
        file.close()
    return result


@pytest.mark.parametrize(
    ("own", "beside", "taken", "offset", "source"),
    [
        (OWN, 'exif:DateTimeOriginal="2021-02-03T04:05:06"', "2021-02-03T04:05:06", None, "sidecar"),
        (OWN, 'photoshop:DateCreated="2021-02-03"', "2021-02-03T00:00:00", None, "sidecar"),
        # Nothing new: the same moment, no more exactly.
        (OWN, 'exif:DateTimeOriginal="2024-03-06T13:19:33"', "2024-03-06T13:19:33", None, "exif"),
        (OWN, 'photoshop:DateCreated="2024-03-06"', "2024-03-06T13:19:33", None, "exif"),
        (OWN, 'exif:DateTimeOriginal="2024-03-06T13:19"', "2024-03-06T13:19:33", None, "exif"),
        (OWN, 'exif:DateTimeOriginal="2024-03-06T12:19:33Z"', "2024-03-06T13:19:33", None, "exif"),
        ({**OWN, 0x9011: "+05:45"}, 'exif:DateTimeOriginal="2024-03-06T13:19:33"', "2024-03-06T13:19:33", 345, "exif"),
        (OWN, 'exif:DateTimeOriginal="2024-03-06T13:19:33+02:00"', "2024-03-06T13:19:33", 120, "sidecar"),
        # No moment of a capture, or none at all.
        (OWN, 'xmp:CreateDate="2021-02-03T04:05:06"', "2024-03-06T13:19:33", None, "exif"),
        (OWN, 'exif:DateTimeOriginal="0000-00-00"', "2024-03-06T13:19:33", None, "exif"),
        ({}, 'xmp:CreateDate="2021-02-03T04:05:06"', "2021-02-03T04:05:06", None, "sidecar"),
    ],
)
def test_dates(tmp_path: Path, own: dict[int, str], beside: str, taken: str, offset: int | None, source: str) -> None:
    packet = xmp_packet('xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" ' + beside)
    result = told(tmp_path, jpeg(exif=exif_block(exif=own)), {"xmp": packet, "takeout": TAKEOUT})
    assert (result.taken_local, result.offset_minutes, result.taken_source) == (taken, offset, source)
    zone = ZoneInfo("Europe/Berlin")
    if offset is None:
        assert datetime.fromisoformat(result.taken_at or "") == datetime.fromisoformat(taken).replace(tzinfo=zone)
    first = told(tmp_path, jpeg(exif=exif_block(exif=own)), {"xmp": packet}, file_first=True)
    assert own == {} or (first.taken_local, first.taken_source) == ("2024-03-06T13:19:33", "exif")
    assert bool(first.sidecar_taken) == ("CreateDate" not in beside and "0000" not in beside)


def test_places_captions_and_keywords(tmp_path: Path) -> None:
    own = with_words(_WORDS.format("Own", "own"), 'exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E" xmp:Rating="2"')
    packet = xmp_packet(
        'exif:GPSLatitude="3,0S" exif:GPSLongitude="4,0W" xmp:Rating="5"', _WORDS.format("Beside", "beside")
    )
    said = told(tmp_path, own, {"xmp": packet, "takeout": TAKEOUT})
    assert (said.caption, said.keywords, said.latitude, said.longitude) == ("Beside", ["beside"], -3, -4)
    assert said.rating == 2 and told(tmp_path, own, {"xmp": packet}, sidecar_first=True).rating == 5
    first = told(tmp_path, own, {"xmp": packet}, file_first=True)
    assert (first.caption, first.sidecar_caption, first.keywords, first.latitude) == ("Own", "Beside", ["own"], 1)
    silent = told(tmp_path, own, {"xmp": xmp_packet('xmp:Rating="5"'), "takeout": TAKEOUT})
    assert (silent.caption, silent.keywords, silent.latitude) == ("Own", ["own"], 1)


@pytest.mark.parametrize(
    ("beside", "caption"),
    [
        ("<dc:title><rdf:Alt><rdf:li>A title</rdf:li></rdf:Alt></dc:title>", "Own"),  # describes nothing
        ('<dc:description><rdf:Alt><rdf:li xml:lang="x-default"/></rdf:Alt></dc:description>', ""),
    ],
)
def test_what_is_no_description(tmp_path: Path, beside: str, caption: str) -> None:
    own = with_words(_WORDS.format("Own", "own"), "")
    assert told(tmp_path, own, {"xmp": xmp_packet("", beside), "takeout": TAKEOUT}).caption == caption


def with_words(elements: str, attributes: str) -> bytes:
    """Return a JPEG whose XMP has these elements and attributes."""
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(attributes, elements)
    data = jpeg()
    return data[:2] + b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet + data[2:]
