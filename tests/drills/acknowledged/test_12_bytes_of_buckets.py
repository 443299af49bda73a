"""Point 12: what comes from a bucket is compared with what the bucket says of it, and is not believed if it differs."""

import hashlib
from typing import Any

import pytest

from catalog.libraries import adding
from catalog.models import Library, Photo
from catalog.roots import buckets
from catalog.scanning import requests
from catalog.scanning.rebuild import start_rebuild
from catalog.sources.s3_errors import Retries
from operations.control import resume
from operations.models import Operation
from operations.running import execute
from tests.catalog.sources.s3_bucket import WritableBucket, flipped, refusal
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db
COUNT = 30


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, settings: Any) -> WritableBucket:
    bucket = WritableBucket({f"pics/{number % 3}/{number:03}.jpg": make_jpeg(seed=number) for number in range(COUNT)})
    monkeypatch.setattr(buckets, "bucket_client", lambda: bucket)
    monkeypatch.setattr(
        Retries.__init__, "__defaults__", (*Retries.__init__.__defaults__[:3], lambda seconds: None, lambda: 1.0)
    )
    settings.PHOTO_ROOTS = ["s3://photos"]
    return bucket


@pytest.fixture
def library(alice: Any, bucket: WritableBucket) -> Library:
    return adding.add_library(alice, "s3://photos/pics")


def scan(library: Library, **params: bool) -> Operation:
    operation = execute(requests.start_scan(library, library.owner, **params).pk)
    assert operation is not None
    library.refresh_from_db()
    return operation


def rebuild(library: Library) -> Operation:
    operation = execute(start_rebuild(library, library.owner, full=True, enqueue=False).pk)
    assert operation is not None
    return operation


def is_photo(request: dict[str, Any]) -> bool:
    return request["Key"].endswith(".jpg")


def wrong(library: Library, bucket: WritableBucket) -> list[str]:
    """Return the photos whose MD5 in the catalog is not that of the object."""
    md5s = {key: hashlib.md5(data).hexdigest() for key, data in bucket.objects.items()}
    rows = Photo.objects.filter(library=library).exclude(photo_md5="")
    return [photo.path for photo in rows if md5s[f"pics/{photo.path}"] != photo.photo_md5]


def without_md5(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "ServerSideEncryption": "aws:kms"}


@pytest.mark.parametrize("verb", [scan, rebuild])
def test_a_flipped_byte_in_each_first_transfer_is_no_photo(library: Library, bucket: WritableBucket, verb: Any) -> None:
    seen: set[str] = set()

    def flip_once(name: str, request: dict[str, Any], answer: Any) -> Any:
        if name != "get" or not is_photo(request) or "Range" in request or request["Key"] in seen:
            return answer
        seen.add(request["Key"])
        return flipped(answer)

    if verb is rebuild:
        assert scan(library).state == "completed"
    bucket.fault = flip_once
    assert verb(library).state == "completed"
    assert len(seen) == COUNT
    assert not wrong(library, bucket)
    assert Photo.objects.filter(library=library, state="ready").count() == COUNT


def test_bytes_that_are_always_wrong_stop_the_scan_and_nothing_of_them_is_noted(
    library: Library, bucket: WritableBucket
) -> None:
    bucket.fault = lambda name, request, answer: (
        flipped(answer) if name == "get" and is_photo(request) and "Range" not in request else answer
    )
    stopped = scan(library)
    assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    assert "ETag" in stopped.error
    assert not wrong(library, bucket)
    bucket.fault = lambda name, request, answer: answer
    assert scan(library).state == "completed"
    assert Photo.objects.filter(library=library, state="ready").count() == COUNT


@pytest.mark.parametrize("verb", [scan, rebuild])
def test_wrong_md5s_of_earlier_versions_are_healed(library: Library, bucket: WritableBucket, verb: Any) -> None:
    assert scan(library).state == "completed"
    for photo in Photo.objects.filter(library=library)[:7]:
        Photo.objects.filter(pk=photo.pk).update(photo_md5=hashlib.md5(photo.filename.encode()).hexdigest())
    assert len(wrong(library, bucket)) == 7
    ids = set(Photo.objects.values_list("pk", flat=True))
    done = verb(library)
    assert done.state == "completed"
    assert not wrong(library, bucket)
    assert set(Photo.objects.values_list("pk", flat=True)) == ids
    bucket.calls.clear()
    assert scan(library).result["changed"] == 0
    assert not [call for call in bucket.calls if "Key" in call and is_photo(call)]


