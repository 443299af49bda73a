"""Folders out of keys: the same as a disk with these names would show, whatever the order of bytes and pages does."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.sources.base import Directory
from catalog.sources.local import LocalSource
from catalog.sources.s3 import S3Source
from catalog.sources.s3_keys import KeyTree, bucket_root, key_of, parse_uri, plain_etag, version_time_ns
from tests.catalog.sources.s3_bucket import Bucket

Folders = dict[str, tuple[list[str], list[str], int]]


def folders_of(walked: list[Directory]) -> Folders:
    """Return path -> (files, folders, hidden count); the paths must be distinct."""
    found = {one.path: ([name for name, _, _ in one.files], one.folders, one.hidden_count) for one in walked}
    assert len(found) == len(walked)
    return found


def walk(*keys: str, page_keys: int = 1000) -> list[Directory]:
    return list(S3Source(Bucket({key: key.encode() for key in keys}, page_keys), "photos").walk())


def problems_of(walked: list[Directory]) -> list[str]:
    return [problem.path for one in walked for problem in one.problems]


@pytest.mark.parametrize("page_keys", [1, 2, 1000])
def test_names_that_sort_around_the_slash_stay_in_their_folders(page_keys: int) -> None:
    walked = walk("a b/1.jpg", "a.jpg", "a/2.jpg", "a/b/3.jpg", "a/c.jpg", "a0/4.jpg", "top.jpg", page_keys=page_keys)
    assert folders_of(walked) == {
        "a b": (["1.jpg"], [], 0),
        "a/b": (["3.jpg"], [], 0),
        "a": (["2.jpg", "c.jpg"], ["b"], 0),
        "a0": (["4.jpg"], [], 0),
        "": (["a.jpg", "top.jpg"], ["a", "a b", "a0"], 0),
    }
    assert walked[-1].path == ""


@pytest.mark.parametrize("seed", range(12))
def test_a_bucket_shows_what_a_disk_with_the_same_names_shows(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    names = ["a", "a b", "a.jpg", "a0", "ü", "\ufb01", "😀", "b\\x", ".git", "@eaDir", "Thumbs.db", "%20", "z\x01"]
    files: set[str] = set()
    for _ in range(60):
        parts = [dice.choice(names) for _ in range(dice.randint(1, 4))]
        path = tmp_path.joinpath(*parts)
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * dice.randint(0, 9))
        files.add("/".join(parts))
    bucket = Bucket({f"lib/{path}": (tmp_path / path).read_bytes() for path in files}, dice.choice([1, 3, 1000]))
    bucket.objects |= {"lib0": b"x", "lib ": b"x", "lic/a.jpg": b"x", "a": b"x"}
    source = S3Source(bucket, "photos", "lib")
    with LocalSource(tmp_path) as local:
        on_disk = list(local.walk())
    walked = list(source.walk())
    assert folders_of(walked) == folders_of(on_disk)
    sizes = {one.path_of(name): size for one in on_disk for name, size, _ in one.files}
    assert {one.path_of(name): size for one in walked for name, size, _ in one.files} == sizes
    for one in walked:
        assert source.list_directory(one.path) == one
    assert not problems_of(walked)


def test_markers_make_folders_but_are_no_files() -> None:
    bucket = Bucket(
        {"lib/": b"", "lib/empty/": b"", "lib/a/": b"", "lib/a/1.jpg": b"x", "lib/b": b"", "lib/b/2.jpg": b"x"}
    )
    walked = list(S3Source(bucket, "photos", "lib").walk())
    assert folders_of(walked) == {
        "a": (["1.jpg"], [], 0),
        "b": (["2.jpg"], [], 0),
        "empty": ([], [], 0),
        "": ([], ["a", "b", "empty"], 0),
    }
    assert not problems_of(walked)


def test_a_bucket_without_keys_is_one_empty_folder() -> None:
    assert folders_of(walk()) == {"": ([], [], 0)}


@pytest.mark.parametrize("page_keys", [1, 1000])
@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a//b.jpg", "a//"),
        ("/b.jpg", "/"),
        ("a/../b.jpg", "a/../"),
        ("./b.jpg", "./"),
        ("a/..", "a/.."),
        ("a/n\x00.jpg", "a/n\\x00.jpg"),
        ("n\x00/b.jpg", "n\\x00/"),
        ("a/x/", "a/x/"),
        ("a/2.jpg/b.jpg", "a/2.jpg"),
    ],
)
def test_keys_that_no_disk_could_hold_are_reported_and_the_rest_is_listed(key: str, path: str, page_keys: int) -> None:
    walked = walk("a/1.jpg", "a/2.jpg", "a/9.jpg", key, page_keys=page_keys)
    assert problems_of(walked) == [path]
    (folder,) = [one for one in walked if one.path == "a"]
    assert {"1.jpg", "9.jpg"} <= {name for name, _, _ in folder.files}
    assert folder.is_complete
    source = S3Source(Bucket({key: b"x", "a/1.jpg": b"x", "a/2.jpg": b"x", "a/9.jpg": b"x"}, page_keys), "photos")
    parent = path.removesuffix("/").rpartition("/")[0]
    if key != "a/x/":
        assert [problem.path for problem in source.list_directory(parent).problems] == [path]


def test_many_odd_names_are_counted_not_listed() -> None:
    (root,) = walk(*(f"{number}\x00.jpg" for number in range(50)))
    assert len(root.problems) == 21
    assert "30 more names" in root.problems[-1].reason


def test_left_out_folders_are_jumped_over_not_paged_through() -> None:
    keys = [f"a/.thumbnails/{number:04}.jpg" for number in range(500)] + ["a/.thumbnails0.jpg", "a/1.jpg", "b.jpg"]
    keys += [f"a//{number}.jpg" for number in range(300)]
    bucket = Bucket(dict.fromkeys(keys, b"x"), page_keys=10)
    walked = list(S3Source(bucket, "photos").walk())
    assert folders_of(walked) == {"a": (["1.jpg"], [], 2), "": (["b.jpg"], ["a"], 0)}
    assert problems_of(walked) == ["a//"]
    assert len(bucket.calls) < 6


def test_only_the_folders_on_the_way_are_held() -> None:
    tree = KeyTree()
    for number in range(1000):
        finished = tree.add(f"{number:04}/deep/er/1.jpg", 1, 1)
        assert [one.path for one in finished][-1:] == ([f"{number - 1:04}"] if number else [])
        assert len(finished) <= 3


def test_unwanted_names_are_not_listed() -> None:
    bucket = Bucket({"a.jpg": b"x", "b.txt": b"x"})
    (root,) = S3Source(bucket, "photos", wanted=lambda name: name.endswith(".jpg")).walk()
    assert [name for name, _, _ in root.files] == ["a.jpg"]


@pytest.mark.parametrize(
    ("uri", "canonical", "key_prefix"),
    [
        ("s3://photos", "s3://photos", ""),
        ("s3://photos/", "s3://photos", ""),
        ("s3://photos/a b/ü", "s3://photos/a b/ü", "a b/ü/"),
        ("s3://photos/a/", "s3://photos/a", "a/"),
        (r"s3://photos/a\\b", r"s3://photos/a\\b", "a\\b/"),
    ],
)
def test_a_root_has_one_uri(uri: str, canonical: str, key_prefix: str) -> None:
    root = parse_uri(uri)
    assert (root.uri, root.key_prefix) == (canonical, key_prefix)
    assert parse_uri(root.uri) == root


@pytest.mark.parametrize(
    "uri", ["/photos", "s3://", "s3://a", "s3:///x", "s3://photos//a", "s3://photos/a/../b", r"s3://photos/\xff"]
)
def test_what_names_no_bucket_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket/prefix|UTF-8"):
        parse_uri(uri)


def test_roots_know_what_lies_in_them() -> None:
    whole, photos, other = bucket_root("one", ""), bucket_root("one", "photos"), bucket_root("one", "photos2")
    assert photos.is_within(whole)
    assert photos.is_within(photos)
    assert not whole.is_within(photos)
    assert not other.is_within(photos)
    assert not photos.is_within(bucket_root("two", ""))


@pytest.mark.parametrize("path", ["/a", "a//b", "..", "a/../b", "a/", r"\x00", r"\xff"])
def test_paths_out_of_the_root_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"below the root|UTF-8"):
        key_of(path)


@pytest.mark.promise("X-12")
def test_the_time_tells_versions_apart_and_servers_fractions_do_not() -> None:
    second = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    first = version_time_ns(second, "abc")
    assert first == version_time_ns(second + timedelta(milliseconds=999), "abc")
    assert first // 10**9 == int(second.timestamp())
    assert first != version_time_ns(second, "abd")
    assert first // 10**9 == version_time_ns(second, "abd") // 10**9
    assert version_time_ns(second, "") == int(second.timestamp()) * 10**9
    assert version_time_ns(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC), "") == -(10**9)


def test_etags_are_plain() -> None:
    assert [plain_etag(text) for text in ('"a-3"', 'W/"a"', "a", None)] == ["a-3", "a", "a", ""]
