"""Thumbnails, previews, originals and metadata through the API."""

import hashlib
import io
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test.utils import CaptureQueriesContext
from PIL import Image
from rest_framework.test import APIClient

from catalog.browsing import make, serve
from catalog.entries import previews
from catalog.media.task import Job
from catalog.models import Photo, PhotoMetadata
from catalog.roots.reach import source_for
from photolala.web import ranges
from tests.factories import make_jpeg, make_library, make_photo

from .conftest import API, Cast

KINDS = ("thumbnail", "preview", "original", "metadata")


@pytest.fixture(autouse=True)
def own_decoder() -> Any:
    """End the decoder process that a test may have started."""
    yield
    previews.decoder.close()


def at(photo: Photo, kind: str) -> str:
    return f"{API}photos/{photo.pk}/{kind}/"


def cached(tmp_path: Path, kind: str, md5: str, extension: str = "jpg") -> Path:
    return tmp_path / "cache" / "local" / kind / md5[:2] / f"{md5}.{extension}"


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def make_shown(cast: Cast, path: str = "2024/IMG 1.JPG", **fields: Any) -> Photo:
    photo = make_photo(cast.library, path, has_thumbnail=True, **fields)
    PhotoMetadata.objects.create(photo=photo, body=json.dumps({"photoMD5": photo.photo_md5}))
    return photo


@pytest.mark.promise("S4-069", "S4-070")
@pytest.mark.parametrize("kind", KINDS)
def test_who_gets_what(
    cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient, kind: str
) -> None:
    photo = make_shown(cast)
    for client in (alice, bob):
        answer = client.get(at(photo, kind))
        assert answer.status_code == 200
        assert len(body_of(answer)) == int(answer["Content-Length"])
        assert answer["ETag"] == f'"{photo.photo_md5}"'
        assert answer["Cache-Control"].startswith("private")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert {name.strip() for name in answer["Vary"].split(",")} >= {"Authorization", "Cookie"}
        again = client.get(at(photo, kind), HTTP_IF_NONE_MATCH=answer["ETag"])
        assert (again.status_code, body_of(again)) == (304, b"")
        head = client.head(at(photo, kind))
        assert (head.status_code, body_of(head)) == (200, b"")
        assert head["Content-Length"] == answer["Content-Length"]
    assert charlie.get(at(photo, kind)).status_code == 404
    assert charlie.get(at(photo, kind), HTTP_IF_NONE_MATCH=f'"{photo.photo_md5}"').status_code == 404
    assert anonymous.get(at(photo, kind)).status_code == 401
    assert alice.post(at(photo, kind)).status_code == 405
    assert alice.get(f"{API}photos/{uuid4()}/{kind}/").status_code == 404


@pytest.mark.promise("S4-064")
@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_thumbnail_is_made_again(cast: Cast, alice: APIClient, tmp_path: Path, left: bytes | None) -> None:
    photo = make_shown(cast, data=make_jpeg(900, 600, 7))
    path = cached(tmp_path, "thumbnails", photo.photo_md5)
    if left is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(left)
    answer = alice.get(at(photo, "thumbnail"))
    assert answer.status_code == 200
    data = body_of(answer)
    assert path.read_bytes() == data
    assert max(Image.open(io.BytesIO(data)).size) == 256


