"""Whatever people do to albums, notes and drafts, a copy that only reads what changed is the same as a new one.

And an album's devices have the photos and notes that a member sees in it: neither more nor less.
"""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.albums import access, albums, drafts, items, members, notes, trash
from catalog.albums.items import NOTE, PHOTO, Target
from catalog.edits.captions import set_caption
from catalog.edits.stars import star
from catalog.files.purge import forget_photos
from catalog.identity.wishes import Wishes
from catalog.libraries.forget import forget_library
from catalog.libraries.members import remove_member as remove_from_library
from catalog.libraries.members import set_member as let_into_library
from catalog.models import Album, Photo
from changes.models import EndedScope, Shown
from changes.types import scope_name
from tests.factories import make_library, make_photos

from .following import Followers

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered():
    """Let the types of the apps be there, in place of those of the other tests here."""


@pytest.fixture
def life(alice, bob, charlie, tmp_path):
    return Life(alice, bob, charlie, tmp_path)


class Life:
    """Libraries of alice's and bob's, and alice's album, which charlie, who sees no library, only looks at."""

    def __init__(self, alice, bob, charlie, tmp_path):
        self.alice, self.bob, self.charlie = alice, bob, charlie
        self.library, self.bobs = make_library(alice, tmp_path / "alice"), make_library(bob, tmp_path / "bob")
        self.photos, self.bobs_photos = make_photos(self.library, 4), make_photos(self.bobs, 2)
        self.album = uuid4()
        self.scope = scope_name("album", self.album)
        libraries = [scope_name("library", library.pk) for library in (self.library, self.bobs)]
        people = [scope_name("user", user.pk) for user in (alice, bob)]
        self.followers = Followers([self.scope, *libraries, *people])
        self.step("library", "photo")
        albums.create(alice, self.album, {"title": "Rome"})
        members.set_member(alice, self.album, charlie, "viewer")
        self.step("album")

    def step(self, *expected):
        """Compare the copies, which have to have heard of changes of these types, and the album's with what charlie sees."""
        came = self.followers.pull()
        assert came >= set(expected), (expected, came)
        if Album.objects.visible_to(self.charlie).filter(pk=self.album).exists():
            seen = access.items_of(self.charlie, self.album).filter(note__isnull=False)
            assert self.held("note") == set(seen.values_list("note", flat=True))
            assert self.held("photo") == set(access.photos_in(self.charlie, self.album).values_list("pk", flat=True))

    def held(self, kind):
        """Return the ids of the things of a type that the album's devices have."""
        return {key for name, key in self.followers.copies[self.scope].rows if name == kind}

    def add(self, user, *things):
        """Put photos and notes into the album; return the items' ids."""
        targets = [Target(NOTE if hasattr(thing, "content") else PHOTO, thing.pk) for thing in things]
        added = items.add(user, self.album, targets)
        assert not added.errors
        return [item.pk for item in added.items]

    def let_in_bob(self):
        members.set_member(self.alice, self.album, self.bob, "editor")
        self.step("album")


def test_what_is_said_of_an_album_and_what_becomes_of_its_items(life):
    alice, album, photos = life.alice, life.album, life.photos
    first, second, third = life.add(alice, *photos[:3])
    life.step("albumItem", "photo")
    albums.patch(alice, album, {"title": "Roma", "description": "Spring", "order": "added", "cover": photos[0].pk})
    life.step("album")
    set_caption(alice, photos[0], "By the river")
    star(alice, photos[1].pk, 4)
    life.step("photo", "favourite")
    items.move(alice, album, [third], None)
    life.step("albumItem")
    items.patch(alice, first, {"position": "zz"})
    life.step("albumItem")
    items.remove(alice, album, [first, second])
    life.step("album", "-albumItem", "-photo")
    items.restore(alice, album, [first])
    life.step("albumItem", "photo")
    items.bring_back(alice, second)
    life.step("albumItem", "photo")
    items.delete(alice, second)
    life.step("-albumItem", "-photo")
    life.add(alice, photos[1])  # what was removed comes back
    life.step("albumItem", "photo")
    key = items.album_item_id(album, PHOTO, photos[3].pk)
    items.create(alice, key, {"albumId": str(album), "targetType": "photo", "targetId": str(photos[3].pk)})
    life.step("albumItem", "photo")
    forget_photos(life.library, [photos[3]])
    life.step("-albumItem", "-photo")
    albums.delete(alice, album)
    life.step("-album")
    albums.restore(alice, album)
    life.step("album")


def test_what_is_written_in_notes_and_drafts(life):
    alice, album, photos = life.alice, life.album, life.photos
    note = notes.create(alice, uuid4(), {"content": "By the river"})
    life.step("note")
    life.add(alice, note)
    life.step("albumItem", "note")
    notes.patch(alice, note.pk, {"content": "Beside it", "attachments": [{"photo": str(photos[0].pk)}]})
    life.step("note", "photo")
    assert life.held("photo") == {photos[0].pk}
    notes.delete(alice, note.pk)
    life.step("-note", "-photo")
    notes.restore(alice, note.pk)
    life.step("note", "photo")
    blocks = [{"id": "1", "type": "text", "text": "One"}]
    draft = drafts.create(alice, uuid4(), {"blocks": blocks})
    life.step("draft")
    blocks.append({"id": "2", "type": "image", "attachment": {"photo": str(photos[1].pk)}})
    drafts.patch(alice, draft.pk, {"blocks": blocks, "albums": [str(album)]})
    life.step("draft")
    drafts.delete(alice, draft.pk)
    life.step("-draft")
    drafts.restore(alice, draft.pk)
    life.step("draft")
    drafts.publish(alice, draft.pk)
    life.step("-draft", "note", "albumItem", "photo")
    assert life.held("photo") == {photos[0].pk, photos[1].pk}


