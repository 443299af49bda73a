"""One library with everything that hurts: names, links, special files, impossible times, sizes; scanned, starred, moved."""

import contextlib
import os
import socket
import stat
import unicodedata
from pathlib import Path

import pytest

from catalog.edits.ratings import set_ratings
from catalog.models import Library, Photo
from catalog.scanning.scan import Scan
from photolala.lib.paths import escape_path, unescape_path
from tests.catalog.edits.test_ratings import tags_of, write_all
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db
NAMES = [
    b"new\nline.jpg",
    b"not \xff\xfe utf-8.jpg",
    b"x" * 251 + b".jpg",
    unicodedata.normalize("NFC", "Zo\u00eb.jpg").encode(),
    unicodedata.normalize("NFD", "Zo\u00eb.jpg").encode(),
    b"case.jpg",
    b"CASE.jpg",
    b"-rf.jpg",
    b"--help.jpg",
    b" leading and trailing .jpg",
    b"tab\there.jpg",
    b"back\\slash.jpg",
    b'quote\'s "both".jpg',
    b"100%25.jpg",
    "\u202egpj.evil.jpg".encode(),
]
TIMES = {"in 1901.jpg": -(2**31), "in 2107.jpg": 4_354_819_198, "before the epoch.jpg": -1}


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for number, name in enumerate(NAMES):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(make_jpeg(seed=number))
        os.utime(os.fsencode(root) + b"/" + name, (1_600_000_000, 1_600_000_000))
    for number, (name, seconds) in enumerate(TIMES.items()):
        (root / name).write_bytes(make_jpeg(seed=100 + number))
        os.utime(root / name, (seconds, seconds))
    (root / "loop").symlink_to(root)
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(root / "fifo.jpg")
    with contextlib.suppress(PermissionError):  # only root may make devices
        os.mknod(root / "device.jpg", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    here = Path.cwd()
    os.chdir(root)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.jpg")
    finally:
        os.chdir(here)
    return root


@pytest.fixture
def library(alice, root) -> Library:
    return make_library(alice, root)


def paths() -> set[bytes]:
    return {unescape_path(photo.path) for photo in Photo.objects.all()}


def test_every_name_is_a_photo_and_nothing_else_is(library):
    result = scan(library).result
    assert result["added"] == len(NAMES) + len(TIMES)
    assert paths() == {*NAMES, *(name.encode() for name in TIMES)}
    assert result["failed"] == 0
    assert set(Photo.objects.values_list("state", flat=True)) == {"ready"}
    reasons = {problem["path"]: problem["reason"] for problem in result["problems"]}
    assert {"fifo.jpg", "socket.jpg"} <= set(reasons)
    again = scan(library).result
    assert (again["unchanged"], again["added"], again["changed"], again["gone"]) == (len(NAMES) + len(TIMES), 0, 0, 0)


def test_every_name_can_be_rated_in_its_file_and_moved(library, root):
    scan(library)
    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 4)
    assert write_all(library)["written"] == len(NAMES) + len(TIMES)
    assert scan(library).result["changed"] == 0
    ids = dict(Photo.objects.values_list("filename", "pk"))
    (root / "moved").mkdir()
    for name in NAMES:
        os.rename(os.fsencode(root) + b"/" + name, os.fsencode(root) + b"/moved/" + name)
    result = scan(library).result
    assert (result["moved"], result["added"], result["gone"]) == (len(NAMES), 0, 0)
    for name in NAMES:
        photo = Photo.objects.get(directory="moved", filename=escape_path(name))
        assert (photo.pk, photo.rating) == (ids[escape_path(name)], 4)
    assert tags_of(root / "moved" / "case.jpg")["IFD0:Rating"] == 4


def test_times_no_clock_had_date_nothing_wrongly(library):
    scan(library)
    found = {photo.filename: photo for photo in Photo.objects.filter(filename__in=list(TIMES))}
    for name, seconds in TIMES.items():
        assert found[name].mtime_ns == seconds * 1_000_000_000
        assert not found[name].is_dated, name


@pytest.mark.slow
@pytest.mark.one_database
def test_a_sparse_file_of_10_gigabytes_costs_no_memory_and_stops_nothing(library, root):
    with (root / "huge.jpg").open("wb") as file:
        file.write(make_jpeg(seed=500))
        file.truncate(10 * 1024**3)
    os.utime(root / "huge.jpg", (1_600_000_000, 1_600_000_000))
    result = scan(library).result
    assert result["added"] == len(NAMES) + len(TIMES) + 1
    huge = Photo.objects.get(filename="huge.jpg")
    assert huge.size_bytes == 10 * 1024**3
    assert huge.photo_md5 or huge.problem
    assert Photo.objects.filter(state="ready").count() >= len(NAMES) + len(TIMES)


def test_a_file_of_more_than_4_gigabytes_has_a_row_of_every_database(library, root, monkeypatch):
    """What a database could do with such a size, without reading it (the test above does, once)."""
    with (root / "huge.jpg").open("wb") as file:
        file.truncate(10 * 1024**3)
    os.utime(root / "huge.jpg", (1_600_000_000, 1_600_000_000))
    monkeypatch.setattr(Scan, "digest", lambda scan: None)
    scan(library)
    assert Photo.objects.get(filename="huge.jpg").size_bytes == 10 * 1024**3
    assert Photo.objects.filter(size_bytes__gt=2**33).count() == 1
