"""What a copy that is kept takes over from those that go: filled, never overwritten, and taken back with them."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from catalog.albums import albums, drafts, items, members, notes
from catalog.albums.items import Target
from catalog.duplicates import keeping
from catalog.edits.captions import set_caption
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.favourites import set_favourite
from catalog.edits.keywords import set_keywords
from catalog.edits.places import set_place
from catalog.edits.ratings import set_rating
from catalog.files.purge import forget_photos
from catalog.models import Album, AlbumItem, Draft, Favourite, Library, Note, Photo, TrashItem
from changes.models import Shown
from tests.api.conftest import client_of as api_client_of
from tests.catalog.edits.test_ratings import write_all
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library, make_photo, make_user
from tests.pages.conftest import client_of

pytestmark = pytest.mark.django_db
DATA = make_jpeg(seed=7)


@pytest.fixture
def bob():
    return make_user("bob")


@pytest.fixture
def library(alice, bob, tmp_path) -> Library:
    """Stars, captions and dates stay in its catalog."""
    library = make_library(alice, tmp_path / "photos", members={bob: "viewer"})
    Library.objects.filter(pk=library.pk).update(ratings=Library.Ratings.DATABASE)
    library.refresh_from_db()
    return library


@pytest.fixture
def copies(library):
    """Three equal files; the first is to be kept."""
    return [make_photo(library, f"{name}.jpg", data=DATA) for name in "abc"]


def keep(user, copies):
    done = keeping.keep_one(user, copies[0].pk, copies[0].photo_md5)
    assert (done.count, done.problems) == (len(copies) - 1, [])
    return done


def undo(user, done):
    back = keeping.undo(user, done.items)
    assert (back.count, back.problems) == (done.count, [])


def album_of(user, *photos):
    album = albums.create(user, uuid4(), {"title": "Best"})
    items.add(user, album.pk, [Target("photo", photo.pk) for photo in photos])
    return album


def held(album):
    """The names of the photos that an album has, in order."""
    rows = AlbumItem.objects.live().filter(album=album, photo__state="ready").order_by("position", "pk")
    return "".join(row.photo.filename[0] for row in rows.select_related("photo"))


def purge(library):
    TrashItem.objects.all().delete()
    forget_photos(library, list(Photo.objects.filter(library=library, state="missing")))


def test_albums_of_everybody_hold_the_kept_one_and_no_longer_after_an_undo(library, alice, bob, copies):
    a, b, c = copies
    other = make_photo(library, "z.jpg")
    mine, both, his = album_of(alice, b, other), album_of(alice, a, c), album_of(bob, other, c)
    removed = album_of(alice, a, b)
    items.remove(alice, removed.pk, [AlbumItem.objects.get(album=removed, photo=a).pk])
    albums.patch(bob, his.pk, {"cover": str(c.pk)})
    before = [held(album) for album in (mine, both, his, removed)]
    assert before == ["bz", "ac", "zc", "b"]
    done = keep(alice, copies)
    assert [held(album) for album in (mine, both, his, removed)] == ["az", "a", "za", "a"]
    assert Album.objects.get(pk=his.pk).cover_id == a.pk
    assert AlbumItem.objects.get(album=his, photo=a).added_by == bob
    undo(alice, done)
    assert [held(album) for album in (mine, both, his, removed)] == before
    assert Album.objects.get(pk=his.pk).cover_id == c.pk
    keep(alice, copies)
    purge(library)
    assert [held(album) for album in (mine, both, his, removed)] == ["az", "a", "za", "a"]


@pytest.mark.parametrize("face", ["page", "api"])
def test_the_trash_gives_back_as_the_undo_does(library, alice, copies, face):
    a, b, _ = copies
    album = album_of(alice, b)
    set_caption(alice, b, "Of b")
    done = keep(alice, copies)
    assert (held(album), Photo.objects.get(pk=a.pk).caption) == ("a", "Of b")
    (item,) = TrashItem.objects.filter(photo=b)
    page = client_of(alice)
    assert page.get(f"/libraries/{library.pk}/trash/").content.count(b"a copy was kept") == 1 < len(done.items)
    if face == "page":
        answer = page.post(f"/libraries/{library.pk}/trash/restore/", {"item": [str(item.pk)]})
        assert answer.status_code == 302
    else:
        api = f"/api/v1/libraries/{library.pk}/trash/restore/"
        answer = api_client_of(alice).post(api, {"item_ids": [str(item.pk)]}, format="json")
        assert answer.json()["count"] == 1
    assert (held(album), Photo.objects.get(pk=a.pk).caption) == ("b", "")
    assert TrashItem.objects.count() == len(done.items) - 1


def test_who_may_not_see_the_kept_one_gets_it_neither_in_albums_nor_as_favourite(library, alice, bob, copies, tmp_path):
    attic = make_library(alice, tmp_path / "attic")
    kept, gone = make_photo(attic, "a.jpg", data=DATA), copies[1]
    his = album_of(bob, gone)
    shared = album_of(alice, gone)
    members.set_member(alice, shared.pk, bob, "viewer")
    set_favourite(bob, gone, 4)
    keeping.keep_one(alice, kept.pk, kept.photo_md5)
    assert [AlbumItem.objects.shown_to(bob).filter(album=album).count() for album in (his, shared)] == [0, 1]
    assert not Shown.objects.filter(scope=f"album:{his.pk}", object_id=kept.pk).exists()
    assert Shown.objects.filter(scope=f"album:{shared.pk}", object_id=kept.pk).exists()
    assert not Favourite.objects.filter(photo=kept).exists()


def test_favourites_of_others_come_along_and_own_ones_stay(library, alice, bob, copies):
    a, b, c = copies
    dora, eve = make_user("dora"), make_user("eve")
    library.memberships.create(user=dora, role="viewer")
    set_favourite(bob, b, 2)
    set_favourite(bob, c, 4)
    set_favourite(dora, a, 1)
    set_favourite(dora, b, 5)
    Favourite.objects.create(user=eve, photo=b, rating=5)  # who is no member any more
    done = keep(alice, copies)
    stars = Favourite.objects.filter(photo=a).order_by("user__username").values_list("user__username", "rating")
    assert list(stars) == [("bob", 4), ("dora", 1)]
    undo(alice, done)
    assert list(stars.all()) == [("dora", 1)] and Favourite.objects.filter(photo=c, user=bob, rating=4).exists()
    keep(alice, copies)
    purge(library)
    assert list(stars.all()) == [("bob", 4), ("dora", 1)]


def given(photo):
    photo.refresh_from_db()
    return photo.rating, photo.caption, photo.taken_local.year, photo.taken_source


def give(user, photo, stars=0, caption="", year=0):
    if stars:
        set_rating(user, photo, stars)
    if caption:
        set_caption(user, photo, caption)
    if year:
        set_dates(user, plan([photo], Setting(datetime(year, 1, 2))))


def test_stars_caption_and_date_fill_what_is_empty_and_go_back(library, alice, copies):
    a, b, c = copies
    before = given(a)
    give(alice, b, stars=2, caption="First", year=2001)
    give(alice, c, caption="Last")
    done = keep(alice, copies)
    assert given(a) == (2, "Last", 2001, "person")
    undo(alice, done)
    assert given(a) == before and not Photo.objects.get(pk=a.pk).taken_held
    assert (given(b), given(c)[1]) == ((2, "First", 2001, "person"), "Last")
    assert not Favourite.objects.filter(photo=a).exists()


def test_what_the_kept_one_was_given_is_not_overwritten(library, alice, copies):
    a, b, _ = copies
    give(alice, a, stars=1, caption="Mine", year=1999)
    give(alice, b, stars=5, caption="Other", year=2001)
    before = given(a)
    undo(alice, keep(alice, copies))
    assert given(a) == before
    keep(alice, copies)
    assert given(a) == before == (1, "Mine", 1999, "person")


def test_what_a_person_said_counts_before_what_the_files_say_and_a_files_time_is_no_date(library, alice, copies):
    a, b, c = copies
    Photo.objects.filter(pk__in=[a.pk, b.pk, c.pk]).update(caption="From the file", rating=3, taken_source="file")
    give(alice, b, stars=4, caption="Said", year=2001)
    Photo.objects.filter(pk=c.pk).update(taken_local=datetime(1990, 1, 1, tzinfo=UTC))
    keep(alice, copies)
    assert given(a) == (4, "Said", 2001, "person")


def test_what_the_file_of_a_similar_picture_says_is_not_overwritten(library, alice):
    a, b = (make_photo(library, f"{name}.jpg") for name in "ab")
    for number, photo in enumerate((a, b), 1):
        own = {"caption": f"Of {number}", "rating": number, "latitude": number, "longitude": number}
        Photo.objects.filter(pk=photo.pk).update(**own, taken_source="exif")
    set_place(alice, b, (9.0, 9.0))
    give(alice, b, stars=4, caption="Said", year=2001)
    before = given(a)
    assert keeping.keep_some(alice, [a.pk], [b.pk]).count == 1
    a.refresh_from_db()
    assert given(a) == before and (a.latitude, a.longitude) == (1, 1)


def test_what_a_person_took_from_the_kept_one_does_not_come_back_from_a_file(library, alice, copies):
    Photo.objects.filter(library=library).update(caption="From the file", rating=3)
    a = Photo.objects.get(pk=copies[0].pk)
    set_caption(alice, a, "")
    set_rating(alice, a, 0)
    before = given(a)
    keep(alice, copies)
    assert given(a) == before and before[1] == ""


def test_what_was_changed_since_stays_at_the_undo(library, alice, copies):
    a, b, _ = copies
    give(alice, b, stars=2, caption="Said")
    done = keep(alice, copies)
    give(alice, a, stars=5, caption="Better")
    undo(alice, done)
    assert given(a)[:2] == (5, "Better")


def test_a_favourite_that_its_person_changed_since_stays_at_the_undo(library, alice, bob, copies):
    a, b, _ = copies
    set_favourite(bob, b, 2)
    done = keep(alice, copies)
    set_favourite(bob, a, 5)
    undo(alice, done)
    assert set(Favourite.objects.filter(user=bob).values_list("photo", "rating")) == {(a.pk, 5), (b.pk, 2)}


def test_what_is_purged_while_it_is_to_come_back_leaves_all_to_the_kept_one(library, alice, copies, monkeypatch):
    album = album_of(alice, copies[1])
    done, restore = keep(alice, copies), keeping.trash.restore_items

    def purged(*of):
        purge(library)
        return restore(*of)

    monkeypatch.setattr(keeping.trash, "restore_items", purged)
    back = keeping.undo(alice, done.items)
    assert (back.count, len(back.problems), held(album)) == (0, 2, "a")


def test_notes_and_drafts_hold_the_kept_one(library, alice, copies):
    a, b, c = copies
    fields = {"content": "Rome", "attachments": [{"photo": str(b.pk)}, {"photo": str(c.pk)}]}
    note = notes.create(alice, uuid4(), fields)
    block = {"id": "b1", "type": "image", "attachment": {"photo": str(c.pk)}}
    draft = drafts.create(alice, uuid4(), {"blocks": [block]})
    before = Note.objects.get(pk=note.pk).attachments, Draft.objects.get(pk=draft.pk).blocks
    done = keep(alice, copies)
    assert {"photo": str(a.pk)} in Note.objects.get(pk=note.pk).attachments
    assert Draft.objects.get(pk=draft.pk).blocks[0]["attachment"] == {"photo": str(a.pk)}
    assert set(a.attached_to.values_list("note", "draft")) == {(note.pk, None), (None, draft.pk)}
    undo(alice, done)
    assert (Note.objects.get(pk=note.pk).attachments, Draft.objects.get(pk=draft.pk).blocks) == before
    assert not a.attached_to.exists()


def test_what_does_not_go_into_the_trash_hands_nothing_over(library, alice, copies):
    a, b, c = copies
    (Path(library.root) / "b.jpg").unlink()
    give(alice, b, stars=2)
    album = album_of(alice, b)
    done = keeping.keep_one(alice, a.pk, a.photo_md5)
    assert done.count == 1 and len(done.problems) == 1
    assert given(a)[0] is None and held(album) == "b" and TrashItem.objects.get().photo_id == c.pk


def test_stars_go_into_the_kept_file_and_an_undo_gives_its_bytes_back(alice, tmp_path):
    library = make_library(alice, tmp_path / "photos")
    for name in ("a.jpg", "b.jpg"):
        (Path(library.root) / name).write_bytes(DATA)
    scan(library)
    a, b = Photo.objects.order_by("filename")
    Photo.objects.filter(pk=b.pk).update(rating=3, rating_held=True, caption="Said", caption_held=True)
    done = keep(alice, [a, b])
    write_all(library)
    assert given(a)[:2] == (3, "Said") and (Path(library.root) / "a.jpg").read_bytes() != DATA
    keeping.undo(alice, done.items)
    write_all(library)
    assert given(a)[:2] == (None, "")
    assert (Path(library.root) / "b.jpg").read_bytes() == DATA


def test_keywords_that_people_gave_become_one_list_and_go_with_an_undo(alice, copies):
    a, b, c = copies
    set_keywords(alice, a, ["Mine", "Both"])
    set_keywords(alice, b, ["Both", "Theirs"])
    Photo.objects.filter(pk=c.pk).update(keywords=["In a file that says more"])
    done = keep(alice, copies)
    a.refresh_from_db()
    assert (a.keywords, a.keywords_held) == (["Mine", "Both", "Theirs"], True)
    undo(alice, done)
    a.refresh_from_db()
    assert a.keywords == ["Mine", "Both"]


def test_a_place_goes_over_and_what_nobody_could_be_given_stays_where_it_is(alice, copies):
    a, b, c = copies
    set_place(alice, b, (46.5, 8.0))
    Photo.objects.filter(pk=c.pk).update(keywords=["x" * 300, "Good"], latitude=0, longitude=0)
    done = keep(alice, copies)
    a.refresh_from_db()
    assert (a.latitude, a.longitude, a.keywords) == (46.5, 8.0, ["Good"])
    undo(alice, done)
    a.refresh_from_db()
    assert (a.latitude, a.longitude, a.keywords) == (None, None, [])


def test_no_place_at_all_does_not_go_over(alice, copies):
    a, _, c = copies
    Photo.objects.filter(pk=c.pk).update(latitude=0, longitude=0)
    keep(alice, copies)
    a.refresh_from_db()
    assert (a.latitude, a.longitude) == (None, None)