def test_a_cached_thumbnail_costs_one_query_and_no_file(
    cast: Cast, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    photo = make_shown(cast)
    path = cached(tmp_path, "thumbnails", photo.photo_md5)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xd8 thumbnail")
    (cast.root / photo.path).unlink()
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(1):
        assert body_of(client.get(at(photo, "thumbnail"))) == b"\xff\xd8 thumbnail"


def test_versions_are_kept_for_ever_and_other_addresses_are_not(cast: Cast, alice: APIClient) -> None:
    photo = make_shown(cast)
    for version, kept in ((photo.photo_md5[:8], True), ("0" * 8, False), (photo.photo_md5[:1], False), ("", False)):
        answer = alice.get(at(photo, "thumbnail"), {"v": version})
        assert ("immutable" in answer["Cache-Control"]) is kept


def test_a_preview_is_made_once(cast: Cast, alice: APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = make_shown(cast, data=make_jpeg(3000, 1500, 9))
    data = body_of(alice.get(at(photo, "preview")))
    assert Image.open(io.BytesIO(data)).size == (1600, 800)
    assert cached(tmp_path, "previews", photo.photo_md5).read_bytes() == data
    monkeypatch.setattr(serve, "make_preview", lambda photo: pytest.fail("made again"))
    assert body_of(alice.get(at(photo, "preview"))) == data


def test_nobody_puts_another_picture_into_the_cache_of_all(
    cast: Cast, alice: APIClient, charlie: APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_shown(cast)
    theirs = make_library(cast.charlie, tmp_path / "photos" / "theirs")
    copy = make_photo(theirs, "copy.jpg", data=(cast.root / mine.path).read_bytes())
    assert copy.photo_md5 == mine.photo_md5
    path = tmp_path / "photos" / "theirs" / "copy.jpg"
    times, size = path.stat().st_mtime_ns, path.stat().st_size
    forged = make_jpeg(seed=77)
    path.write_bytes(forged[:size].ljust(size, b"\0"))
    os.utime(path, ns=(times, times))
    assert charlie.get(at(copy, "preview")).status_code == 409
    assert not cached(tmp_path, "previews", mine.photo_md5).exists()
    monkeypatch.setattr(make, "LARGEST_HASHED_BYTES", 10)  # too large to be hashed while a person waits
    answer = charlie.get(at(copy, "preview"))
    assert answer.status_code == 200
    assert not cached(tmp_path, "previews", mine.photo_md5).exists()
    monkeypatch.undo()
    assert alice.get(at(mine, "preview")).status_code == 200
    assert cached(tmp_path, "previews", mine.photo_md5).exists()


def test_a_photo_that_is_not_digested_yet(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library, photo_md5="", state="surveyed", needs_digest=True)
    answer = alice.get(at(photo, "thumbnail"))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:photolala:problem:not_ready")
    assert int(answer["Retry-After"]) > 0
    assert alice.get(at(photo, "metadata"))["Retry-After"]
    preview = alice.get(at(photo, "preview"))
    assert preview.status_code == 200
    assert "no-store" in preview["Cache-Control"]
    assert body_of(alice.get(at(photo, "original"))) == (cast.root / photo.path).read_bytes()


def test_a_broken_file_says_why(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library, data=b"no picture", state="broken", is_shown=False, problem="It is no picture.")
    for kind in ("thumbnail", "preview", "metadata"):
        answer = alice.get(at(photo, kind))
        assert (answer.status_code, answer.json()["detail"]) == (404, "It is no picture.")
    assert body_of(alice.get(at(photo, "original"))) == b"no picture"


def test_a_file_that_changed_since_the_scan(cast: Cast, alice: APIClient) -> None:
    photo = make_shown(cast)
    (cast.root / photo.path).write_bytes(b"quite another thing")
    for kind in ("thumbnail", "preview"):
        answer = alice.get(at(photo, kind))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:photolala:problem:file_changed")
    answer = alice.get(at(photo, "original"), {"v": photo.photo_md5[:8]})
    assert body_of(answer) == b"quite another thing"
    assert answer["ETag"] != f'"{photo.photo_md5}"'
    assert "immutable" not in answer["Cache-Control"]


def test_a_file_or_a_disk_that_is_gone(cast: Cast, alice: APIClient) -> None:
    photo = make_shown(cast, "a.jpg")
    other = make_photo(cast.library, "b.jpg")
    (cast.root / "a.jpg").unlink()
    answer = alice.get(at(photo, "original"))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:photolala:problem:file_gone")
    cast.root.rename(cast.root.with_name("unplugged"))
    answer = alice.get(at(other, "original"))
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "disk" in answer.json()["detail"]


def test_no_link_leads_out_of_the_library(cast: Cast, alice: APIClient, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    photo = make_photo(cast.library, "link.jpg")
    (cast.root / "link.jpg").unlink()
    (cast.root / "link.jpg").symlink_to(tmp_path / "secret")
    assert alice.get(at(photo, "original")).status_code == 404
    Photo.objects.filter(pk=photo.pk).update(directory="..", filename="secret")
    assert alice.get(at(photo, "original")).status_code == 404


def test_names_and_types_of_originals(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library, "Grüße; 1%.jpg")
    answer = alice.get(at(photo, "original"))
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Content-Disposition"] == (
        "inline; filename=\"Gr__e_ 1_.jpg\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%3B%201%25.jpg"
    )
    assert alice.get(at(photo, "original"), {"download": "1"})["Content-Disposition"].startswith("attachment;")
    page = make_photo(
        cast.library, "page.jpg", data=b"<script>alert(1)</script>", media_type="text/html", state="broken"
    )
    answer = alice.get(at(page, "original"))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_odd_names_are_found(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library, "plain.jpg")
    raw = os.fsencode(cast.root) + b"/back\\slash \xff\n.jpg"
    (cast.root / "plain.jpg").rename(os.fsdecode(raw))
    Photo.objects.filter(pk=photo.pk).update(filename="back\\\\slash \\xff\n.jpg")
    answer = alice.get(at(photo, "original"))
    assert answer.status_code == 200
    assert "\n" not in answer["Content-Disposition"]


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=5-999999", 206, slice(5, None)),
        ("bytes=-999999", 206, slice(0, None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-3", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=٣-4", 200, slice(None)),
        ("bytes=" + "9" * 400 + "-", 416, None),
    ],
)
def test_ranges(cast: Cast, alice: APIClient, header: str, status: int, expected: slice | None) -> None:
    photo = make_shown(cast)
    data = (cast.root / photo.path).read_bytes()
    answer = alice.get(at(photo, "original"), HTTP_RANGE=header)
    assert answer.status_code == status
    if expected is None:
        assert answer["Content-Range"] == f"bytes */{len(data)}"
        return
    assert body_of(answer) == data[expected]
    assert int(answer["Content-Length"]) == len(data[expected])
    if status == 206:
        start = range(len(data))[expected][0]
        assert answer["Content-Range"] == f"bytes {start}-{start + len(data[expected]) - 1}/{len(data)}"


def test_if_range_and_dates(cast: Cast, alice: APIClient) -> None:
    photo = make_shown(cast)
    first = alice.get(at(photo, "original"))
    modified = first["Last-Modified"]
    body_of(first)

    def status(**headers: str) -> int:
        answer = alice.get(at(photo, "original"), **headers)
        body_of(answer)
        return answer.status_code

    part = {"HTTP_RANGE": "bytes=0-1"}
    assert status(**part, HTTP_IF_RANGE=first["ETag"]) == 206
    assert status(**part, HTTP_IF_RANGE=modified) == 206
    assert status(**part, HTTP_IF_RANGE='"another"') == 200
    assert status(**part, HTTP_IF_RANGE=f"W/{first['ETag']}") == 200
    assert status(**part, HTTP_IF_RANGE="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert status(HTTP_IF_MODIFIED_SINCE=modified) == 304
    assert status(HTTP_IF_MODIFIED_SINCE="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert status(HTTP_IF_MODIFIED_SINCE=modified, HTTP_IF_NONE_MATCH='"another"') == 200
    assert status(HTTP_IF_NONE_MATCH=f'"another", W/{first["ETag"]}') == 304
    assert status(HTTP_IF_NONE_MATCH="*") == 304


def test_a_large_file_comes_in_blocks_and_is_closed(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library, data=os.urandom(ranges.BLOCK_BYTES * 2 + 5))
    answer = alice.get(at(photo, "original"))
    blocks = list(answer.streaming_content)
    assert [len(block) for block in blocks] == [ranges.BLOCK_BYTES, ranges.BLOCK_BYTES, 5]
    assert hashlib.md5(b"".join(blocks)).hexdigest() == photo.photo_md5
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        dropped = alice.get(at(photo, "original"))
        for close in dropped._resource_closers:  # what the server calls when the client goes away
            close()
        alice.head(at(photo, "original"))
        alice.get(at(photo, "original"), HTTP_RANGE="bytes=99999999-")
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_nginx_sends_it_where_there_is_one(cast: Cast, alice: APIClient, settings: Any) -> None:
    settings.ACCEL_PREFIX = "/_files/"
    photo = make_photo(cast.library, "2024/Grüße 1%.jpg")
    answer = alice.get(at(photo, "original"))
    assert answer["X-Accel-Redirect"] == f"/_files{cast.root}/2024/Gr%C3%BC%C3%9Fe%201%25.jpg"
    assert answer.content == b""
    assert answer["Content-Type"] == "image/jpeg"


def test_metadata_is_the_stored_json(cast: Cast, alice: APIClient, tmp_path: Path) -> None:
    photo = make_shown(cast)
    assert json.loads(body_of(alice.get(at(photo, "metadata")))) == {"photoMD5": photo.photo_md5}
    path = cached(tmp_path, "metadata", photo.photo_md5, "json")
    assert json.loads(path.read_text()) == {"photoMD5": photo.photo_md5}


def test_what_cannot_be_kept_is_shown_all_the_same(cast: Cast, alice: APIClient, tmp_path: Path, settings: Any) -> None:
    photo = make_shown(cast)
    (tmp_path / "full").write_text("")
    location = str(tmp_path / "full" / "cache")
    settings.STORAGES = {
        **settings.STORAGES,
        "cache": {"BACKEND": "catalog.cache.storage.AtomicFolderStorage", "OPTIONS": {"location": location}},
    }
    for kind in KINDS:
        assert alice.get(at(photo, kind)).status_code == 200, kind


def test_too_many_at_once_are_asked_to_wait(cast: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = make_shown(cast)

    def busy(*_: Any, **__: Any) -> None:
        raise previews.DecoderBusy

    monkeypatch.setattr(previews.OnDemandDecoder, "digest", busy)
    monkeypatch.setattr(previews.OnDemandDecoder, "preview", busy)
    for kind in ("thumbnail", "preview"):
        answer = alice.get(at(photo, kind))
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0


def test_the_decoder_has_a_bounded_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "WAIT_SECONDS", 0.01)
    decoder = previews.OnDemandDecoder()
    entered, leave = threading.Event(), threading.Event()
    first = threading.Thread(target=decoder.work, args=(lambda _: entered.set() or leave.wait(30),))
    first.start()
    try:
        assert entered.wait(30)
        with pytest.raises(previews.DecoderBusy):
            decoder.work(lambda _: pytest.fail("two at once"))
        for _ in range(previews.MOST_WAITING - 1):
            assert decoder._places.acquire(blocking=False)
        with pytest.raises(previews.DecoderBusy):
            decoder.work(lambda _: pytest.fail("one too many"))
    finally:
        leave.set()
        first.join()
        decoder.close()


def test_the_decoder_outlives_the_thread_that_first_asked(cast: Cast, tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(make_jpeg(seed=1))
    decoder = previews.OnDemandDecoder()
    found: list[Any] = []

    def ask() -> None:
        job = Job("1", "1.jpg", lambda: os.open(path, os.O_RDONLY), {"zone": "UTC", "mtime_ns": 1, "size_bytes": 1})
        found.append((decoder.preview(job).picture, decoder.process_ids()))

    try:
        for _ in range(3):  # each thread ends, as those of a web server do when they are idle
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        assert all(picture for picture, _ in found)
        assert found[0][1] == found[1][1] == found[2][1]
        os.kill(found[0][1][0], signal.SIGKILL)
        ask()  # and one that died all the same is replaced
        assert found[3][0]
        assert found[3][1] != found[0][1]
    finally:
        decoder.close()
    assert decoder.process_ids() == []


def test_a_source_is_for_the_library(cast: Cast) -> None:
    assert source_for(cast.library).uri == f"file://{cast.root}"


def test_a_page_of_pictures_is_never_more_than_one_query_each(cast: Cast, alice: APIClient) -> None:
    from django.db import connection

    photo = make_shown(cast)
    client = APIClient()
    client.force_authenticate(cast.bob)
    for kind in KINDS:
        with CaptureQueriesContext(connection) as queries:
            body_of(client.get(at(photo, kind)))
        assert len(queries) == 1, kind
