"""Copies of catalogs in a place of the administrator's choice: written, kept apart, healed, and used when all else is gone."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from catalog.cache.tree import cache
from catalog.history import publish
from catalog.history.compare import diff_kept
from catalog.history.verify import verify
from catalog.models import Library, Photo
from catalog.roots import buckets
from catalog.roots.snapshot_locations import copies_location
from catalog.snapshots.publish import KEEP_COUNT, read_pointer
from catalog.snapshots.schema import snapshot_name
from operations.models import State
from photolala.lib.paths import escape_path
from tests.catalog.history.test_restore import restore, rows, scan
from tests.photos import make_jpeg, make_library

pytestmark = [pytest.mark.django_db, pytest.mark.cache_in_bucket]


@pytest.fixture
def place(settings, tmp_path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    settings.CATALOG_COPIES = f"{folder}/"
    return folder


@pytest.fixture
def library(alice, tmp_path) -> Library:
    root = make_library(tmp_path / "photos", 4)
    return Library.objects.create(owner=alice, name="Family", root=escape_path(os.fsencode(root)), time_zone="UTC")


def pointed_to(library: Library) -> tuple[str, ...]:
    """Return what the pointer of the library's copies names."""
    location = copies_location(library)
    pointer = read_pointer(location) if location else None
    return pointer.md5s if pointer else ()


def lose_catalog(library: Library) -> None:
    """Lose the rows, the snapshots beside the photos and those in the cache."""
    Photo.objects.filter(library=library).delete()
    for path in Path(library.root).glob(".photolala.*"):
        path.unlink()
    folders, _ = cache().listdir("")
    for folder in folders:
        for name in cache().listdir(folder)[1]:
            cache().delete(f"{folder}/{name}")
    Library.objects.filter(pk=library.pk).update(root_has_pointer=False)
    library.refresh_from_db()


def test_each_library_has_its_own_folder_below_its_owners(library, bob, place, tmp_path):
    other = Library.objects.create(owner=bob, name="His", root=str(make_library(tmp_path / "his", 2)), time_zone="UTC")
    for one in (library, other):
        scan(one)
        folder = place / "catalogs" / str(one.owner.pk) / str(one.pk)
        name = snapshot_name(one.snapshot_md5)
        assert {path.name for path in folder.iterdir()} == {".photolala.md5", name}
        assert (folder / ".photolala.md5").read_text().splitlines()[0] == one.snapshot_md5
        assert (folder / name).read_bytes() == (Path(one.root) / name).read_bytes()
        assert one.warning == ""


def test_earlier_ones_are_kept_as_everywhere(library, place, settings):
    settings.KEEP_SNAPSHOTS = (0, 0, 0)
    names = []
    for number in range(KEEP_COUNT + 2):
        make_jpeg(Path(library.root) / "more" / f"{number}.jpg", seed=200 + number)
        scan(library)
        names.insert(0, library.snapshot_md5)
    assert pointed_to(library) == tuple(names[:KEEP_COUNT])


def test_a_place_that_is_away_is_said_never_made_and_caught_up_with(library, place, monkeypatch):
    shutil.rmtree(place)
    result = scan(library).result
    assert "PHOTOLALA_CATALOG_COPIES" in library.warning and library.snapshot_md5 in library.warning
    assert result["snapshot_md5"] == library.snapshot_md5 and not place.exists()
    assert str(place) not in library.warning  # the server's folders are not the owner's to see
    scan(library)
    assert not place.exists()
    place.mkdir()
    monkeypatch.setattr(publish, "write_snapshot", None)  # the one that is there does
    assert scan(library).result["unchanged"] == 4  # nothing changed, but a copy is due
    assert pointed_to(library) == (library.snapshot_md5,)
    assert library.warning == ""


def test_a_place_that_takes_nothing_costs_a_warning_and_no_new_snapshot(library, place, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system")

    scan(library)
    shutil.rmtree(place / "catalogs")
    monkeypatch.setattr(publish, "write_snapshot", None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "makedirs", refuse)
        scan(library)
    assert "Read-only file system" in library.warning and pointed_to(library) == ()
    scan(library)
    assert library.warning == "" and pointed_to(library) == (library.snapshot_md5,)


@pytest.mark.parametrize("where", ["a folder", pytest.param("a bucket", marks=pytest.mark.servers)])
def test_a_catalog_of_which_only_the_copy_is_left_comes_back(library, place, where, request, settings):
    if where == "a bucket":
        request.getfixturevalue("s3_settings")
        bucket = request.getfixturevalue("s3_bucket")
        settings.CATALOG_COPIES = f"s3://{bucket}/backup"
    scan(library)
    before = rows(library)
    if where == "a bucket":
        listed = buckets.bucket_client().list_objects_v2(Bucket=bucket)["Contents"]
        folder = f"backup/catalogs/{library.owner.pk}/{library.pk}"
        expected = {f"{folder}/.photolala.md5", f"{folder}/{snapshot_name(library.snapshot_md5)}"}
        assert expected <= {one["Key"] for one in listed}
    lose_catalog(library)
    operation = restore(library)
    assert operation.state == State.COMPLETED, operation.error
    assert rows(library) == before
    assert (Path(library.root) / snapshot_name(library.snapshot_md5)).exists()


def test_without_any_copy_it_is_said_that_there_is_none(library, place):
    scan(library)
    lose_catalog(library)
    shutil.rmtree(place)
    operation = restore(library)
    assert operation.state == State.FAILED and "copies of catalogs is not there" in operation.error
    assert "nowhere" not in operation.error


def test_a_place_that_is_away_hinders_nothing_else(library, place):
    scan(library)
    first = library.snapshot_md5
    make_jpeg(Path(library.root) / "new.jpg", seed=77)
    scan(library)
    shutil.rmtree(place)
    assert diff_kept(library, first, library.snapshot_md5).added == ["new.jpg"]
    name = snapshot_name(library.snapshot_md5)
    kept = Path(library.root) / name
    kept.chmod(0o644)
    kept.write_bytes(b"damaged")
    verified = verify(library)
    assert verified.problems == ["The place for copies of catalogs is not there, so nothing in it was looked at."]
    assert len(verified.repaired) == 1


def test_verification_heals_the_cache_from_a_copy_and_the_copy_from_the_cache(library, place):
    scan(library)
    name = snapshot_name(library.snapshot_md5)
    whole = (Path(library.root) / name).read_bytes()
    copy = place / "catalogs" / str(library.owner.pk) / str(library.pk) / name
    copy.chmod(0o644)
    copy.write_bytes(b"damaged")
    assert verify(library).problems == []
    assert copy.read_bytes() == whole
    for kept in (Path(library.root) / name,):
        kept.chmod(0o644)
        kept.write_bytes(b"damaged")
    folder = next(one for one in cache().listdir("")[0] if name in cache().listdir(one)[1])
    cache().delete(f"{folder}/{name}")
    assert verify(library).problems == []
    assert (Path(library.root) / name).read_bytes() == whole
