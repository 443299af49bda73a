"""A date or place that somebody gave in Google Photos is told by Takeout's document, and counts before the file's own."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.media.photos import corner_picture, exif_block, jpeg, with_xmp, xmp_packet
from tests.catalog.media.test_xmp_beside_first import told

OWN = {0x9003: "2019:07:14 12:15:00"}
AT_LAKE = {1: "N", 2: (47.0, 30.0, 0.0), 3: "E", 4: (9.0, 30.0, 0.0)}
LAKE = {"latitude": 47.500001, "longitude": 9.499999}
PARIS = {"latitude": 48.8583, "longitude": 2.2945}
NOWHERE = {"latitude": 0.0, "longitude": 0.0}


def document(**said: Any) -> dict[str, bytes]:
    return {"takeout": json.dumps({"title": "photo.jpg", **said}).encode()}


def dated(moment: str, uploaded: str = "2021-01-01T00:00:00", **said: Any) -> dict[str, bytes]:
    taken, created = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (moment, uploaded))
    return document(photoTakenTime={"timestamp": str(taken)}, creationTime={"timestamp": str(created)}, **said)


@pytest.mark.parametrize(
    ("given", "uploaded", "taken", "source"),
    [
        ("1965-07-14T12:15:00", "2021-01-01T00:00:00", "1965-07-14T13:15:00", "sidecar"),  # in the library's zone
        ("2019-07-20T12:15:00", "2021-01-01T00:00:00", "2019-07-20T14:15:00", "sidecar"),
        ("2019-07-14T12:22:00", "2021-01-01T00:00:00", "2019-07-14T14:22:00", "sidecar"),
        # The same moment, in whatever zone Google put it.
        ("2019-07-14T12:15:01", "2021-01-01T00:00:00", "2019-07-14T12:15:00", "exif"),
        ("2019-07-14T06:30:00", "2021-01-01T00:00:00", "2019-07-14T12:15:00", "exif"),
        ("2019-07-15T02:15:00", "2021-01-01T00:00:00", "2019-07-14T12:15:00", "exif"),
        # Google knew no date but that of the upload.
        ("2021-01-01T00:00:00", "2021-01-01T00:00:01", "2019-07-14T12:15:00", "exif"),
        ("2020-12-31T23:40:00", "2021-01-01T00:00:00", "2019-07-14T12:15:00", "exif"),
        # Google did not believe a camera that was ahead.
        ("2018-03-04T05:06:07", "2019-07-01T00:00:00", "2019-07-14T12:15:00", "exif"),
        # Nobody gave it.
        ("1980-01-01T00:00:05", "2021-01-01T00:00:00", "2019-07-14T12:15:00", "exif"),
    ],
)
def test_a_date_of_no_zone_was_given_there(tmp_path: Path, given: str, uploaded: str, taken: str, source: str) -> None:
    own = jpeg(exif=exif_block(exif=OWN))
    result = told(tmp_path, own, dated(given, uploaded))
    assert (result.taken_local, result.taken_source) == (taken, source)
    assert result.takeout_taken == (taken if source == "sidecar" else "")
    assert any("Google Photos" in note for note in result.notes) == (source == "sidecar")
    first = told(tmp_path, own, dated(given, uploaded), file_first=True)
    assert (first.taken_local, first.takeout_taken) == ("2019-07-14T12:15:00", result.takeout_taken)


def with_iptc(data: bytes, *records: tuple[int, bytes]) -> bytes:
    body = b"".join(b"\x1c\x02" + bytes((number, 0, len(text))) + text for number, text in records)
    body += b"\0" * (len(body) % 2)
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(body).to_bytes(4, "big") + body
    return data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]


def webp() -> bytes:
    file = io.BytesIO()
    corner_picture().save(file, "WEBP", exif=exif_block(exif=OWN))
    return file.getvalue()


@pytest.mark.parametrize(
    "own",
    [
        with_iptc(jpeg(exif=exif_block(exif=OWN)), (55, b"19650714"), (60, b"121500+0000")),
        webp(),  # of which Google perhaps reads no EXIF
        jpeg(exif=exif_block(exif={**OWN, 0x9004: "1965:07:14 12:15:00"})),  # another date of the file is it
        jpeg(exif=exif_block({0x0132: "1965:07:14 12:15:00"}, exif=OWN)),
        jpeg(exif=exif_block(exif={**OWN, 0x9011: "+02:00"}, gps={29: "1965:07:14", 7: (12.0, 15.0, 0.0)})),
        jpeg(exif=exif_block(exif={0x9003: "14.07.2019 12:15"})),  # which Google perhaps cannot read
        jpeg(exif=exif_block(exif={0x9003: "2019:07:14 24:15:00"})),
        jpeg(exif=exif_block(exif={0x9004: "2019:07:14 12:15:00"})),  # no date of the capture
        with_xmp(jpeg(exif=exif_block(exif=OWN)), 'exif:DateTimeOriginal="2019-07-14T12:15:00"'),  # given since
    ],
)
def test_a_date_stays_where_the_document_is_no_witness(tmp_path: Path, own: bytes) -> None:
    result = told(tmp_path, own, dated("1965-07-14T12:15:00"))
    assert ((result.taken_local or "")[:10], result.taken_source) == ("2019-07-14", "exif")


@pytest.mark.parametrize(
    ("name", "title", "gps", "read", "is_given"),
    [
        ("photo(1).jpg", "photo.jpg", None, NOWHERE, False),  # whose document may be in another part of the export
        ("photo(1).jpg", "photo(1).jpg", None, NOWHERE, True),
        (f"{'x' * 42}_A.jpg", f"{'x' * 42}&B.jpg", None, NOWHERE, False),
        (f"{'x' * 42}_A.jpg", f"{'X' * 42}&A.jpg", None, NOWHERE, True),
        ("photo.jpg", "photo.jpg", AT_LAKE, LAKE, True),
        ("photo.jpg", "photo.jpg", AT_LAKE, PARIS, False),
        ("photo.jpg", "photo.jpg", None, PARIS, False),
        ("photo.jpg", "photo.jpg", AT_LAKE, NOWHERE, True),  # newer documents do not tell what was read
    ],
)
def test_a_date_stays_where_the_document_may_be_of_another_photo(
    tmp_path: Path, name: str, title: str, gps: dict[int, Any] | None, read: dict[str, float], is_given: bool
) -> None:
    beside = dated("1965-07-14T12:15:00", title=title, geoDataExif=read)
    result = told(tmp_path, jpeg(exif=exif_block(exif=OWN, gps=gps)), beside, name=name)
    assert (result.taken_source == "sidecar") is is_given


def test_odd_zones_of_old_times_are_no_edits(tmp_path: Path) -> None:
    own = jpeg(exif=exif_block(exif={0x9003: "1930:07:14 12:15:00"}))
    assert told(tmp_path, own, dated("1930-07-14T11:55:28")).taken_source == "exif"  # as clocks were in Amsterdam
    assert told(tmp_path, own, dated("1931-07-14T11:55:28")).taken_source == "sidecar"


def test_an_xmp_file_beside_it_says_the_last_word(tmp_path: Path) -> None:
    own = jpeg(exif=exif_block(exif=OWN, gps=AT_LAKE))
    said = 'exif:DateTimeOriginal="2001-02-03T04:05:06" exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E"'
    beside = dated("1965-07-14T12:15:00") | {"xmp": xmp_packet(said)}
    assert told(tmp_path, own, beside).taken_local == "2001-02-03T04:05:06"
    result = told(tmp_path, own, document(geoData=PARIS, geoDataExif=LAKE) | {"xmp": xmp_packet(said)})
    assert (result.latitude, result.longitude, result.takeout_latitude) == (1, 2, None)


@pytest.mark.parametrize(
    ("gps", "xmp", "read", "given", "latitude"),
    [
        (AT_LAKE, "", LAKE, PARIS, 48.8583),
        (AT_LAKE, "", LAKE, LAKE, 47.5),
        (AT_LAKE, "", LAKE, NOWHERE, 47.5),
        (AT_LAKE, "", NOWHERE, PARIS, 47.5),  # the file has its place since
        (AT_LAKE, "", PARIS, LAKE, 47.5),  # it has another one since
        (AT_LAKE, 'exif:GPSLatitude="47,30N" exif:GPSLongitude="9,30E"', LAKE, PARIS, 47.5),  # a program placed it
        (None, "", NOWHERE, PARIS, 48.8583),
    ],
)
def test_a_place_that_is_not_what_google_read_was_given_there(
    tmp_path: Path, gps: dict[int, Any] | None, xmp: str, read: Any, given: Any, latitude: float
) -> None:
    own = jpeg(exif=exif_block(exif=OWN, gps=gps))
    own = with_xmp(own, xmp) if xmp else own
    result = told(tmp_path, own, document(geoData=given, geoDataExif=read))
    assert result.latitude == latitude
    first = told(tmp_path, own, document(geoData=given, geoDataExif=read), file_first=True)
    assert first.latitude == (47.5 if gps else latitude)
