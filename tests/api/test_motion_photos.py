"""The short video inside a motion photo, through the API: found by a scan, sent as a part of the original."""

import struct
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Library, Photo
from operations.running import execute, start
from tests.catalog.media.photos import with_xmp
from tests.factories import make_jpeg, make_photo

from .conftest import API, Cast

BOXES = [(b"ftyp", b"mp42"), (b"moov", b"m" * 400), (b"mdat", b"d" * 2000)]
VIDEO = b"".join(struct.pack(">I4s", len(body) + 8, kind) + body for kind, body in BOXES)


def motion_photo(appended: bytes = VIDEO, trailer: bytes = b"") -> bytes:
    told = (
        f'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MicroVideoOffset="{len(appended + trailer)}"'
    )
    return with_xmp(make_jpeg(), told) + appended + trailer


def scan(library: Library) -> None:
    execute(
        start("scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False).pk
    )


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.fixture
def photo(cast: Cast) -> Photo:
    (cast.root / "PXL_1.MP.jpg").write_bytes(motion_photo(trailer=b"\0\0\0\x0aSEFH??"))
    (cast.root / "still.jpg").write_bytes(make_jpeg(seed=2))
    scan(cast.library)
    return Photo.objects.get(filename="PXL_1.MP.jpg")


def test_a_scan_finds_it_and_the_timeline_tells(photo: Photo, alice: APIClient) -> None:
    still = Photo.objects.get(filename="still.jpg")
    assert (photo.motion_bytes, still.motion_bytes) == (len(VIDEO) + 10, 0)
    (bucket,) = alice.get(f"{API}timeline/buckets/").json()
    arrays = alice.get(f"{API}timeline/bucket/", {"bucket": bucket["bucket"]}).json()
    told = dict(zip(arrays["id"], arrays["motion"], strict=True))
    assert told == {str(photo.pk): True, str(still.pk): False}
    assert [alice.get(f"{API}photos/{one.pk}/").json()["motion"] for one in (photo, still)] == [True, False]


def test_it_is_sent_whole_and_in_parts(photo: Photo, alice: APIClient) -> None:
    address = f"{API}photos/{photo.pk}/motion/"
    answer = alice.get(address)
    assert (answer.status_code, answer["Content-Type"], body_of(answer)) == (200, "video/mp4", VIDEO)
    part = alice.get(address, headers={"Range": "bytes=5-20"})
    assert (part.status_code, part["Content-Range"], body_of(part)) == (206, f"bytes 5-20/{len(VIDEO)}", VIDEO[5:21])
    last = alice.get(address, headers={"Range": "bytes=-7"})
    assert body_of(last) == VIDEO[-7:]
    assert alice.head(address)["Content-Length"] == str(len(VIDEO))
    assert alice.get(address, headers={"If-None-Match": answer["ETag"]}).status_code == 304


def test_others_do_not_get_it_and_other_photos_have_none(
    photo: Photo, cast: Cast, alice: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    address = f"{API}photos/{photo.pk}/motion/"
    assert charlie.get(address).status_code == 404
    assert anonymous.get(address).status_code == 401
    assert alice.post(address).status_code == 405
    still = Photo.objects.get(filename="still.jpg")
    told = alice.get(f"{API}photos/{still.pk}/motion/")
    assert (told.status_code, told.json()["type"]) == (404, "urn:photolala:problem:no_video")
    (cast.root / "PXL_1.MP.jpg").write_bytes(make_jpeg(seed=3) + b"x" * 5000)  # edited since the scan
    assert alice.get(address).json()["type"] == "urn:photolala:problem:no_video"
    Path(cast.root / "PXL_1.MP.jpg").unlink()
    assert alice.get(address).json()["type"] == "urn:photolala:problem:file_gone"


def test_photos_of_an_earlier_version_are_read_once_more_if_such_a_phone_took_them(photo: Photo, cast: Cast) -> None:
    other = make_photo(cast.library, "camera.jpg", camera_make="Canon", motion_bytes=None, image_digest="ab" * 16)
    Photo.objects.filter(pk=photo.pk).update(motion_bytes=None, later_tried=1, camera_make="Redmi")
    scan(cast.library)
    photo.refresh_from_db()
    other.refresh_from_db()
    assert (photo.motion_bytes, photo.later_tried) == (len(VIDEO) + 10, 2)
    assert (other.motion_bytes, other.later_tried) == (None, 0)
