"""A library in a bucket of a real S3 server: what is listed and read there."""

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.sources.base import Directory, FileChanged, SourceUnavailable
from catalog.sources.s3 import S3Source
from catalog.sources.s3_client import connect
from catalog.sources.s3_errors import Retries
from tests.photos import make_jpeg

pytestmark = pytest.mark.servers

NAMES = [
    "a b/1.jpg",
    "a.jpg",
    "a/1.jpg",
    "a/ü/2.jpg",
    "ﬁ/😀.jpg",
    "b\\x.jpg",
    "pct%20 +&=?#.jpg",
    "ctl\x01\n.jpg",
    "e\u0301.jpg",
]


@pytest.fixture
def client(s3_environment: dict[str, str]) -> Iterator[Any]:
    names = ("ENDPOINT", "REGION", "ACCESS_KEY", "SECRET_KEY")
    client = connect(*(s3_environment[f"PHOTOLALA_S3_{name}"] for name in names))
    yield client
    client.close()


def put(client: Any, bucket: str, *keys: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=key.encode()), keys))


def paths_in(walked: list[Directory]) -> list[str]:
    return [one.path_of(name) for one in walked for name, _, _ in one.files]


def read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


@pytest.mark.promise("S4-009")
def test_a_prefix_is_listed_and_read_whatever_its_names(client: Any, s3_bucket: str) -> None:
    put(client, s3_bucket, *(f"my photos/{name}" for name in NAMES), "my photos2/x.jpg", "my photos", "x.jpg")
    source = S3Source(client, s3_bucket, "my photos")
    source.check()
    walked = list(source.walk())
    assert len(paths_in(walked)) == len(NAMES)
    assert not [problem for one in walked for problem in one.problems]
    read_back = set()
    for one in walked:
        assert source.list_directory(one.path) == one
        for name, size_bytes, mtime_ns in one.files:
            path = one.path_of(name)
            descriptor = source.open(path, expected=(size_bytes, mtime_ns))
            status = os.fstat(descriptor)
            assert (status.st_size, status.st_mtime_ns) == (size_bytes, mtime_ns)
            assert abs(mtime_ns / 1e9 - time.time()) < 3600
            read_back.add(read(descriptor).decode())
    assert read_back == {f"my photos/{name}" for name in NAMES}
    assert source.uri == f"s3://{s3_bucket}/my photos"
    assert source.root_md5 == hashlib.md5(source.uri.encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.promise("S4-009", "S4-012")
def test_more_keys_than_a_page_and_one_that_vanishes_in_mid_walk(client: Any, s3_bucket: str) -> None:
    keys = [f"{number % 7}/{number:04}.jpg" for number in range(1050)]
    put(client, s3_bucket, *keys)
    source = S3Source(client, s3_bucket)
    walk = source.walk()
    walked = [next(walk)]
    assert walked[0].path == "0"
    client.delete_object(Bucket=s3_bucket, Key="6/1049.jpg")  # on the second page
    client.delete_object(Bucket=s3_bucket, Key="0/0000.jpg")  # listed already
    walked += walk
    assert sorted(paths_in(walked)) == sorted(set(keys) - {"6/1049.jpg"})
    assert walked[-1].folders == [str(number) for number in range(7)]
    with pytest.raises(FileNotFoundError):
        source.open("0/0000.jpg")
    with pytest.raises(FileNotFoundError):
        source.open_head("0/0000.jpg")
    with pytest.raises(FileNotFoundError):
        source.version_of("0/0000.jpg")
    assert source.list_directory("8").files == []


def test_keys_that_no_disk_could_hold_are_reported(client: Any, s3_bucket: str) -> None:
    put(client, s3_bucket, "a//1.jpg", "../2.jpg", "/3.jpg", "a/4.jpg", "a/4.jpg/5.jpg", "full/")
    client.put_object(Bucket=s3_bucket, Key="empty/", Body=b"")
    source = S3Source(client, s3_bucket)
    walked = list(source.walk())
    problems = {problem.path for one in walked for problem in one.problems}
    assert problems == {"a//", "../", "/", "a/4.jpg", "full/"}
    assert paths_in(walked) == ["a/4.jpg/5.jpg"]
    assert [one.path for one in walked] == ["a/4.jpg", "a", "empty", "full", ""]
    assert [source.list_directory(one.path) for one in walked] == walked


@pytest.mark.promise("X-12")
def test_heads_and_replaced_objects(client: Any, s3_bucket: str) -> None:
    body = os.urandom(200_000)
    client.put_object(Bucket=s3_bucket, Key="p/film.mov", Body=body)
    client.put_object(Bucket=s3_bucket, Key="p/empty.jpg", Body=b"")
    source = S3Source(client, s3_bucket, "p")
    facts = {name: (size, mtime) for name, size, mtime in source.list_directory("").files}
    descriptor = source.open_head("film.mov", expected=facts["film.mov"])
    assert os.fstat(descriptor).st_mtime_ns == facts["film.mov"][1]
    assert read(descriptor) == body[:65_536]
    assert read(source.open_head("empty.jpg", expected=facts["empty.jpg"])) == b""
    assert source.version_of("film.mov") == (hashlib.md5(body).hexdigest(), *facts["film.mov"])
    client.put_object(Bucket=s3_bucket, Key="p/film.mov", Body=body[::-1])
    with pytest.raises(FileChanged):
        source.open("film.mov", expected=facts["film.mov"])
    assert facts_differ(source, facts)


def facts_differ(source: S3Source, facts: dict[str, tuple[int, int]]) -> bool:
    now = {name: (size, mtime) for name, size, mtime in source.list_directory("").files}
    return now["film.mov"] != facts["film.mov"] and now["empty.jpg"] == facts["empty.jpg"]


@pytest.mark.promise("X-12")
def test_a_broken_transfer_goes_on_with_the_same_version(client: Any, s3_bucket: str) -> None:
    body = os.urandom(3_000_000)
    client.put_object(Bucket=s3_bucket, Key="film.mov", Body=body)
    asked = []

    class Flaky:
        """The real client, but the first stream ends after a million bytes."""

        def get_object(self, **request: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.get_object(**request)
            asked.append(request.get("Range"))
            if len(asked) == 1:
                answer["Body"] = Short(answer["Body"], 1_000_000)
            return answer

    class Short:
        def __init__(self, body: Any, left: int) -> None:
            self.body, self.left = body, left

        def read(self, amount: int) -> bytes:
            chunk: bytes = self.body.read(min(amount, self.left))
            self.left -= len(chunk)
            return chunk

        def close(self) -> None:
            self.body.close()

    source = S3Source(Flaky(), s3_bucket, retries=Retries(sleep=lambda seconds: None))
    assert read(source.open("film.mov")) == body
    assert asked == [None, "bytes=1000000-"]


def test_the_decoder_takes_copies_and_finds_the_listed_time(client: Any, s3_bucket: str, tmp_path: Path) -> None:
    picture = make_jpeg(tmp_path / "a.jpg").read_bytes()
    client.put_object(Bucket=s3_bucket, Key="a.jpg", Body=picture)
    source = S3Source(client, s3_bucket)
    ((name, size_bytes, mtime_ns),) = source.list_directory("").files
    with DecoderPool(1) as pool:
        ((_, result),) = pool.digest([Job(name, name, lambda: source.open(name))])
    assert result.photo_md5 == hashlib.md5(picture).hexdigest()
    assert (result.size_bytes, result.mtime_ns) == (size_bytes, mtime_ns)
    assert result.thumbnail


def test_roots_that_are_not_there(client: Any, s3_environment: dict[str, str], s3_bucket: str) -> None:
    with pytest.raises(SourceUnavailable, match="no bucket"):
        S3Source(client, "test-of-no-such-bucket").check()
    stranger = connect(
        s3_environment["PHOTOLALA_S3_ENDPOINT"], "us-east-1", s3_environment["PHOTOLALA_S3_ACCESS_KEY"], "wrong"
    )
    with pytest.raises(SourceUnavailable, match="does not accept") as raised:
        S3Source(stranger, s3_bucket).check()
    assert s3_environment["PHOTOLALA_S3_ACCESS_KEY"] not in str(raised.value)
    S3Source(client, s3_bucket, "nothing/here").check()
    assert [one.path for one in S3Source(client, s3_bucket, "nothing/here").walk()] == [""]
