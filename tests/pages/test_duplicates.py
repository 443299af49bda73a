"""Duplicates: the same bytes, and only what one may see; what merely begins alike is none."""

import hashlib
import os

import pytest

from catalog.browsing.duplicates import choose, duplicate_groups
from catalog.duplicates import keeping as duplicates
from catalog.models import Photo
from tests.factories import make_library, make_photo

ADDRESS = "/duplicates/"


def test_copies_are_listed_and_look_alikes_are_not(cast, alice):
    data = b"the same bytes"
    for path in ("a/1.jpg", "b/2.jpg"):
        make_photo(cast.library, path, data=data, has_thumbnail=True)
    head = b"h" * 4096
    for path, tail in (("x.jpg", b"one"), ("y.jpg", b"two")):  # one size, one head: one fast photo key
        make_photo(cast.library, path, data=head + tail)
    assert len({photo.fast_photo_key for photo in Photo.objects.filter(directory="")}) == 1
    page = alice.get(ADDRESS).content.decode()
    assert "2 copies" in page and "1.jpg" in page and "2.jpg" in page
    assert "x.jpg" not in page and "y.jpg" not in page
    assert 'aria-label="Open 1.jpg"' in page
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


def kept(client, **fields):
    return client.post(f"{ADDRESS}keep/", fields, follow=True).content.decode()


def states(library):
    return {photo.path: photo.state for photo in Photo.objects.filter(library=library)}


def test_the_others_go_to_the_trash_and_come_back(cast, alice):
    copies = [make_photo(cast.library, path, data=b"same") for path in ("a/1.jpg", "b/1.jpg", "c/1.jpg")]
    md5 = copies[0].photo_md5
    assert f'name="keep-{md5}" value="{copies[1].pk}"' in alice.get(ADDRESS).content.decode()
    page = kept(alice, only=md5, **{f"keep-{md5}": str(copies[1].pk)})
    assert "2 copies moved to the trash." in page and "No duplicates" in page
    assert states(cast.library) == {"a/1.jpg": "missing", "b/1.jpg": "ready", "c/1.jpg": "missing"}
    assert (cast.folder / "holidays/b/1.jpg").read_bytes() == b"same" and not (
        cast.folder / "holidays/a/1.jpg"
    ).exists()
    back = alice.post(f"{ADDRESS}undo/", follow=True).content.decode()
    assert "2 copies are back." in back and "Undo" not in back
    assert set(states(cast.library).values()) == {"ready"}
    assert (cast.folder / "holidays/a/1.jpg").read_bytes() == (cast.folder / "holidays/c/1.jpg").read_bytes() == b"same"


@pytest.mark.parametrize("damage", ["gone", "other bytes", "of other content", "on a phone"])
def test_nothing_goes_if_the_kept_one_is_not_there(cast, alice, damage):
    keep, _ = (make_photo(cast.library, path, data=b"same") for path in ("a.jpg", "b.jpg"))
    md5, file = keep.photo_md5, cast.folder / "holidays/a.jpg"
    if damage == "gone":
        file.unlink()
    elif damage == "other bytes":  # of the same size and time
        file.write_bytes(b"SAME")
        os.utime(file, ns=(keep.mtime_ns, keep.mtime_ns))
    elif damage == "of other content":
        keep = make_photo(cast.library, "c.jpg")
    else:
        Photo.objects.filter(pk=keep.pk).update(state="remote", asset_id="1")
    page = kept(alice, only=md5, **{f"keep-{md5}": str(keep.pk)})
    assert "Nothing was changed." in page and "Undo" not in page
    assert states(cast.library)["b.jpg"] == "ready" and (cast.folder / "holidays/b.jpg").exists()


def test_one_file_by_two_ways_stays(cast, alice, monkeypatch):
    keep, _ = (make_photo(cast.library, path, data=b"same") for path in ("a.jpg", "b.jpg"))
    real = duplicates.trash.trash_photos

    def both_are_one(user, ids):
        done = real(user, ids)
        (cast.folder / "holidays/a.jpg").unlink()
        return done

    monkeypatch.setattr(duplicates.trash, "trash_photos", both_are_one)
    done = duplicates.keep_one(cast.alice, keep.pk, keep.photo_md5)
    assert done.count == 0 and "The others were brought back." in done.problems[0]
    assert (cast.folder / "holidays/b.jpg").read_bytes() == b"same" and states(cast.library)["b.jpg"] == "ready"


