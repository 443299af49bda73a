"""Point 7: a file that was moved away and back is the same photo; what people gave to its other row meanwhile is kept."""

import shutil
from pathlib import Path

import pytest

from catalog.models import Library, Photo
from catalog.scanning.scan import Scan
from operations.control import resume
from operations.models import State
from operations.running import execute

from .moving import (
    POLICIES,
    after_listing,
    at,
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
OLD, BETWEEN = "a/1.jpg", "z/1.jpg"
DAY = "2020-02-03"


@pytest.fixture
def library(alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", editor=bob)
    scan(library)
    return library


def killed_before_it_looked_for_moves(library: Library, monkeypatch, step: str = "finish"):
    """Begin a scan that reads everything and is killed then; return it."""
    operation = begin(library)
    with monkeypatch.context() as patch:
        patch.setattr(Scan, step, lambda *_: 1 / 0)
        failed = execute(operation.pk)
    assert failed is not None and failed.state == State.FAILED
    return failed


def is_one_photo(library: Library, photo: Photo) -> bool:
    rows = Photo.objects.filter(library=library)
    return rows.count() == 7 and not rows.filter(state="missing").exists() and at(library, OLD).pk == photo.pk


@pytest.mark.parametrize("ratings", POLICIES)
@pytest.mark.parametrize("step", ["finish", "digest"])
@pytest.mark.parametrize("is_written", [False, True])
def test_what_was_given_in_between_is_kept(library, monkeypatch, alice, bob, ratings, step, is_written):
    Library.objects.filter(pk=library.pk).update(ratings=ratings)
    photo = at(library, OLD)
    move(library, OLD, BETWEEN)
    operation = killed_before_it_looked_for_moves(library, monkeypatch, step)
    assert at(library, OLD).state == Photo.State.MISSING and at(library, BETWEEN).pk != photo.pk
    give(alice, bob, at(library, BETWEEN), 5, DAY)
    if is_written:
        write_all(library)
    move(library, BETWEEN, OLD)
    xmp = Path(library.root) / f"{BETWEEN}.xmp"
    if xmp.exists():
        move(library, f"{BETWEEN}.xmp", f"{OLD}.xmp")
    resume(operation)
    assert execute(operation.pk).state == State.COMPLETED
    assert is_one_photo(library, photo)
    write_all(library)
    scan(library)
    assert is_one_photo(library, photo) and open_writes(library) == []
    assert said(at(library, OLD), bob) == expected(5, DAY)
    assert library.missing_count == 0


def test_moved_back_while_the_scan_walks_that_sees_it_back(library, monkeypatch, alice, bob):
    photo = at(library, "z/95.jpg")
    move(library, "z/95.jpg", "a/95.jpg")
    killed_before_it_looked_for_moves(library, monkeypatch).delete()
    give(alice, bob, at(library, "a/95.jpg"), 5, DAY)
    with monkeypatch.context() as patch:
        after_listing(patch, "a", lambda: move(library, "a/95.jpg", "z/95.jpg"))
        scan(library)
    assert at(library, "a/95.jpg").state != Photo.State.MISSING  # the scan saw both
    scan(library)
    write_all(library)
    scan(library)
    assert at(library, "z/95.jpg").pk == photo.pk and Photo.objects.filter(library=library).count() == 7
    assert said(at(library, "z/95.jpg"), bob) == expected(5, DAY)


@pytest.mark.parametrize("is_written", [False, True])
def test_no_scan_missed_it(library, monkeypatch, alice, bob, is_written):
    photo = at(library, OLD)
    with monkeypatch.context() as patch:
        after_listing(patch, "a", lambda: move(library, OLD, BETWEEN))
        scan(library)
    assert at(library, OLD).state == at(library, BETWEEN).state == Photo.State.READY
    give(alice, bob, at(library, BETWEEN), 5, DAY)
    if is_written:
        write_all(library)
    move(library, BETWEEN, OLD)
    scan(library)
    assert is_one_photo(library, photo)
    write_all(library)
    scan(library)
    assert is_one_photo(library, photo) and open_writes(library) == []
    assert said(at(library, OLD), bob) == expected(5, DAY)


def test_a_copy_that_was_made_between_two_scans_and_deleted_is_another_photo(library, alice, bob):
    root = Path(library.root)
    shutil.copy2(root / OLD, root / BETWEEN)
    scan(library)
    give(alice, bob, at(library, BETWEEN), 5, DAY)
    (root / BETWEEN).unlink()
    scan(library)
    assert at(library, BETWEEN).state == Photo.State.MISSING
    assert said(at(library, OLD), bob)["stars"] == 0


def test_what_was_given_to_the_photo_later_counts(library, monkeypatch, alice, bob):
    photo = at(library, OLD)
    move(library, OLD, BETWEEN)
    operation = killed_before_it_looked_for_moves(library, monkeypatch)
    give(alice, bob, at(library, BETWEEN), 5, DAY)
    give(alice, bob, photo, 2, "2019-01-02")
    move(library, BETWEEN, OLD)
    resume(operation)
    assert execute(operation.pk).state == State.COMPLETED
    write_all(library)
    scan(library)
    assert is_one_photo(library, photo) and said(at(library, OLD), bob) == expected(2, "2019-01-02")


def test_a_copy_that_came_with_the_return_and_was_deleted_is_another_photo(library, tmp_path, alice, bob):
    root = Path(library.root)
    shutil.move(root / OLD, tmp_path / "away.jpg")
    scan(library)
    shutil.move(tmp_path / "away.jpg", root / OLD)
    shutil.copy2(root / OLD, root / BETWEEN)
    scan(library)
    give(alice, bob, at(library, BETWEEN), 5, DAY)
    (root / BETWEEN).unlink()
    scan(library)
    assert at(library, BETWEEN).state == Photo.State.MISSING
    assert said(at(library, OLD), bob)["stars"] == 0


def test_a_return_is_forgotten_when_a_later_scan_has_ended(library, tmp_path):
    root = Path(library.root)
    shutil.move(root / OLD, tmp_path / "away.jpg")
    scan(library)
    shutil.move(tmp_path / "away.jpg", root / OLD)
    scan(library)
    assert at(library, OLD).returned_at is not None
    for _ in range(2):
        scan(library)
    assert at(library, OLD).returned_at is at(library, OLD).seen_at is None


def test_edited_twice_on_its_way_it_is_one_photo(library, monkeypatch, alice, bob):
    photo = at(library, OLD)
    give(alice, bob, photo, 4, DAY)
    write_all(library)
    for place in ("m/1.jpg", BETWEEN):
        source = OLD if place == "m/1.jpg" else "m/1.jpg"
        move(library, source, place)
        path = Path(library.root) / place
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xfe\x00\x07words" + data[2:])  # a comment: another content, the same picture
        if place == BETWEEN:
            give(alice, bob, at(library, "m/1.jpg"), 5, "2019-01-02")  # no longer taken in the same second
            scan(library)
        else:
            killed_before_it_looked_for_moves(library, monkeypatch).delete()
    assert at(library, BETWEEN).pk == photo.pk
    write_all(library)
    scan(library)
    rows = Photo.objects.filter(library=library)
    assert rows.count() == 7 and not rows.filter(state="missing").exists()
    assert said(at(library, BETWEEN), bob) == expected(5, "2019-01-02")
