"""Point 10, found by the random drills: a later wish that needed no writing at the old place, and stars that an XMP file
which stayed behind said against the photo's own."""

from typing import Any

import pytest

from catalog.edits import stars
from catalog.edits.stars import star, star_many
from catalog.files.landing import Landing
from catalog.models import FileWrite, Library, Photo
from catalog.sources.replacing import Replacement

from .moving import at, library_of, move, open_writes, said, scan, write_all
from .test_07_moves_during_a_scan import moved_while_walking
from .test_10_the_later_wish import in_file
from .writers import write_and_die

pytestmark = pytest.mark.django_db
OLD, NEW = "a/1.jpg", "z/1.jpg"
BEFORE = {"file": (Replacement, "swap", "before"), "sidecar": (Landing, "_swap", "before")}


@pytest.fixture(params=["file", "sidecar"])
def library(request, alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", ratings=request.param, editor=bob)
    scan(library)
    return library


def settled(library: Library, photo: Photo, count: int, member: Any) -> None:
    """After writers and scans the photo lies at its new place with so many stars, in catalog and file."""
    for _ in range(2):
        write_all(library)
        scan(library)
        moved = at(library, NEW)
        assert moved.pk == photo.pk
        assert (said(moved, member)["stars"], said(moved, member)["owner likes"]) == (count, count)
    assert in_file(library, NEW)["stars"] == count
    assert open_writes(library) == []


@pytest.mark.parametrize(
    ("count", "at_new"), [(0, "written"), (3, "written"), (3, "waiting"), (3, "killed before"), (0, "killed after")]
)
def test_a_later_wish_for_what_the_old_row_says_already(library, monkeypatch, alice, bob, count, at_new):
    """It needed no writing there: at the new place the file says something else by then."""
    photo = at(library, OLD)
    star(alice, photo.pk, count)
    write_all(library)
    scan(library)
    moved_while_walking(library, monkeypatch, OLD, NEW)
    star(alice, at(library, NEW).pk, 2)
    if at_new == "written":
        write_all(library)
    elif at_new == "killed before":
        write_and_die(library, *BEFORE[library.ratings])
    elif at_new == "killed after":
        write_and_die(library, Landing, "_tell", "before")
    star(alice, photo.pk, count)  # somebody still looks at a page with the photo as it lay before
    assert not FileWrite.objects.filter(photo=photo, state__in=FileWrite.OPEN).exists()
    scan(library)
    settled(library, photo, count, bob)


@pytest.mark.parametrize("count", [0, 5])
def test_moved_without_its_xmp_file_while_the_photo_itself_says_other_stars(alice, bob, tmp_path, count):
    library = library_of(alice, tmp_path / "photos", editor=bob)
    scan(library)
    photo = at(library, OLD)
    star(alice, photo.pk, 3)
    write_all(library)
    scan(library)
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    star(alice, photo.pk, count)
    write_all(library)
    scan(library)
    move(library, OLD, NEW)
    scan(library)
    settled(library, photo, count, bob)


def test_a_photo_that_was_led_elsewhere_while_many_are_rated_is_told(alice, bob, tmp_path, monkeypatch):
    """Between the reading of whose photos they are and their locking a scan found the row to be another photo's."""
    library = library_of(alice, tmp_path / "photos", editor=bob)
    scan(library)
    photo, gone = at(library, OLD), at(library, "a/2.jpg")
    rate = stars.set_ratings

    def led_away_first(*words: Any) -> Any:
        Photo.objects.filter(pk=gone.pk).delete()
        return rate(*words)

    monkeypatch.setattr(stars, "set_ratings", led_away_first)
    answer = star_many(alice, [photo.pk, gone.pk], 4)
    assert (answer["success_count"], answer["error_count"]) == (1, 1)
    assert [error["photo_id"] for error in answer["errors"]] == [str(gone.pk)]