def test_etags_of_encrypted_objects_are_no_md5s(library: Library, bucket: WritableBucket) -> None:
    def encrypted(name: str, request: dict[str, Any], answer: Any) -> Any:
        if name in ("get", "head") and is_photo(request):
            return without_md5(flipped(answer) if name == "get" and "Range" not in request else answer)
        return answer

    bucket.fault = encrypted
    assert scan(library).state == "completed"
    assert len(wrong(library, bucket)) == COUNT  # as far as this test's trick goes: nobody can compare them
    bucket.calls.clear()
    assert scan(library).result["changed"] == 0
    assert 0 < len([call for call in bucket.calls if "Key" in call and is_photo(call)]) <= 16


def refuse_photos(name: str, request: dict[str, Any], answer: Any) -> Any:
    if name == "get" and is_photo(request):
        raise refusal("AccessDenied", 403)
    return answer


def test_a_rebuild_without_the_right_to_read_breaks_no_photo(library: Library, bucket: WritableBucket) -> None:
    assert scan(library).state == "completed"
    before = sorted(Photo.objects.values_list("pk", "photo_md5", "state"))
    bucket.fault = refuse_photos
    stopped = rebuild(library)
    assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    assert "AccessDenied" in stopped.error and "8 files in a row" in stopped.error
    assert sorted(Photo.objects.values_list("pk", "photo_md5", "state")) == before
    bucket.fault = lambda name, request, answer: answer
    resume(stopped)
    done = execute(stopped.pk)
    assert done is not None and done.state == "completed"
    assert sorted(Photo.objects.values_list("pk", "photo_md5", "state")) == before


def test_a_first_scan_without_the_right_to_read_notes_nothing(library: Library, bucket: WritableBucket) -> None:
    bucket.fault = refuse_photos
    stopped = scan(library)
    assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    assert not Photo.objects.exists()


def test_a_folder_that_may_not_be_read_stops_no_scan(library: Library, bucket: WritableBucket) -> None:
    def refuse_folder(name: str, request: dict[str, Any], answer: Any) -> Any:
        return refuse_photos(name, request, answer) if "/0/" in request.get("Key", "") else answer

    bucket.fault = refuse_folder
    for _ in range(2):
        assert scan(library).state == "completed"
        assert Photo.objects.filter(directory="0", state="broken").count() == COUNT // 3
        assert Photo.objects.filter(state="ready").count() == COUNT - COUNT // 3


def test_a_rebuild_that_would_break_a_fifth_asks(library: Library, bucket: WritableBucket) -> None:
    assert scan(library).state == "completed"
    before = sorted(Photo.objects.values_list("pk", "photo_md5", "state"))
    denied = {f"pics/{number % 3}/{number:03}.jpg" for number in range(0, COUNT, 4)}

    def refuse_some(name: str, request: dict[str, Any], answer: Any) -> Any:
        return refuse_photos(name, request, answer) if request.get("Key") in denied else answer

    bucket.fault = refuse_some
    asked = rebuild(library)
    assert (asked.state, asked.error_code) == ("failed", "confirm_gone")
    assert asked.result["broken"] == len(denied)
    assert sorted(Photo.objects.values_list("pk", "photo_md5", "state")) == before
    resume(asked, confirm_gone=True)
    done = execute(asked.pk)
    assert done is not None and done.state == "completed"
    assert Photo.objects.filter(state="broken").count() == len(denied)
    bucket.fault = lambda name, request, answer: answer
    assert scan(library).state == "completed"
    assert sorted(Photo.objects.values_list("pk", "photo_md5", "state")) == before


def test_the_pointer_is_read_with_as_many_tries_as_photos(library: Library, bucket: WritableBucket) -> None:
    assert scan(library).state == "completed"
    failures = iter([refusal("SlowDown", 503)] * 4)

    def slow(name: str, request: dict[str, Any], answer: Any) -> Any:
        if name == "get" and request["Key"].endswith(".photolala.md5") and (failure := next(failures, None)):
            raise failure
        return answer

    bucket.fault = slow
    assert scan(library).state == "completed"
    assert next(failures, None) is None
