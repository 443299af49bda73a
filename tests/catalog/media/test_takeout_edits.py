"""A date or place that somebody gave in Google Photos is told by Takeout's document, and counts before the file's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.media.photos import exif_block, jpeg, with_xmp, xmp_packet
from tests.catalog.media.test_xmp_beside_first import told

OWN = {0x9003: "2019:07:14 12:15:00"}
AT_LAKE = {1: "N", 2: (47.0, 30.0, 0.0), 3: "E", 4: (9.0, 30.0, 0.0)}
LAKE = {"latitude": 47.500001, "longitude": 9.499999}
PARIS = {"latitude": 48.8583, "longitude": 2.2945}
NOWHERE = {"latitude": 0.0, "longitude": 0.0}


def document(**said: Any) -> dict[str, bytes]:
    return {"takeout": json.dumps({"title": "photo.jpg", **said}).encode()}


def dated(moment: str, uploaded: str = "2021-01-01T00:00:00") -> dict[str, bytes]:
    taken, created = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (moment, uploaded))
    return document(photoTakenTime={"timestamp": str(taken)}, creationTime={"timestamp": str(created)})


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


@pytest.mark.parametrize(
    "own",
    [
        jpeg(exif=exif_block(exif={**OWN, 0x9004: "1965:07:14 12:15:00"})),  # another date of the file is it
        jpeg(exif=exif_block({0x0132: "1965:07:14 12:15:00"}, exif=OWN)),
        jpeg(exif=exif_block(exif={**OWN, 0x9011: "+02:00"}, gps={29: "1965:07:14", 7: (12.0, 15.0, 0.0)})),
        jpeg(exif=exif_block(exif={0x9003: "14.07.2019 12:15"})),  # which Google perhaps cannot read
        with_xmp(jpeg(exif=exif_block(exif=OWN)), 'exif:DateTimeOriginal="2019-07-14T12:15:00"'),  # given since
    ],
)
def test_a_date_stays_where_the_document_is_no_witness(tmp_path: Path, own: bytes) -> None:
    result = told(tmp_path, own, dated("1965-07-14T12:15:00"))
    assert ((result.taken_local or "")[:10], result.taken_source) == ("2019-07-14", "exif")


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