def test_a_photo_that_turns_out_to_be_another_one(life):
    """A scan finds that a new photo is one that was there before: what held the new one holds the former one."""
    alice, (former, new, attached, _) = life.alice, life.photos
    note = notes.create(alice, uuid4(), {"content": "x", "attachments": [{"photo": str(attached.pk)}]})
    life.add(alice, new, note)
    life.step("albumItem", "photo", "note")
    for found, there in ((new, former), (attached, life.photos[3])):
        Wishes.of([found.pk, there.pk]).lead(life.library, found, there)
        Photo.objects.filter(pk=found.pk).delete()
    life.step("-albumItem", "albumItem", "-photo", "photo", "note")
    assert life.held("photo") == {former.pk, life.photos[3].pk}


def test_what_is_in_the_trash_for_30_days(life):
    alice, album, photos = life.alice, life.album, life.photos
    note = notes.create(alice, uuid4(), {"content": "x", "attachments": [{"photo": str(photos[0].pk)}]})
    item, _ = life.add(alice, photos[1], note)
    draft = drafts.create(alice, uuid4(), {"blocks": []})
    life.step("albumItem", "photo", "note", "draft")
    items.delete(alice, item)
    notes.delete(alice, note.pk)
    drafts.delete(alice, draft.pk)
    life.step("-albumItem", "-photo", "-note", "-draft")
    assert trash.delete_what_is_due(timezone.now() + timedelta(days=31)) == 3
    life.step("-albumItem", "-note", "-draft")
    assert not Shown.objects.exists()
    life.add(alice, photos[1])
    life.step("albumItem", "photo")
    albums.delete(alice, album)
    life.step("-album")
    assert trash.delete_what_is_due(timezone.now() + timedelta(days=31)) == 1
    life.followers.forget(life.scope)
    assert set(EndedScope.objects.values_list("user", "scope")) == {
        (alice.pk, life.scope),
        (life.charlie.pk, life.scope),
    }


def test_who_is_in_it(life):
    alice, bob, album = life.alice, life.bob, life.album
    life.let_in_bob()
    note = notes.create(bob, uuid4(), {"content": "x", "attachments": [{"photo": str(life.bobs_photos[1].pk)}]})
    life.add(bob, life.bobs_photos[0], note)
    life.add(alice, life.photos[0])
    life.step("albumItem", "photo", "note")
    assert life.held("photo") == {life.photos[0].pk, *(photo.pk for photo in life.bobs_photos)}
    members.set_member(alice, album, bob, "viewer")
    life.step("album")
    members.remove_member(bob, album, bob)
    life.step("album", "-photo", "-note")
    assert life.held("photo") == {life.photos[0].pk}
    members.set_member(alice, album, bob, "editor")
    life.step("album", "photo", "note")
    albums.hand_over(alice, album, bob)
    life.step("album")
    members.remove_member(bob, album, alice)
    life.step("album", "-photo")
    assert life.held("photo") == {photo.pk for photo in life.bobs_photos}


def test_who_may_share_the_photos_of_a_library(life):
    alice = life.alice
    let_into_library(life.bobs, alice, "editor")
    note = notes.create(alice, uuid4(), {"content": "x", "attachments": [{"photo": str(life.bobs_photos[1].pk)}]})
    life.add(alice, life.bobs_photos[0], note)
    life.step("albumItem", "photo", "note")
    let_into_library(life.bobs, alice, "viewer")
    life.step("-photo")
    assert life.held("photo") == set()
    let_into_library(life.bobs, alice, "editor")
    life.step("photo")
    remove_from_library(life.bobs, alice)
    life.step("-photo")
    let_into_library(life.bobs, alice, "editor")
    life.step("photo")
    scope = scope_name("library", life.bobs.pk)
    forget_library(life.bobs)
    life.followers.forget(scope)
    life.step("-albumItem", "-photo")
    assert not Shown.objects.filter(kind="photo").exists()


def test_who_leaves_for_good(life):
    life.let_in_bob()
    note = notes.create(life.bob, uuid4(), {"content": "x", "attachments": [{"photo": str(life.bobs_photos[1].pk)}]})
    life.add(life.bob, life.bobs_photos[0], note)
    life.step("albumItem", "photo", "note")
    scopes = [scope_name("user", life.bob.pk), scope_name("library", life.bobs.pk)]
    life.bob.delete()
    for scope in scopes:
        life.followers.forget(scope)
    life.step("album", "-albumItem", "-photo", "-note")
    assert not Shown.objects.exists()
    alice = scope_name("user", life.alice.pk)
    life.alice.delete()
    for scope in (life.scope, scope_name("library", life.library.pk), alice):
        life.followers.forget(scope)
    life.step()
