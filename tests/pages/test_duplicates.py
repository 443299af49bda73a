"""Duplicates: the same bytes, and only what one may see; what merely begins alike is none."""

import hashlib

from catalog.browsing.duplicates import duplicate_groups
from catalog.models import Photo
from tests.factories import make_library, make_photo

ADDRESS = "/duplicates/"


def test_copies_are_listed_and_look_alikes_are_not(cast, alice):
    data = b"the same bytes"
    for path in ("a/1.jpg", "b/2.jpg"):
        make_photo(cast.library, path, data=data)
    head = b"h" * 4096
    for path, tail in (("x.jpg", b"one"), ("y.jpg", b"two")):  # one size, one head: one fast photo key
        make_photo(cast.library, path, data=head + tail)
    assert len({photo.fast_photo_key for photo in Photo.objects.filter(directory="")}) == 1
    page = alice.get(ADDRESS).content.decode()
    assert "2 copies" in page and "1.jpg" in page and "2.jpg" in page
    assert "x.jpg" not in page and "y.jpg" not in page
    (group,), more = duplicate_groups(cast.alice)
    assert (group.photo_md5, group.count, more) == (hashlib.md5(data).hexdigest(), 2, "")
    assert group.spare_bytes == len(data)


def test_what_is_missing_is_no_copy(cast, alice):
    for path in ("1.jpg", "2.jpg"):
        make_photo(cast.library, path, data=b"same")
    Photo.objects.filter(filename="2.jpg").update(state="missing", is_shown=False)
    assert "No duplicates" in alice.get(ADDRESS).content.decode()


def test_nobody_learns_of_copies_elsewhere(cast, alice, charlie, anonymous):
    his = make_library(cast.charlie, cast.folder / "his", name="Secret attic")
    make_photo(his, "secret.jpg", data=b"same")
    make_photo(cast.library, "mine.jpg", data=b"same")
    for client in (alice, charlie):
        assert "No duplicates" in client.get(ADDRESS).content.decode()
    assert anonymous.get(ADDRESS).status_code == 302
    assert alice.post(ADDRESS).status_code == 405


def test_pages_follow_each_other(cast, alice, django_assert_num_queries):
    for number in range(35):
        for copy in "ab":
            make_photo(cast.library, f"{copy}/{number}.jpg", data=b"%d" % number, on_disk=False)
    first, more = duplicate_groups(cast.alice)
    second, end = duplicate_groups(cast.alice, more)
    assert (len(first), len(second), end) == (30, 5, "")
    assert len({group.photo_md5 for group in first + second}) == 35
    with django_assert_num_queries(3):
        duplicate_groups(cast.alice)
    assert f"?after={more}" in alice.get(ADDRESS).content.decode()
    assert alice.get(f"{ADDRESS}?after=nonsense").status_code == 400


def test_of_very_many_copies_the_first_are_listed(cast, alice, monkeypatch):
    monkeypatch.setattr("catalog.browsing.duplicates.MOST_COPIES", 3)
    for number in range(5):
        make_photo(cast.library, f"{number}.jpg", data=b"same", on_disk=False)
    (group,), _ = duplicate_groups(cast.alice)
    assert (group.count, [copy["filename"] for copy in group.copies]) == (5, ["0.jpg", "1.jpg", "2.jpg"])
    assert "The first 3 are listed" in alice.get(ADDRESS).content.decode()
