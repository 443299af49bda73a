"""Point 7: a file that moves while a scan runs stays the same photo, and what waits for it follows."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.stars import star
from catalog.models import Alias, Favourite, FileWrite, Library, Photo, TrashItem
from catalog.scanning.scan import Scan
from catalog.sources.local import LocalSource
from operations.control import resume
from operations.models import Operation, State
from operations.running import execute
from tests.photos import make_jpeg

from .moving import (
    POLICIES,
    after_listing,
    at,
    before_the_end,
    begin,
    expected,
    give,
    library_of,
    move,
    open_writes,
    said,
    scan,
    write_all,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", editor=bob)
    scan(library)
    return library


def ids(library: Library) -> dict[str, str]:
    """Return who lies where; nobody may be missing."""
    assert not Photo.objects.filter(library=library, state="missing").exists()
    return {photo.path: str(photo.pk) for photo in Photo.objects.filter(library=library)}


def moved_while_walking(library: Library, monkeypatch, source: str, target: str) -> None:
    """Scan, and move a file when its folder was listed and the new one not yet."""
    with monkeypatch.context() as patch:
        after_listing(patch, source.rpartition("/")[0], lambda: move(library, source, target))
        scan(library)
    assert at(library, target).pk != at(library, source).pk  # the scan saw both


@pytest.mark.parametrize("ratings", POLICIES)
def test_seen_at_both_places_it_is_one_photo_when_the_old_one_is_gone(library, monkeypatch, alice, bob, ratings):
    Library.objects.filter(pk=library.pk).update(ratings=ratings)
    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    give(alice, bob, photo, 4, "2020-02-03")  # it is shown where it was until the next scan
    write_all(library)
    scan(library)
    known = ids(library)
    assert known["z/1.jpg"] == str(photo.pk) and len(known) == 7
    write_all(library)
    scan(library)
    assert said(at(library, "z/1.jpg"), bob) == expected(4, "2020-02-03")
    assert ids(library) == known and open_writes(library) == []


def test_what_waited_for_the_file_is_written_as_soon_as_it_is_found(library, monkeypatch, alice):
    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    star(alice, photo.pk, 5)
    write_all(library)  # finds no file, and waits for long
    write = FileWrite.objects.get()
    assert write.code and write.try_at > timezone.now()
    FileWrite.objects.update(try_at=timezone.now() + timedelta(hours=12))
    scan(library)
    write_all(library)
    write.refresh_from_db()
    assert (write.state, write.photo_id) == (FileWrite.State.DONE, photo.pk)
    assert at(library, "z/1.jpg").rating == 5 and not at(library, "z/1.jpg").rating_held


def test_seen_at_neither_place_it_is_found_days_later(library, monkeypatch, bob):
    photo = at(library, "z/95.jpg")
    Favourite.objects.create(user=bob, photo=photo)
    with monkeypatch.context() as patch:
        after_listing(patch, "a", lambda: move(library, "z/95.jpg", "a/95.jpg"))
        scan(library)
    assert at(library, "z/95.jpg").state == Photo.State.MISSING
    make_jpeg(Path(library.root) / "m" / "other.jpg", seed=500)
    Photo.objects.filter(pk=photo.pk).update(missing_since=timezone.now() - timedelta(days=9))
    scan(library)
    assert ids(library)["a/95.jpg"] == str(photo.pk) == str(Favourite.objects.get().photo_id)


def test_found_in_the_middle_of_a_scan_that_is_resumed(library, monkeypatch):
    photo = at(library, "a/1.jpg")
    operation = begin(library)
    with monkeypatch.context() as patch:
        after_listing(patch, "a", lambda: move(library, "a/1.jpg", "z/1.jpg"))
        patch.setattr(Scan, "digest", lambda *_: 1 / 0)
        failed = execute(operation.pk)
        assert failed.state == State.FAILED
    resume(failed)
    assert execute(operation.pk).state == State.COMPLETED
    assert ids(library)["z/1.jpg"] == str(photo.pk)


def test_a_scan_that_was_given_up_in_between_changes_nothing(library, monkeypatch):
    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Scan, "survey", lambda *_: 1 / 0)
        make_jpeg(Path(library.root) / "m" / "other.jpg", seed=500)
        assert execute(begin(library).pk).state == State.FAILED
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk)


def test_a_stranger_took_its_name_before_the_next_scan(library, monkeypatch, bob):
    photo = at(library, "a/1.jpg")
    Favourite.objects.create(user=bob, photo=photo, rating=3)
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    seen = at(library, "z/1.jpg").pk
    make_jpeg(Path(library.root) / "a" / "1.jpg", seed=400, mtime=1_600_000_000)
    scan(library)
    known = ids(library)
    assert known["z/1.jpg"] == str(photo.pk) == str(Favourite.objects.get().photo_id)
    assert known["a/1.jpg"] not in (str(photo.pk), str(seen))  # nor does it get an id that people know


def test_moved_on_before_the_next_scan(library, monkeypatch, alice, bob):
    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "m/1.jpg")
    stop = at(library, "m/1.jpg")
    give(alice, bob, stop, 2, "2019-01-01")
    move(library, "m/1.jpg", "z/1.jpg")
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk) and len(ids(library)) == 7
    write_all(library)
    assert said(at(library, "z/1.jpg"), bob) == expected(2, "2019-01-01")


def test_moved_on_while_the_next_scan_walks(library, monkeypatch, bob):
    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "m/1.jpg")
    star(bob, at(library, "m/1.jpg").pk, 2)
    with monkeypatch.context() as patch:
        after_listing(patch, "m", lambda: move(library, "m/1.jpg", "z/1.jpg"))
        scan(library)
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk) and len(ids(library)) == 7
    assert Favourite.objects.get(user=bob).photo_id == photo.pk


def test_several_copies_keep_their_own(library, monkeypatch, bob):
    root = Path(library.root)
    for number in range(3):
        shutil.copy2(root / "a" / "0.jpg", root / "a" / f"copy {number}.jpg")
    scan(library)
    keys = {name: at(library, f"a/copy {name}.jpg").pk for name in range(3)}
    for number, key in keys.items():
        Favourite.objects.create(user=bob, photo_id=key, rating=number + 1)

    def move_all() -> None:
        for number in range(3):
            move(library, f"a/copy {number}.jpg", f"z/copy {number}.jpg")

    with monkeypatch.context() as patch:
        after_listing(patch, "a", move_all)
        scan(library)
    scan(library)
    known = ids(library)
    assert {number: known[f"z/copy {number}.jpg"] for number in keys} == {n: str(key) for n, key in keys.items()}
    assert {row.photo_id: row.rating for row in Favourite.objects.all()} == {key: n + 1 for n, key in keys.items()}


def test_copies_that_were_there_before_are_other_photos(library, bob):
    root = Path(library.root)
    shutil.copy2(root / "a" / "1.jpg", root / "z" / "copy.jpg")
    scan(library)
    scan(library)
    first, copy = at(library, "a/1.jpg"), at(library, "z/copy.jpg")
    Favourite.objects.create(user=bob, photo=first)
    (root / "a" / "1.jpg").unlink()
    scan(library)
    assert at(library, "z/copy.jpg").pk == copy.pk and at(library, "a/1.jpg").state == Photo.State.MISSING
    assert Favourite.objects.get().photo_id == first.pk
    shutil.copy2(root / "z" / "copy.jpg", root / "a" / "1.jpg")
    scan(library)
    assert ids(library)["a/1.jpg"] == str(first.pk)


def test_copies_of_a_first_scan_are_other_photos(alice, tmp_path):
    library = library_of(alice, tmp_path / "copies")
    root = Path(library.root)
    shutil.copy2(root / "a" / "1.jpg", root / "z" / "copy.jpg")
    scan(library)
    copy = at(library, "z/copy.jpg").pk
    (root / "a" / "1.jpg").unlink()
    scan(library)
    assert at(library, "z/copy.jpg").pk == copy and at(library, "a/1.jpg").state == Photo.State.MISSING


def test_a_photo_laid_over_one_that_came_lately_does_not_take_its_stars(library, bob):
    root = Path(library.root)
    make_jpeg(root / "z" / "late.jpg", seed=700)
    scan(library)
    late = at(library, "z/late.jpg").pk
    Favourite.objects.create(user=bob, photo_id=late, rating=2)
    move(library, "a/1.jpg", "z/late.jpg")
    scan(library)
    assert at(library, "z/late.jpg").pk == late == Favourite.objects.get().photo_id
    assert at(library, "a/1.jpg").state == Photo.State.MISSING


def test_a_copy_of_what_somebody_deleted_is_no_reason_to_take_it_back(library, alice):
    from catalog.files.trash import trash_photos

    root = Path(library.root)
    shutil.copy2(root / "a" / "1.jpg", root / "z" / "copy.jpg")
    scan(library)
    first, copy = at(library, "a/1.jpg").pk, at(library, "z/copy.jpg").pk
    assert trash_photos(alice, [first]).count == 1
    scan(library)
    assert at(library, "z/copy.jpg").pk == copy and TrashItem.objects.get().photo_id == first


def test_moved_after_a_star_was_written_that_the_catalog_does_not_know_of(library, monkeypatch, alice):
    """The writer was killed after it exchanged the file; then somebody moved it."""
    photo = at(library, "a/1.jpg")
    star(alice, photo.pk, 5)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.files.landing.Landing._tell", lambda *_: None)
        write_all(library)
    write = FileWrite.objects.get()
    assert write.new_md5 and write.state == FileWrite.State.WRITING
    Photo.objects.filter(pk=photo.pk).update(image_digest="")  # as of a film: nothing else tells that it is the same
    move(library, "a/1.jpg", "z/1.jpg")
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk)
    write_all(library)
    assert said(at(library, "z/1.jpg"), alice)["stars"] == 5 and open_writes(library) == []


def test_moved_and_written_at_its_new_place_before_the_scan_ends(library, monkeypatch, alice):
    photo = at(library, "a/1.jpg")

    def rate() -> None:
        Photo.objects.update(image_digest="")
        star(alice, at(library, "z/1.jpg").pk, 3)
        write_all(library)

    move(library, "a/1.jpg", "z/1.jpg")
    with monkeypatch.context() as patch:
        before_the_end(patch, rate)
        scan(library)
    assert Alias.objects.exists()
    assert ids(library)["z/1.jpg"] == str(photo.pk) and at(library, "z/1.jpg").rating == 3


def test_a_file_that_a_writer_has_in_hand_is_followed_by_the_scan_after(library, monkeypatch, alice):
    photo = at(library, "a/1.jpg")

    def rate() -> None:
        star(alice, at(library, "z/1.jpg").pk, 3)
        FileWrite.objects.update(state=FileWrite.State.WRITING, claimed_for="somebody:1")

    move(library, "a/1.jpg", "z/1.jpg")
    with monkeypatch.context() as patch:
        before_the_end(patch, rate)
        scan(library)
    assert at(library, "a/1.jpg").state == Photo.State.MISSING
    assert library.scan_wanted_at is not None
    write_all(library)
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk) and at(library, "z/1.jpg").rating == 3


def test_the_clock_was_set_back_meanwhile(library, monkeypatch):
    photo = at(library, "a/1.jpg")
    for row in (Photo, Library):
        name = "added_at" if row is Photo else "walked_at"
        row.objects.update(**{name: timezone.now() + timedelta(hours=3)})
    move(library, "a/1.jpg", "z/1.jpg")
    scan(library)
    assert ids(library)["z/1.jpg"] == str(photo.pk)


@pytest.mark.parametrize("ratings", POLICIES)
@pytest.mark.parametrize("writes", ["before", "after"])
def test_deleted_at_its_new_place_it_lies_in_the_trash_as_itself(library, monkeypatch, alice, bob, ratings, writes):
    from catalog.files.trash import restore_items, trash_photos

    Library.objects.filter(pk=library.pk).update(ratings=ratings)
    photo = at(library, "a/1.jpg")
    give(alice, bob, photo, 3, "2019-02-03")
    if writes == "before":
        write_all(library)
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    stranger = at(library, "z/1.jpg")
    give(alice, bob, stranger, 4, "2020-02-03")  # the later wishes
    assert trash_photos(alice, [stranger.pk]).count == 1
    scan(library)
    item = TrashItem.objects.get()
    assert (item.photo_id, item.path) == (photo.pk, "z/1.jpg")
    assert not Photo.objects.filter(pk=stranger.pk).exists()
    assert library_counts(library) == (6, 0)
    restored = restore_items(alice, library, [item.pk])
    assert restored.count == 1
    execute(Operation.objects.get(kind="scan", state=State.PENDING).pk)  # which the restoring asked for
    write_all(library)
    scan(library)
    assert at(library, "z/1.jpg").pk == photo.pk
    assert said(at(library, "z/1.jpg"), bob) == expected(4, "2020-02-03")
    assert open_writes(library) == []


def test_deleted_at_its_new_place_where_another_file_lies_by_then(library, monkeypatch, alice):
    from catalog.files.trash import trash_photos

    photo = at(library, "a/1.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    assert trash_photos(alice, [at(library, "z/1.jpg").pk]).count == 1
    make_jpeg(Path(library.root) / "z" / "1.jpg", seed=77)
    with monkeypatch.context() as patch:  # that one is found by a scan which ends before it looks for moves
        patch.setattr("catalog.identity.moves.follow", lambda *words: 0)
        scan(library)
    scan(library)
    assert TrashItem.objects.get().photo_id == photo.pk
    assert at(library, "z/1.jpg").pk != photo.pk and library_counts(library) == (7, 0)


def test_a_copy_that_was_deleted_is_not_the_photo_that_went_later(library, alice):
    from catalog.files.trash import trash_photos

    photo = at(library, "a/1.jpg")
    root = Path(library.root)
    shutil.copy2(root / "a/1.jpg", root / "z/1.jpg")
    scan(library)
    copy = at(library, "z/1.jpg")
    assert trash_photos(alice, [copy.pk]).count == 1
    scan(library)
    (root / "a/1.jpg").unlink()
    scan(library)
    assert TrashItem.objects.get().photo_id == copy.pk
    assert Photo.objects.get(pk=photo.pk).state == "missing"


def library_counts(library: Library) -> tuple[int, int]:
    library.refresh_from_db()
    return library.photo_count, Photo.objects.filter(library=library, state="missing", trash_item=None).count()


def before_the_survey_of(monkeypatch, folder: str, act) -> None:
    """Do `act` once, when a scan lists `folder` for the second time, after the walk."""
    list_directory, done = LocalSource.list_directory, []

    def listed(self: LocalSource, path: str):
        if path == folder and not done:
            done.append(True)
            act()
        return list_directory(self, path)

    monkeypatch.setattr(LocalSource, "list_directory", listed)


@pytest.mark.parametrize("trouble", ["another one leaves", "the folder cannot be listed to its end"])
def test_what_a_scan_left_unmarked_was_not_seen_by_it(alice, bob, tmp_path, monkeypatch, trouble):
    library = library_of(alice, tmp_path / "photos", editor=bob, photos=9)
    scan(library)
    photo, other = at(library, "a/1.jpg"), at(library, "a/2.jpg")
    moved_while_walking(library, monkeypatch, "a/1.jpg", "z/1.jpg")
    give(alice, bob, photo, 4, "2020-02-03")
    with monkeypatch.context() as patch:
        if trouble == "another one leaves":
            before_the_survey_of(patch, "a", lambda: move(library, "a/2.jpg", "z/2.jpg"))
        else:
            list_directory = LocalSource.list_directory
            patch.setattr(
                LocalSource, "list_directory", lambda self, path: replace(list_directory(self, path), is_complete=False)
            )
        scan(library)
    assert at(library, "a/1.jpg").state != "missing"  # more than the root guard had agreed to was gone, or nobody knows
    scan(library)
    known = ids(library)
    assert known["z/1.jpg"] == str(photo.pk)
    assert known["z/2.jpg" if trouble == "another one leaves" else "a/2.jpg"] == str(other.pk)
    write_all(library)
    assert said(at(library, "z/1.jpg"), bob) == expected(4, "2020-02-03")
