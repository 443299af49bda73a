"""A library whose folder lies elsewhere now keeps its photos; a folder that is another one is refused."""

import os
import shutil
from pathlib import Path

import pytest

from catalog.history.copies import opened
from catalog.libraries import adding
from catalog.libraries.relocate import relocate
from catalog.models import Favourite, Library, Photo
from catalog.roots.folders import LibraryRefused
from catalog.scanning.requests import start_scan
from operations.models import Operation
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(tmp_path, settings) -> Path:
    settings.PHOTO_ROOTS = [str(tmp_path / "disks")]
    return tmp_path / "disks"


@pytest.fixture
def library(alice, home) -> Library:
    root = home / "old"
    root.mkdir(parents=True)
    for number in range(5):
        (root / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
        os.utime(root / f"{number}.jpg", (1_600_000_000, 1_600_000_000))
    library = adding.add_library(alice, str(root))
    scan(library)
    return library


def ids() -> dict:
    return dict(Photo.objects.values_list("filename", "pk"))


def scanned() -> Operation:
    """Run the scan that the new place asked for."""
    operation = execute(Operation.objects.get(kind="scan", state="pending").pk)
    assert operation is not None
    return operation


def test_everything_stays_and_nothing_is_read_again(library, home, alice):
    Favourite.objects.create(user=alice, photo=Photo.objects.first())
    before = ids()
    snapshot = library.snapshot_md5
    (home / "old").rename(home / "new")
    moved = relocate(library, alice, str(home / "new"))
    assert moved.root == str(home / "new")
    with opened(moved, snapshot) as (kept,):
        assert kept.entry_count == 5
    result = scanned().result
    assert (result["unchanged"], result["added"], result["changed"], result["gone"]) == (5, 0, 0, 0)
    assert ids() == before
    assert Favourite.objects.count() == 1


def test_a_copy_without_the_catalog_is_known_by_its_files(library, home, alice):
    before = ids()
    shutil.copytree(home / "old", home / "copy", ignore=shutil.ignore_patterns(".photolala*"))
    shutil.rmtree(home / "old")
    moved = relocate(library, alice, str(home / "copy"))
    assert not moved.root_has_pointer
    assert scanned().result["gone"] == 0
    assert ids() == before


def test_the_snapshots_in_the_cache_are_found_again(library, home, alice):
    snapshot = library.snapshot_md5
    shutil.copytree(home / "old", home / "copy", ignore=shutil.ignore_patterns(".photolala*"))
    moved = relocate(library, alice, str(home / "copy"))
    with opened(moved, snapshot) as (kept,):
        assert kept.md5 == snapshot


def test_what_is_not_the_library_is_refused(library, home, alice, bob, tmp_path, monkeypatch):
    root = library.root
    other = home / "other"
    other.mkdir()
    (other / "x.jpg").write_bytes(make_jpeg(seed=9))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(home / "old", elsewhere)
    for folder, words in (
        (other, "does not look like"),
        (home / "nothing", "no folder"),
        (elsewhere, "not among those"),
        (home / "old", "already"),
    ):
        with pytest.raises(LibraryRefused, match=words):
            relocate(library, alice, str(folder))
    shutil.copytree(home / "old", home / "his", ignore=shutil.ignore_patterns(".photolala*"))
    Library.objects.create(owner=bob, name="His", root=str(home / "his"))
    with pytest.raises(LibraryRefused, match="not free"):
        relocate(library, alice, str(home / "his"))
    shutil.copytree(home / "old", home / "copy")
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    start_scan(library, alice)
    with pytest.raises(LibraryRefused, match="being scanned"):
        relocate(library, alice, str(home / "copy"))
    library.refresh_from_db()
    assert library.root == root
