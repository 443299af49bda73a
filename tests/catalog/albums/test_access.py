"""What people see in an album, and nothing else; what ends, ends with the next question."""

import io
from uuid import uuid4

import pytest

from catalog.albums import access, albums, items, media, members, notes
from catalog.albums.refusals import Refused
from catalog.libraries.members import remove_member as remove_from_library
from catalog.libraries.members import set_member as let_into_library
from catalog.models import AlbumItem, Note, Photo
from tests.factories import make_library, make_photos


def seen(cast, user):
    """Return the numbers of alice's photos that `user` sees in the album."""
    keys = set(access.photos_in(user, cast.album.pk).values_list("pk", flat=True))
    listed = set(access.items_of(user, cast.album.pk).filter(photo__isnull=False).values_list("photo", flat=True))
    assert listed <= keys
    return [number for number, photo in enumerate(cast.photos) if photo.pk in keys]


@pytest.fixture
def shared(cast):
    """Bob sees the album, in which the first photo is; the second is attached to a note there; the third is not."""
    members.set_member(cast.alice, cast.album.pk, cast.bob, "viewer")
    cast.add(cast.photos[0])
    note = notes.create(cast.alice, uuid4(), {"content": "x", "attachments": [{"photo": str(cast.photos[1].pk)}]})
    items.add(cast.alice, cast.album.pk, [items.Target("note", note.pk)])
    return cast


def test_a_member_sees_what_is_in_the_album_and_nothing_of_the_library(shared):
    assert seen(shared, shared.bob) == [0, 1]
    assert not Photo.objects.visible_to(shared.bob).exists()
    assert seen(shared, shared.charlie) == []
    assert seen(shared, shared.alice) == [0, 1]


@pytest.mark.parametrize("ending", ["member", "album", "item", "photo", "library"])
def test_what_ends_ends_at_once(shared, ending):
    cast = shared
    if ending == "member":
        members.remove_member(cast.alice, cast.album.pk, cast.bob)
    elif ending == "album":
        albums.delete(cast.alice, cast.album.pk)
    elif ending == "item":
        items.remove(cast.alice, cast.album.pk, list(cast.album.items.values_list("pk", flat=True)))
    elif ending == "photo":
        Photo.objects.update(is_shown=False, state=Photo.State.MISSING)
    else:  # alice owns the album, but no longer the library
        type(cast.library).objects.filter(pk=cast.library.pk).update(owner=cast.charlie)
    assert seen(cast, cast.bob) == []


def test_who_may_edit_a_library_shares_its_photos_until_they_may_not(cast, tmp_path):
    let_into_library(cast.library, cast.bob, "editor")
    album = albums.create(cast.bob, uuid4(), {"title": "Bob's"})
    cast.album = album
    members.set_member(cast.bob, album.pk, cast.charlie, "viewer")
    cast.add(*cast.photos, user=cast.bob)
    assert seen(cast, cast.charlie) == [0, 1, 2]
    let_into_library(cast.library, cast.bob, "viewer")
    assert seen(cast, cast.charlie) == [] and seen(cast, cast.bob) == [0, 1, 2]
    remove_from_library(cast.library, cast.bob)
    assert seen(cast, cast.bob) == []  # an album of one's own is no way around
    assert AlbumItem.objects.live().count() == 3


def test_what_one_only_sees_is_not_shared_by_sharing_the_album_later(cast):
    let_into_library(cast.library, cast.bob, "viewer")
    cast.album = albums.create(cast.bob, uuid4(), {"title": "Bob's"})
    cast.add(cast.photos[0], user=cast.bob)
    members.set_member(cast.bob, cast.album.pk, cast.charlie, "viewer")
    assert seen(cast, cast.bob) == [0] and seen(cast, cast.charlie) == []


def test_who_leaves_an_album_shares_nothing_there_any_more(cast, tmp_path):
    library = make_library(cast.bob, tmp_path / "bobs")
    cast.photos = make_photos(library, 2)
    for member, role in ((cast.bob, "editor"), (cast.charlie, "viewer")):
        members.set_member(cast.alice, cast.album.pk, member, role)
    cast.add(*cast.photos, user=cast.bob)
    note = notes.create(cast.bob, uuid4(), {"content": "x"})
    items.add(cast.bob, cast.album.pk, [items.Target("note", note.pk)])
    assert seen(cast, cast.charlie) == [0, 1] and access.note_seen_by(cast.charlie, note.pk) == note
    members.remove_member(cast.bob, cast.album.pk, cast.bob)
    assert seen(cast, cast.charlie) == [] == seen(cast, cast.alice)
    with pytest.raises(Refused, match="no such note"):
        access.note_seen_by(cast.charlie, note.pk)


def test_originals_are_for_whom_the_owner_allows_them(shared):
    key = shared.photos[0].pk
    with pytest.raises(Refused) as refused:
        access.check_original(shared.bob, shared.album.pk, key)
    assert refused.value.reason == "permission_denied"
    access.check_original(shared.alice, shared.album.pk, key)
    albums.patch(shared.alice, shared.album.pk, {"allowsOriginals": True})
    access.check_original(shared.bob, shared.album.pk, key)
    with pytest.raises(Refused) as refused:
        access.check_original(shared.charlie, shared.album.pk, key)
    assert refused.value.reason == "not_found"


def test_a_file_is_seen_by_whom_the_note_is_seen(shared):
    file = media.keep(shared.alice, io.BytesIO(b"x").read, "image/png")
    note = Note.objects.get()
    notes.patch(shared.alice, note.pk, {"attachments": [{"media_md5": file.md5}]})
    assert access.media_seen_by(shared.bob, note.pk, file.md5) == file
    for user, md5 in ((shared.charlie, file.md5), (shared.bob, "0" * 32)):
        with pytest.raises(Refused) as refused:
            access.media_seen_by(user, note.pk, md5)
        assert refused.value.reason == "not_found"
    members.remove_member(shared.alice, shared.album.pk, shared.bob)
    with pytest.raises(Refused):
        access.media_seen_by(shared.bob, note.pk, file.md5)
