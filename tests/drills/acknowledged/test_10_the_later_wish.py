"""Point 10: what people gave to a photo at its new place, before the scan told that it is the same, is their last word."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.edits.ratings import set_rating
from catalog.edits.stars import star
from catalog.models import Favourite, FileWrite, Library, Photo, Withdrawal
from tests.catalog.edits.test_ratings import tags_of

from .moving import (
    POLICIES,
    after_listing,
    at,
    before_the_end,
    expected,
    give,
    give_date,
    library_of,
    move,
    open_writes,
    said,
    scan,
    write_all,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(params=POLICIES)
def library(request, alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", ratings=request.param, editor=bob)
    scan(library)
    return library


def scan_with(library: Library, monkeypatch, act: Callable[[], None]) -> None:
    with monkeypatch.context() as patch:
        before_the_end(patch, act)
        scan(library)


def in_file(library: Library, path: str) -> dict[str, object]:
    """Return what the file, or its XMP file, says."""
    file = Path(library.root) / path
    tags = tags_of(file)
    beside = file.with_name(f"{file.name}.xmp")
    if library.ratings == "sidecar" and beside.exists():
        tags |= {"XMP-xmp:Rating": tags_of(beside).get("XMP-xmp:Rating", 0)}
    return {"stars": tags.get("XMP-xmp:Rating", 0), "day": str(tags["ExifIFD:DateTimeOriginal"])[:10]}


@pytest.mark.parametrize("is_written_before", [False, True])
def test_a_whole_folder_renamed_and_rated_before_the_scan_ends(library, monkeypatch, alice, bob, is_written_before):
    keys = {}
    for number in range(3):
        photo = at(library, f"a/{number}.jpg")
        keys[number] = photo.pk
        give(alice, bob, photo, 2, "2011-01-01")
    write_all(library)
    root = Path(library.root)
    (root / "a").rename(root / "renamed")

    def rate_anew() -> None:
        for number in range(3):
            give(alice, bob, at(library, f"renamed/{number}.jpg"), 5 - number, f"2012-02-0{number + 1}")
        if is_written_before:
            write_all(library)

    scan_with(library, monkeypatch, rate_anew)
    for number, key in keys.items():
        assert at(library, f"renamed/{number}.jpg").pk == key
    for _ in range(2):
        for number in range(3):
            photo = at(library, f"renamed/{number}.jpg")
            assert said(photo, bob) == expected(5 - number, f"2012-02-0{number + 1}")
            assert photo.rated_at and photo.dated_at
        write_all(library)
        scan(library)
    assert open_writes(library) == []
    for number in range(3):
        told = in_file(library, f"renamed/{number}.jpg")
        if library.ratings != "database":
            assert told["stars"] == 5 - number
        if library.ratings == "file":
            assert told["day"] == f"2012:02:0{number + 1}"
    assert Photo.objects.filter(library=library).count() == 7


def test_what_was_given_to_the_old_row_later_counts(library, monkeypatch, alice, bob):
    """Somebody still looks at a page with the photo as it lay before."""
    photo = at(library, "a/1.jpg")
    move(library, "a/1.jpg", "z/1.jpg")

    def rate_both() -> None:
        give(alice, bob, at(library, "z/1.jpg"), 5, "2012-02-02")
        give(alice, bob, photo, 1, "2013-03-03")

    scan_with(library, monkeypatch, rate_both)
    for _ in range(2):
        assert said(at(library, "z/1.jpg"), bob) == expected(1, "2013-03-03")
        write_all(library)
        scan(library)
    assert open_writes(library) == [] and at(library, "z/1.jpg").pk == photo.pk


def test_what_was_taken_away_at_the_new_place_stays_away(library, monkeypatch, alice, bob):
    photo = at(library, "a/1.jpg")
    give(alice, bob, photo, 4, "2012-02-02")
    write_all(library)
    move(library, "a/1.jpg", "z/1.jpg")

    def take_away() -> None:
        new = at(library, "z/1.jpg")
        for person in (alice, bob):
            star(person, new.pk, 3)
            star(person, new.pk, 0)

    scan_with(library, monkeypatch, take_away)
    for _ in range(2):
        assert said(at(library, "z/1.jpg"), bob) == expected(0, said(at(library, "z/1.jpg"), bob)["day"])
        write_all(library)
        scan(library)
    assert at(library, "z/1.jpg").pk == photo.pk
    star(bob, photo.pk, 2)
    assert Favourite.objects.get(user=bob).rating == 2


def test_each_kind_and_person_alone(library, monkeypatch, alice, bob, charlie):
    """Stars were given at the new place, the date at the old one; Bob's favourite there, Charlie's here."""
    library.memberships.create(user=charlie, role="viewer")
    photo = at(library, "a/1.jpg")
    give_date(alice, photo, "2012-02-02")
    star(charlie, photo.pk, 2)
    star(bob, photo.pk, 2)
    move(library, "a/1.jpg", "z/1.jpg")

    def rate() -> None:
        set_rating(bob, at(library, "z/1.jpg"), 4)
        star(bob, at(library, "z/1.jpg").pk, 5)

    scan_with(library, monkeypatch, rate)
    write_all(library)
    scan(library)
    moved = at(library, "z/1.jpg")
    assert moved.pk == photo.pk
    assert said(moved, bob) == {"stars": 4, "day": "2012-02-02", "owner likes": 4, "member likes": 5}
    assert said(moved, charlie)["member likes"] == 2


def test_rows_of_an_earlier_version_tell_the_time_by_their_writes(library, monkeypatch, alice, bob):
    photo = at(library, "a/1.jpg")
    star(alice, photo.pk, 2)
    star(bob, photo.pk, 2)
    Photo.objects.update(rated_at=None)
    Favourite.objects.update(changed_at=None)
    move(library, "a/1.jpg", "z/1.jpg")
    scan_with(library, monkeypatch, lambda: [star(person, at(library, "z/1.jpg").pk, 5) for person in (alice, bob)])
    write_all(library)
    assert said(at(library, "z/1.jpg"), bob)["stars"] == said(at(library, "z/1.jpg"), bob)["member likes"] == 5


def test_rated_days_after_the_scan_that_saw_both_places(library, monkeypatch, alice, bob):
    photo = at(library, "a/1.jpg")
    give(alice, bob, photo, 3, "2011-01-01")
    write_all(library)
    with monkeypatch.context() as patch:
        after_listing(patch, "a", lambda: move(library, "a/1.jpg", "z/1.jpg"))
        scan(library)
    give(alice, bob, at(library, "z/1.jpg"), 1, "2012-02-02")
    scan(library)
    write_all(library)
    moved = at(library, "z/1.jpg")
    assert moved.pk == photo.pk and said(moved, bob) == expected(1, "2012-02-02")


def test_a_photo_moved_without_its_xmp_file_keeps_its_stars(alice, bob, tmp_path):
    library = library_of(alice, tmp_path / "photos", ratings="sidecar", editor=bob)
    scan(library)
    photo = at(library, "a/1.jpg")
    star(alice, photo.pk, 4)
    write_all(library)
    scan(library)
    move(library, "a/1.jpg", "z/1.jpg")
    scan(library)
    for _ in range(2):
        moved = at(library, "z/1.jpg")
        assert moved.pk == photo.pk and moved.rating == 4
        assert Favourite.objects.get(user=alice).rating == 4
        write_all(library)
        scan(library)
    assert in_file(library, "z/1.jpg")["stars"] == 4 and open_writes(library) == []


def test_stars_of_another_programs_xmp_file_that_stayed_behind_are_gone_in_both_tables(alice, bob, tmp_path):
    library = library_of(alice, tmp_path / "photos", ratings="sidecar", editor=bob)
    (Path(library.root) / "a" / "1.jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    scan(library)
    assert Favourite.objects.get(user=alice).rating == at(library, "a/1.jpg").rating == 4
    move(library, "a/1.jpg", "z/1.jpg")
    scan(library)
    assert at(library, "z/1.jpg").rating is None and not Favourite.objects.filter(user=alice).exists()


def test_a_stranger_under_the_old_name_gets_nothing_of_it(library, monkeypatch, alice, bob):
    """The photo was moved, another one took its name, and people gave something to the photo at its new place."""
    photo = at(library, "a/1.jpg")
    give(alice, bob, photo, 2, "2011-01-01")
    move(library, "a/1.jpg", "z/1.jpg")
    move(library, "z/95.jpg", "a/1.jpg")
    stranger = at(library, "z/95.jpg")
    scan_with(library, monkeypatch, lambda: give(alice, bob, at(library, "z/1.jpg"), 5, "2012-02-02"))
    write_all(library)
    scan(library)
    assert at(library, "z/1.jpg").pk == photo.pk and said(photo, bob) == expected(5, "2012-02-02")
    other = at(library, "a/1.jpg")
    assert other.pk == stranger.pk and said(other, bob)["stars"] == said(other, bob)["member likes"] == 0
    assert said(other, bob)["day"] == "2024-05-17" and not Withdrawal.objects.filter(photo=other).exists()


def test_a_gift_to_a_photo_that_was_led_elsewhere_is_refused_not_lost(library, alice, bob):
    photo = at(library, "a/1.jpg")
    Photo.objects.filter(pk=photo.pk).delete()
    with pytest.raises(Photo.DoesNotExist):
        star(bob, photo.pk, 3)
    assert not Favourite.objects.exists() and not FileWrite.objects.exists()
