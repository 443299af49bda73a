"""What goes wrong with a bucket: refusals, throttling, silence, streams that break, objects that are replaced."""

import errno
import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    SSLError,
)
from botocore.stub import Stubber

from catalog.sources import s3_copy
from catalog.sources.base import FileChanged, NotARegularFile, SourceUnavailable
from catalog.sources.s3 import HEAD_BYTES, S3Source
from catalog.sources.s3_client import connect
from catalog.sources.s3_errors import Retries
from tests.catalog.sources.s3_bucket import Bucket, refusal

SECRET = "AKIASECRETKEY"
ENDPOINT = f"https://{SECRET}:{SECRET}@server/"
PICTURE = bytes(range(256)) * 20_000  # more than one chunk
SLOW_DOWN = refusal("SlowDown", 503)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket({"a/1.jpg": PICTURE, "a/small.jpg": b"small", "a/empty.jpg": b""})


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(bucket: Bucket, waits: list[float]) -> S3Source:
    return S3Source(bucket, "photos", retries=Retries(sleep=waits.append, draw=lambda: 1.0))


def read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def open_descriptors() -> set[str]:
    """Return what this process has open, but for the folder that is being read."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue
    return found


def facts_of(source: S3Source, path: str) -> tuple[int, int]:
    folder, _, name = path.rpartition("/")
    return {file: (size, mtime) for file, size, mtime in source.list_directory(folder).files}[name]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal("NoSuchBucket", 404, BucketName=SECRET), "no bucket photos"),
        (refusal("AccessDenied", 403), "may not list s3://photos"),
        (refusal("InvalidAccessKeyId", 403, AWSAccessKeyId=SECRET), "PHOTOLALA_S3_ACCESS_KEY"),
        (refusal("SignatureDoesNotMatch", 403, StringToSign=SECRET), "PHOTOLALA_S3_SECRET_KEY"),
        (NoCredentialsError(), "PHOTOLALA_S3_SECRET_KEY"),
        (refusal("RequestTimeTooSkewed", 403), "clock"),
        (refusal("PermanentRedirect", 301, Endpoint=SECRET), "PHOTOLALA_S3_REGION"),
        (refusal("Weird code", 400), "Weirdcode"),
        (EndpointConnectionError(endpoint_url=ENDPOINT), "does not answer"),
        (ConnectTimeoutError(endpoint_url=ENDPOINT), "does not answer"),
        (SSLError(endpoint_url=ENDPOINT, error=SECRET), "certificate"),
        (SLOW_DOWN, "overloaded"),
    ],
)
def test_a_root_that_cannot_be_listed_says_why_and_no_secret(
    source: S3Source, bucket: Bucket, error: Exception, words: str
) -> None:
    for look in (source.check, lambda: list(source.walk()), lambda: source.list_directory("")):
        bucket.failures = [error] * 10
        with pytest.raises(SourceUnavailable, match=words) as raised:
            look()
        assert str(raised.value).endswith("Nothing was changed.")
        assert SECRET not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("NoSuchKey", 404), FileNotFoundError, "not there"),
        (refusal("AccessDenied", 403), PermissionError, "may not read"),
        (refusal("403", 403), PermissionError, "may not read"),
        (refusal("InvalidAccessKeyId", 403, AWSAccessKeyId=SECRET), OSError, "keys"),
        (refusal("InvalidObjectState", 403), PermissionError, "archive"),
        (EndpointConnectionError(endpoint_url=ENDPOINT), OSError, "does not answer"),
        (SLOW_DOWN, OSError, "SlowDown"),
    ],
)
def test_an_object_that_cannot_be_read_says_why_and_no_secret(
    source: S3Source, bucket: Bucket, error: Exception, kind: type[OSError], words: str
) -> None:
    bucket.failures = [error] * 10
    with pytest.raises(kind, match=words) as raised:
        source.open("a/1.jpg")
    assert raised.value.filename == "a/1.jpg"
    assert raised.value.strerror
    assert SECRET not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AccountProblem"])
def test_what_ails_the_whole_bucket_is_not_said_of_one_object(source: S3Source, bucket: Bucket, code: str) -> None:
    bucket.failures = [refusal(code, 403)]
    with pytest.raises(OSError, match=code) as raised:
        source.open("a/1.jpg")
    assert raised.value.errno not in (errno.EACCES, errno.EPERM, errno.ENOENT)


def test_a_bucket_that_is_gone_does_not_make_its_files_gone(source: S3Source, bucket: Bucket) -> None:
    bucket.failures = [refusal("NoSuchBucket", 404)]
    with pytest.raises(OSError, match="bucket is not there") as raised:
        source.open("a/1.jpg")
    assert not isinstance(raised.value, FileNotFoundError)


def test_what_passes_is_waited_for_longer_and_longer(source: S3Source, bucket: Bucket, waits: list[float]) -> None:
    bucket.failures = [
        SLOW_DOWN,
        refusal("InternalError", 500),
        refusal("", 502),
        ConnectTimeoutError(endpoint_url="x"),
    ]
    assert [one.path for one in source.walk()] == ["a", ""]
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_waits_are_drawn_and_end(bucket: Bucket, waits: list[float]) -> None:
    source = S3Source(bucket, "photos", retries=Retries(attempts=9, sleep=waits.append, draw=lambda: 0.0))
    bucket.failures = [SLOW_DOWN] * 100
    with pytest.raises(SourceUnavailable):
        source.check()
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert len(bucket.calls) == 9


def test_a_server_may_ask_for_a_longer_wait_but_not_for_ever(
    source: S3Source, bucket: Bucket, waits: list[float]
) -> None:
    bucket.failures = [
        refusal("SlowDown", 503, {"retry-after": "7"}),
        refusal("SlowDown", 503, {"retry-after": "9999"}),
    ]
    source.check()
    assert waits == [7.0, 60.0]


def test_what_does_not_pass_is_asked_once(source: S3Source, bucket: Bucket, waits: list[float]) -> None:
    bucket.failures = [refusal("AccessDenied", 403)]
    with pytest.raises(PermissionError):
        source.open("a/1.jpg")
    assert not waits
    assert len(bucket.calls) == 1


def test_a_walk_that_breaks_off_in_the_middle_is_no_walk(waits: list[float]) -> None:
    bucket = Bucket({f"{number:02}/1.jpg": b"x" for number in range(30)}, page_keys=10)
    bucket.failures = [None, refusal("AccessDenied", 403)]
    walk = S3Source(bucket, "photos", retries=Retries(sleep=waits.append)).walk()
    seen = []
    with pytest.raises(SourceUnavailable):
        for one in walk:
            seen.append(one.path)
    assert "" not in seen
    assert len(seen) == 9


def test_a_folder_that_cannot_be_listed_to_its_end_is_incomplete(waits: list[float]) -> None:
    bucket = Bucket({f"a/{number}.jpg": b"x" for number in range(6)}, page_keys=3)
    bucket.failures = [None, refusal("AccessDenied", 403)]
    folder = S3Source(bucket, "photos", retries=Retries(sleep=waits.append)).list_directory("a")
    assert [name for name, _, _ in folder.files] == ["0.jpg", "1.jpg", "2.jpg"]
    assert not folder.is_complete
    assert folder.problems[0].kind == "unreadable"


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([["b.jpg", "a.jpg"]], "out of order"),
        ([["a.jpg"], ["a.jpg"]], "out of order"),
        ([["a.jpg"], None], "stops in the middle"),
        ([[]] * 1010, "gives none"),
    ],
)
def test_servers_that_list_nonsense_are_not_believed(pages: list[list[str] | None], words: str) -> None:
    class Liar:
        def list_objects_v2(self, **_: Any) -> dict[str, Any]:
            keys = pages.pop(0)
            facts = {"Size": 1, "ETag": '"x"', "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
            answer = {"IsTruncated": bool(pages), "Contents": [{"Key": key, **facts} for key in keys or ()]}
            return answer | ({"NextContinuationToken": "t"} if not pages or pages[0] is not None else {})

    with pytest.raises(SourceUnavailable, match=words):
        list(S3Source(Liar(), "photos").walk())


@pytest.mark.promise("X-12")
def test_a_copy_is_a_files_likeness_with_the_listed_time(source: S3Source, bucket: Bucket) -> None:
    before = open_descriptors()
    size_bytes, mtime_ns = facts_of(source, "a/1.jpg")
    descriptor = source.open("a/1.jpg", expected=(size_bytes, mtime_ns))
    status = os.fstat(descriptor)
    assert (status.st_size, status.st_mtime_ns) == (size_bytes, mtime_ns)
    assert source.version_of("a/1.jpg")[1:] == (size_bytes, mtime_ns)
    assert source.version_of("a/1.jpg").etag == bucket.facts("a/1.jpg")["ETag"].strip('"')
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    assert read(descriptor) == PICTURE
    assert all(body.is_closed for body in bucket.bodies)
    assert open_descriptors() == before


def test_large_objects_are_copied_to_a_file_without_a_name(bucket: Bucket, tmp_path: Any) -> None:
    source = S3Source(bucket, "photos", memory_bytes=len(PICTURE) - 1, scratch_folder=str(tmp_path))
    descriptor = source.open("a/1.jpg")
    assert os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())
    assert os.fstat(descriptor).st_mtime_ns == facts_of(source, "a/1.jpg")[1]
    assert read(descriptor) == PICTURE
    small = source.open("a/small.jpg")
    assert "memfd:" in os.readlink(f"/proc/self/fd/{small}")
    assert read(small) == b"small"


def test_broken_streams_go_on_where_they_stopped(source: S3Source, bucket: Bucket, waits: list[float]) -> None:
    bucket.breaks = [3_000_001, 0, 1_000_000]
    assert read(source.open("a/1.jpg")) == PICTURE
    etag = bucket.facts("a/1.jpg")["ETag"]
    asked = [(call.get("Range"), call.get("IfMatch")) for call in bucket.calls]
    assert asked == [(None, None), *[("bytes=3000001-", etag)] * 2, ("bytes=4000001-", etag)]
    assert waits == [0.5, 1.0, 0.5]  # the third try brought something, so the count began anew


def test_streams_that_end_early_without_an_error_are_broken_too(source: S3Source, bucket: Bucket) -> None:
    whole = bucket.get_object

    def cut_short(**request: Any) -> dict[str, Any]:
        answer = whole(**request)
        if len(bucket.bodies) == 1:
            answer["Body"].data = answer["Body"].data[:1000]
        return answer

    bucket.get_object = cut_short  # type: ignore[method-assign]
    assert read(source.open("a/1.jpg")) == PICTURE
    assert bucket.calls[1]["Range"] == "bytes=1000-"


def test_servers_without_ranges_are_read_from_the_start_again(source: S3Source, bucket: Bucket) -> None:
    bucket.ignores_ranges = True
    bucket.breaks = [3_000_000]
    assert read(source.open("a/1.jpg")) == PICTURE
    assert read(source.open_head("a/1.jpg")) == PICTURE[:HEAD_BYTES]


def test_streams_that_always_break_are_given_up(source: S3Source, bucket: Bucket, waits: list[float]) -> None:
    before = open_descriptors()
    bucket.breaks = [100] * 1000
    with pytest.raises(OSError, match="broke off") as raised:
        source.open("a/1.jpg")
    assert raised.value.errno == errno.EIO
    assert len(bucket.calls) == 6
    assert open_descriptors() == before


def test_tries_that_bring_something_do_not_count(source: S3Source, bucket: Bucket) -> None:
    bucket.objects["a/film.mov"] = PICTURE * 4
    bucket.breaks = [1_100_000] * 18
    assert read(source.open("a/film.mov")) == PICTURE * 4
    assert len(bucket.calls) > 12


@pytest.mark.parametrize("replace", ["other size", "same size", "gone"])
def test_an_object_replaced_in_the_middle_is_never_mixed(source: S3Source, bucket: Bucket, replace: str) -> None:
    before = open_descriptors()
    bucket.breaks = [2_000_000]

    def meanwhile(number: int) -> None:
        if number == 2 and replace == "gone":
            del bucket.objects["a/1.jpg"]
        elif number == 2:
            bucket.objects["a/1.jpg"] = PICTURE[::-1] + (b"more" if replace == "other size" else b"")

    bucket.before_get = meanwhile
    with pytest.raises(FileNotFoundError if replace == "gone" else FileChanged):
        source.open("a/1.jpg")
    assert open_descriptors() == before


def test_an_object_replaced_on_a_server_without_ranges_is_noticed(source: S3Source, bucket: Bucket) -> None:
    bucket.ignores_ranges, bucket.breaks = True, [2_000_000]

    def meanwhile(number: int) -> None:
        if number == 2:
            bucket.objects["a/1.jpg"] = PICTURE[::-1]

    def without_conditions(get: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        return lambda **request: get(**{name: value for name, value in request.items() if name != "IfMatch"})

    bucket.before_get = meanwhile
    bucket.get_object = without_conditions(bucket.get_object)  # type: ignore[method-assign]
    with pytest.raises(FileChanged):
        source.open("a/1.jpg")


@pytest.mark.promise("X-12")
def test_another_version_than_the_listed_one_is_not_read(source: S3Source, bucket: Bucket) -> None:
    expected = facts_of(source, "a/1.jpg")
    bucket.objects["a/1.jpg"] = PICTURE[::-1]  # the same size in the same second: only the ETag differs
    with pytest.raises(FileChanged):
        source.open("a/1.jpg", expected=expected)
    with pytest.raises(FileChanged):
        source.open_head("a/1.jpg", expected=expected)
    assert all(body.is_closed and not body.position for body in bucket.bodies)


@pytest.mark.promise("S4-036")
def test_a_head_is_no_more_than_that(source: S3Source, bucket: Bucket) -> None:
    expected = facts_of(source, "a/1.jpg")
    descriptor = source.open_head("a/1.jpg", expected=expected)
    assert os.fstat(descriptor).st_mtime_ns == expected[1]
    assert read(descriptor) == PICTURE[:HEAD_BYTES]
    assert bucket.calls[-1]["Range"] == "bytes=0-65535"
    bucket.breaks = [10]
    assert read(source.open_head("a/1.jpg", 100)) == PICTURE[:100]
    assert bucket.calls[-1]["Range"] == "bytes=10-99"
    assert read(source.open_head("a/small.jpg")) == b"small"
    assert read(source.open_head("a/empty.jpg")) == b""
    assert read(source.open("a/empty.jpg")) == b""
    with pytest.raises(ValueError, match="one byte"):
        source.open_head("a/1.jpg", 0)


def test_a_full_disk_is_said_and_not_tried_again(
    source: S3Source, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = open_descriptors()
    monkeypatch.setattr(s3_copy.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        source.open("a/1.jpg")
    monkeypatch.undo()
    assert len(bucket.calls) == 1
    assert open_descriptors() == before


def test_paths_out_of_the_root_are_refused_before_anything_is_asked(source: S3Source, bucket: Bucket) -> None:
    for path in ("../x", "/x", "a//b"):
        with pytest.raises(ValueError, match="below the root"):
            source.open(path)
        with pytest.raises(ValueError, match="below the root"):
            source.list_directory(path)
    with pytest.raises(NotARegularFile):
        source.open("")
    assert not bucket.calls


def test_the_clients_own_errors_are_understood(waits: list[float]) -> None:
    client = connect("http://127.0.0.1:9", "us-east-1", "key", "secret")
    source = S3Source(client, "photos", retries=Retries(sleep=waits.append))
    with Stubber(client) as stub:
        stub.add_client_error("list_objects_v2", "SlowDown", http_status_code=503)
        stub.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)
        with pytest.raises(SourceUnavailable, match="AccessDenied"):
            source.check()
        stub.add_client_error("head_object", "404", http_status_code=404)
        with pytest.raises(FileNotFoundError):
            source.version_of("a.jpg")
        stub.assert_no_pending_responses()
    assert len(waits) == 1


def test_a_server_that_is_not_there_does_not_answer(waits: list[float]) -> None:
    client = connect("http://127.0.0.1:9", "us-east-1", "key", "secret")
    with pytest.raises(SourceUnavailable, match="does not answer"):
        S3Source(client, "photos", retries=Retries(attempts=2, sleep=waits.append)).check()
    assert len(waits) == 1
