"""What albums and notes hold of a photo follows it to another row, and goes with it for good."""

from uuid import uuid4

import pytest

from catalog.albums import albums, items, notes
from catalog.files.purge import forget_photos
from catalog.identity.wishes import Wishes
from catalog.libraries.forget import forget_library
from catalog.models import Album, AlbumItem, Attachment, Note
from tests.factories import make_library, make_photos

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(alice, tmp_path):
    """Return (album, library, old, new): the new photo is in the album, its cover, and attached to a note."""
    library = make_library(alice, tmp_path / "photos")
    old, new = make_photos(library, 2)
    album = albums.create(alice, uuid4(), {"title": "Rome"})
    items.add(alice, album.pk, [items.Target("photo", new.pk)])
    albums.patch(alice, album.pk, {"cover": str(new.pk)})
    notes.create(alice, uuid4(), {"attachments": [{"photo": str(new.pk)}]})
    return album, library, old, new


def lead(library, new, old):
    wishes = Wishes.of([new.pk, old.pk])
    assert not wishes.are_none(new)
    wishes.lead(library, new, old)


def test_they_follow_the_photo_to_the_row_that_stays(held):
    album, library, old, new = held
    before = AlbumItem.objects.get()
    lead(library, new, old)
    item = AlbumItem.objects.get()
    assert (item.photo_id, item.position, item.added_at) == (old.pk, before.position, before.added_at)
    assert items.create(album.owner, item.pk, {"albumId": album.pk, "targetType": "photo", "targetId": old.pk}) == item
    assert Album.objects.get().cover_id == old.pk
    assert Note.objects.get().attachments == [{"photo": str(old.pk)}] and Attachment.objects.get().photo_id == old.pk


@pytest.mark.parametrize("was_removed", [True, False])
def test_an_album_that_has_both_keeps_one(held, was_removed):
    album, library, old, new = held
    kept = items.add(album.owner, album.pk, [items.Target("photo", old.pk)]).items[0]
    if was_removed:
        items.delete(album.owner, kept.pk)
    lead(library, new, old)
    item = AlbumItem.objects.get()
    assert (item.pk, item.trashed_at) == (kept.pk, None)


@pytest.mark.parametrize(
    "forget", [lambda library, new: forget_photos(library, [new]), lambda one, _: forget_library(one)]
)
def test_a_photo_that_is_deleted_for_good_leaves_its_albums(held, forget):
    _, library, _, new = held
    forget(library, new)
    assert not AlbumItem.objects.exists() and Album.objects.get().cover_id is None
