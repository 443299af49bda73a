"""A folder that brings its catalog along: opened at once, with its ids, and believed no more than a stranger."""

import hashlib
import os
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from catalog.libraries import adding, forget
from catalog.models import Library, Photo
from catalog.scanning.scan import Scan
from catalog.snapshots.pointer import format_pointer
from catalog.snapshots.schema import EntryRow, SnapshotHeader, snapshot_name
from catalog.snapshots.write import write_snapshot
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import facts, scan
from tests.factories import make_jpeg, make_library, make_photo

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    pass


@pytest.fixture
def root(tmp_path, settings) -> Path:
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    root = tmp_path / "photos" / "attic"
    root.mkdir(parents=True)
    for number in range(6):
        file = root / f"{number}.jpg"
        file.write_bytes(make_jpeg(seed=number))
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return root


@pytest.fixture
def travelled(root, alice, settings, own_folders) -> dict:
    """The folder was scanned on another server; this one has never seen it. Returns what that one knew."""
    library = adding.add_library(alice, str(root))
    scan(library)
    known = {"id": library.pk, "facts": facts(library), "md5": library.snapshot_md5}
    forget.forget_library(library)
    Operation.objects.all().delete()
    cache = settings.STORAGES["cache"]
    options = {**cache["OPTIONS"], "location": f"{cache['OPTIONS']['location']}-of-another-server"}
    settings.STORAGES = {**settings.STORAGES, "cache": {**cache, "OPTIONS": options}}
    return known


def begin(library, monkeypatch) -> None:
    """Scan until the walk would begin, as if the server died there."""

    def die(self: Scan) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Scan, "walk", die)
        with pytest.raises(Killed):
            scan(library)


@pytest.mark.promise("S4-002", "S4-005", "S4-051")
def test_all_can_be_browsed_before_a_file_is_read(root, alice, travelled, monkeypatch):
    library = adding.add_library(alice, str(root))
    assert (library.pk, library.adopted_entry_count) == (travelled["id"], 6)
    begin(library, monkeypatch)
    library.refresh_from_db()
    assert library.photo_count == 6
    for photo in Photo.objects.filter(library=library):
        before = travelled["facts"][photo.path]
        assert photo.is_shown
        for name in ("id", "size_bytes", "photo_md5", "head_md5", "width", "height", "taken_local", "taken_source"):
            assert getattr(photo, name) == before[name], name
    Operation.objects.update(state=State.FAILED)
    result = scan(library).result
    assert (result["added"], result["changed"], result["found"]) == (0, 0, 6)
    assert facts(library) == travelled["facts"]
    assert result["snapshot_md5"] == travelled["md5"]


def test_files_that_changed_on_the_way_are_found(root, alice, travelled):
    (root / "1.jpg").write_bytes(make_jpeg(seed=31))
    (root / "2.jpg").unlink()
    (root / "new.jpg").write_bytes(make_jpeg(seed=32))
    library = adding.add_library(alice, str(root))
    scan(library)
    states = dict(Photo.objects.values_list("filename", "state"))
    assert states["2.jpg"] == "missing"
    assert Photo.objects.get(filename="1.jpg").photo_md5 == hashlib.md5(make_jpeg(seed=31)).hexdigest()
    assert Photo.objects.filter(filename="new.jpg").exists()


def test_an_id_that_is_taken_here_is_not_taken_away(root, alice, bob, tmp_path, travelled):
    other = Library.objects.create(pk=travelled["id"], owner=bob, name="His", root=str(tmp_path / "his"))
    taken = next(iter(travelled["facts"].values()))["id"]
    photo = make_photo(other, "his.jpg", on_disk=False, id=taken)
    before = Photo.objects.filter(library=other).values().get()
    library = adding.add_library(alice, str(root))
    assert library.pk != other.pk
    scan(library)
    assert Photo.objects.filter(library=other).values().get() == before
    assert Photo.objects.filter(library=library).count() == 6
    assert not Photo.objects.filter(library=library, pk=photo.pk).exists()


def entry(path: str, **fields) -> EntryRow:
    facts = {
        "path": path,
        "filename": path.rpartition("/")[2] or "x",
        "size_bytes": 10,
        "mtime_ns": 0,
        "head_md5": "0" * 32,
        "photo_md5": "0" * 32,
        "media_type": "image/jpeg",
        "width": 1,
        "height": 1,
        "orientation": 1,
        "taken_at": None,
        "taken_at_source": None,
        "duration_ms": None,
        "rating": None,
        "photo_id": str(uuid4()),
    }
    return EntryRow(**{**facts, **fields})


