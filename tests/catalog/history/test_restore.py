"""Restoring a snapshot: ids, ratings and dates come back, nothing is half done wherever it is killed."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.cache import tree
from catalog.entries import counts
from catalog.history import publish, switch
from catalog.history import rows as history_rows
from catalog.history.compare import diff_kept
from catalog.history.copies import root_md5
from catalog.history.restore import start_restore
from catalog.models import Favourite, Library, Photo, PhotoMetadata, Snapshot
from catalog.roots.snapshot_locations import cache_location, root_location
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import snapshot_name
from operations.models import Operation, State
from operations.running import AlreadyActive, execute, start
from photolala.lib.paths import escape_path
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "photos"
    for number in range(6):
        make_jpeg(root / "2024" / f"{number}.jpg", seed=number, mtime=1_500_000_000 + number)
    return root


@pytest.fixture
def library(alice, root) -> Library:
    library = Library.objects.create(
        owner=alice, name="Family", root=escape_path(os.fsencode(root)), time_zone="Europe/Berlin"
    )
    scan(library)
    return library


def scan(library, **params):
    params = {"library": str(library.pk), **params}
    operation = execute(start("scan", library.owner, active_key=library.scan_key, params=params, enqueue=False).pk)
    library.refresh_from_db()
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return operation


def restore(library, md5=""):
    operation = execute(start_restore(library, library.owner, md5, enqueue=False).pk)
    library.refresh_from_db()
    return operation


def rows(library):
    """What a snapshot says of the catalog as it is now."""
    return list(history_rows.entry_rows(library))


def change_much(library, root):
    """Another content, a removed file, a new one, a moved one, two exchanged names, a rating; then a scan."""
    make_jpeg(root / "2024" / "0.jpg", seed=100, mtime=1_600_000_000)
    (root / "2024" / "1.jpg").unlink()
    make_jpeg(root / "new.jpg", seed=101)
    (root / "2024" / "2.jpg").rename(root / "moved.jpg")
    (root / "2024" / "3.jpg").rename(root / "swap")
    (root / "2024" / "4.jpg").rename(root / "2024" / "3.jpg")
    (root / "swap").rename(root / "2024" / "4.jpg")
    make_jpeg(root / "2024" / "2.jpg", seed=102)  # a new photo where the moved one lay
    scan(library, confirm_gone=True)
    Photo.objects.filter(library=library, filename="5.jpg").update(rating=4)
    counts.bump_revision(library)
    scan(library)


@pytest.mark.promise("S2-039")
def test_the_catalog_comes_back_as_the_snapshot_has_it(library, root):
    first, before = library.snapshot_md5, rows(library)
    bodies = dict(PhotoMetadata.objects.values_list("photo_id", "body"))
    change_much(library, root)
    second, after = library.snapshot_md5, rows(library)
    assert before != after
    operation = restore(library, first)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    assert rows(library) == before  # ids, paths, ratings, dates
    assert (library.snapshot_md5, library.snapshot_revision) == (first, library.revision)
    known = PhotoMetadata.objects.exclude(photo__state=Photo.State.MISSING)
    assert dict(known.values_list("photo_id", "body")) == bodies
    for location in (root_location(library), cache_location(root_md5(library))):
        assert read_pointer(location).md5s[:2] == (first, second)  # what was the latest stays as the backup
    waiting = Photo.objects.filter(needs_digest=True)
    assert library.photo_count == 6 and [photo.path for photo in waiting] == [
        "2024/0.jpg"
    ]  # such bytes are here no more
    photo = Photo.objects.get(filename="0.jpg")
    assert (photo.camera_make, photo.state, photo.is_shown) == ("Canon", Photo.State.SURVEYED, True)
    assert photo.taken_at.isoformat() == "2024-05-17T10:00:00+00:00"
    restore(library, second)
    assert rows(library) == after


def test_a_scan_after_a_restore_finds_the_files_as_they_are_and_keeps_ids_and_favourites(library, root, alice):
    first = library.snapshot_md5
    change_much(library, root)
    present = {row[0]: (row[5], row[-1]) for row in rows(library)}
    in_place_of_moved = Photo.objects.get(directory="2024", filename="2.jpg")
    Favourite.objects.create(user=alice, photo=in_place_of_moved, rating=5)
    restore(library, first)
    in_place_of_moved.refresh_from_db()
    assert in_place_of_moved.state == Photo.State.MISSING  # its place belongs to another photo again
    scan(library, confirm_gone=True)
    assert {row[0]: (row[5], row[-1]) for row in rows(library)} == present
    assert Favourite.objects.get().photo.path == "2024/2.jpg"


def test_thumbnails_that_are_not_cached_are_asked_for(library, root):
    first = library.snapshot_md5
    lost = Photo.objects.get(filename="0.jpg").photo_md5
    make_jpeg(root / "2024" / "0.jpg", seed=100, mtime=1_600_000_000)
    scan(library)
    tree.cache().delete(tree.thumbnail_name(lost))
    restore(library, first)
    photo = Photo.objects.get(filename="0.jpg")
    assert (photo.needs_digest, photo.has_thumbnail, photo.state) == (True, False, Photo.State.SURVEYED)
    scan(library)
    photo.refresh_from_db()
    assert photo.state == Photo.State.READY and photo.photo_md5 != lost


def steps():
    """The points after which a restore may be killed: module, name, and whether the new catalog stands by then."""
    return [
        (switch, "planned", False),
        (switch, "_leave_places", False),
        (switch, "_update", False),
        (counts, "bump_revision", False),
        (counts, "refresh_counts", False),
        (publish, "publish_written", True),
        (publish, "mark_present", True),
    ]


@pytest.mark.promise("S2-051")
@pytest.mark.parametrize(("module", "name", "is_new"), steps(), ids=lambda value: value if type(value) is str else None)
def test_killed_anywhere_it_leaves_the_old_or_the_new_catalog_and_goes_on(
    library, root, monkeypatch, module, name, is_new
):
    first, before = library.snapshot_md5, rows(library)
    change_much(library, root)
    after = rows(library)
    operation = start_restore(library, library.owner, first, enqueue=False)

    def die(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, name, die)
        execute(operation.pk)
    assert rows(library) == (before if is_new else after)
    library.refresh_from_db()
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    finished = execute(operation.pk)
    library.refresh_from_db()
    assert finished.state == State.COMPLETED, (finished.error, finished.error_detail)
    assert rows(library) == before and library.snapshot_md5 == first
    assert read_pointer(root_location(library)).md5s[0] == first


def test_a_worker_that_lost_its_claim_changes_nothing(library, root, monkeypatch):
    first = library.snapshot_md5
    change_much(library, root)
    after = rows(library)
    operation = start_restore(library, library.owner, first, enqueue=False)
    look = switch.Switch.look_for_thumbnails

    def lose(self):
        look(self)
        Operation.objects.filter(pk=operation.pk).update(token=99)

    monkeypatch.setattr(switch.Switch, "look_for_thumbnails", lose)
    execute(operation.pk)
    library.refresh_from_db()
    assert rows(library) == after and library.snapshot_md5 != first


@pytest.mark.promise("S4-062")
def test_without_a_name_the_latest_usable_snapshot_is_taken_and_a_damaged_one_is_kept_aside(library, root):
    first, before = library.snapshot_md5, rows(library)
    make_jpeg(root / "new.jpg", seed=101)
    scan(library)
    name = snapshot_name(library.snapshot_md5)
    for location in (root_location(library), cache_location(root_md5(library))):
        with location.open(name) as file:
            content = file.read()
        location.put_bytes(name, content[:-100])
    operation = restore(library)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    assert rows(library) == before and library.snapshot_md5 == first
    assert list(root.glob(".photolala.*.broken-*"))


def test_a_catalog_whose_rows_were_lost_comes_back(library):
    before, md5 = rows(library), library.snapshot_md5
    PhotoMetadata.objects.all().delete()
    Photo.objects.all().delete()
    operation = restore(library)
    assert operation.result["added"] == 6
    assert rows(library) == before and library.snapshot_md5 == md5
    assert Photo.objects.filter(state=Photo.State.READY, has_thumbnail=True).count() == 6
    assert PhotoMetadata.objects.count() == 6


def test_no_snapshot_leaves_the_catalog_and_says_so(library, root):
    before = rows(library)
    operation = restore(library, "0" * 32)
    assert (operation.state, operation.error_code) == (State.FAILED, "snapshot_unusable")
    assert "does not hold it" in operation.error and rows(library) == before


def test_an_unplugged_root_is_not_written_into(library, root):
    first = library.snapshot_md5
    make_jpeg(root / "new.jpg", seed=101)
    scan(library)
    after = rows(library)
    root.rename(root.with_name("unplugged"))
    root.mkdir()
    operation = restore(library, first)
    assert (operation.state, operation.error_code) == (State.FAILED, "root_unavailable")
    assert rows(library) == after and not list(root.iterdir())


def test_scan_and_restore_exclude_each_other(library):
    start_restore(library, library.owner, enqueue=False)
    with pytest.raises(AlreadyActive):
        start("scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False)
    with pytest.raises(AlreadyActive):
        start_restore(library, library.owner, enqueue=False)


def test_ids_that_another_library_has_stay_there(library, root, tmp_path):
    md5 = library.snapshot_md5
    other = Library.objects.create(owner=library.owner, name="Other", root=str(tmp_path / "other"))
    taken = Photo.objects.get(filename="0.jpg").pk
    Photo.objects.filter(pk=taken).update(library=other)
    operation = restore(library, md5)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    assert Photo.objects.get(pk=taken).library == other
    assert Photo.objects.filter(library=library).count() == 6
    scan(library)
    assert library.snapshot_md5 != md5 and library.snapshot_revision == library.revision
    assert diff_kept(library, md5, library.snapshot_md5).changed[0].fields == ("photo_id",)
    assert Snapshot.objects.filter(library=library).count() == 2