def test_viewers_are_offered_nothing_and_can_do_nothing(cast, alice, bob, charlie):
    copies = [make_photo(cast.library, path, data=b"same") for path in ("a.jpg", "b.jpg")]
    md5 = copies[0].photo_md5
    page = bob.get(ADDRESS).content.decode()
    assert "2 copies" in page and "radio" not in page and "Keep this" not in page and "Keep of each" not in page
    for client in (bob, charlie):
        assert "no such copy that you may change" in kept(client, only=md5, **{f"keep-{md5}": str(copies[0].pk)})
    his = make_library(cast.bob, cast.folder / "his", name="Mine")
    own = make_photo(his, "c.jpg", data=b"same")
    assert "radio" not in bob.get(ADDRESS).content.decode()  # one of three is bob's
    assert "no other copy" in kept(bob, only=md5, **{f"keep-{md5}": str(own.pk)})
    assert set(states(cast.library).values()) == {"ready"}
    items = [{"library": str(cast.library.pk), "id": str(own.pk)}]
    assert duplicates.undo(cast.charlie, items).count == 0


@pytest.mark.parametrize(("name", "value"), [("f" * 32, "x"), ("f\0", None), ("ü", None)])
def test_what_cannot_be_meant_changes_nothing_of_the_rest(cast, alice, name, value):
    copies = [make_photo(cast.library, path, data=b"same") for path in ("a.jpg", "b.jpg")]
    fields = {f"keep-{copies[0].photo_md5}": str(copies[0].pk), f"keep-{name}": value or str(copies[0].pk)}
    answer = alice.post(f"{ADDRESS}keep/", fields)
    assert answer.status_code == 400 and "Nothing was changed." in answer.content.decode()
    assert set(states(cast.library).values()) == {"ready"}


def test_rules_choose_one_of_each(cast, alice):
    attic = make_library(cast.alice, cast.folder / "attic", name="Attic")
    young = make_photo(cast.library, "new.jpg", data=b"one", rating=3)
    old = make_photo(attic, "old.jpg", data=b"one")
    os.utime(cast.folder / "attic/old.jpg", ns=(10**9, 10**9))
    Photo.objects.filter(pk=old.pk).update(mtime_ns=10**9)
    raw, jpeg = (make_photo(cast.library, f"z/{name}", data=name.encode()) for name in ("r.dng", "r.jpg"))
    for photo in (raw, jpeg):
        make_photo(cast.library, f"a/{photo.filename}", data=photo.filename.encode(), mtime_ns=photo.mtime_ns)
    groups, _ = duplicate_groups(cast.alice)
    one = young.photo_md5
    pairs = {raw.photo_md5, jpeg.photo_md5}
    oldest, best = choose(cast.alice, groups, "oldest"), choose(cast.alice, groups, "best")
    assert (oldest[one], best[one]) == (old.pk, young.pk)
    assert {Photo.objects.get(pk=oldest[md5]).directory for md5 in pairs} == {"a"}  # a RAW and its JPEG stay together
    assert choose(cast.alice, groups, str(attic.pk)) == {one: old.pk}
    page = alice.get(f"{ADDRESS}?keep={attic.pk}").content.decode()
    assert page.count(" checked") == 1 and "trash all others" in page
    assert "1 copy moved to the trash." in kept(alice, **{f"keep-{one}": str(old.pk)})
    assert states(cast.library)["new.jpg"] == "missing" and states(attic) == {"old.jpg": "ready"}


def test_a_raw_and_its_jpeg_are_marked_as_a_pair(cast, alice):
    for folder in "ab":
        for name in ("IMG_1.CR2", "IMG_1.JPG", "IMG_2.JPG"):
            make_photo(cast.library, f"{folder}/{name}", data=name.encode())
    make_photo(cast.library, "c/IMG_1.JPG", data=b"IMG_1.JPG")  # alone there
    page = alice.get(ADDRESS).content.decode()
    assert page.count("a pair with IMG_1.CR2") == 2 == page.count("a pair with IMG_1.JPG")