def plant(root: Path, rows: list[EntryRow], library_id: str, metadata: tuple = ()) -> None:
    """Put a snapshot with these rows into the folder, as somebody might who wants to do harm."""
    with write_snapshot(root, SnapshotHeader(library_id), rows, metadata) as written:
        shutil.copy(written.path, root / snapshot_name(written.md5))
        (root / ".photolala.md5").write_bytes(format_pointer((written.md5,)))


HOSTILE = {
    "a way out": [entry("../../etc/passwd")],
    "an absolute path": [entry("/etc/passwd")],
    "a way out in the middle": [entry("a/../../b.jpg")],
    "an empty part": [entry("a//b.jpg")],
    "a path without end": [entry("d/" * 1500 + "x.jpg")],
    "one photo twice": [entry(name, photo_id="5f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10") for name in ("a.jpg", "b.jpg")],
    "odd values": [
        entry(
            "a.jpg",
            rating=99,
            width=2**40,
            orientation=77,
            taken_at="9999-99-99",
            media_type="x" * 500,
            duration_ms=2**62,
        ),
        entry(
            "b.jpg", taken_at="0001-01-01T00:00:00+23:59", taken_at_source="y" * 99, photo_id="no id", mtime_ns=-(2**62)
        ),
        entry("c.jpg", size_bytes=2**62, photo_md5=None, head_md5=None, media_type=None),
    ],
    "texts that are none": [entry("sur\udcffrogate.jpg".encode("utf-8", "replace").decode()), entry("new\nline.jpg")],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_catalog_does_no_harm(root, alice, bob, tmp_path, case):
    his = make_library(bob, tmp_path / "his")
    make_photo(his, "his.jpg", on_disk=False)
    before = list(Photo.objects.filter(library=his).values())
    plant(root, HOSTILE[case], str(his.pk), (("0" * 32, '{"rating": NaN, "width": "wide", "iso": 1e400}'),))
    library = adding.add_library(alice, str(root))
    assert library.pk != his.pk
    operation = scan(library)
    assert operation.state in (State.COMPLETED, State.FAILED), operation.error
    if operation.state == State.FAILED:  # nearly all of what the catalog named is gone: a person is asked
        assert operation.error_code == "confirm_gone", operation.error
    assert list(Photo.objects.filter(library=his).values()) == before
    assert not Photo.objects.filter(library=library, directory__contains="..").exclude(state="missing").exists()
    assert execute(operation.pk) is None


@pytest.mark.promise("S4-052", "S4-063")
def test_a_truncated_catalog_is_set_aside_and_the_files_are_scanned(root, alice, travelled):
    name = snapshot_name(travelled["md5"])
    (root / name).chmod(0o644)
    os.truncate(root / name, 5000)
    library = adding.add_library(alice, str(root))
    assert library.adopted_entry_count == 0
    assert scan(library).result["added"] == 6
    assert list(root.glob(f"{name}.broken-*"))


def test_a_folder_without_a_catalog_is_as_before(root, alice):
    library = adding.add_library(alice, str(root))
    assert library.adopted_entry_count == 0
    assert scan(library).result["added"] == 6


def test_what_somebody_else_had_in_the_folder_once_is_not_shown_to_who_adds_it(root, alice, bob):
    """The cache still holds bob's catalog of that folder; without one in the folder, alice begins with nothing of his."""
    library = adding.add_library(bob, str(root))
    key = library.pk
    scan(library)
    forget.forget_library(library)
    (root / "0.jpg").unlink()
    for path in root.glob(".photolala*"):
        path.unlink()
    hers = adding.add_library(alice, str(root))
    assert hers.pk != key
    assert scan(hers).result["added"] == 5
    assert not Photo.objects.filter(filename="0.jpg").exists()


def test_the_id_of_a_library_that_was_somebody_elses_is_not_taken_over(root, alice, bob):
    """Under it lie the operations of its former owner."""
    his = adding.add_library(bob, str(root))
    key = his.pk
    scan(his)
    forget.forget_library(his)
    hers = adding.add_library(alice, str(root))
    assert (hers.pk != key, hers.adopted_entry_count) == (True, 6)
    forget.forget_library(hers)
    assert adding.add_library(bob, str(root)).pk == key
