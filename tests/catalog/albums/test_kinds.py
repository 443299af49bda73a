"""What devices are told of albums, items, notes and drafts, by the numbers of their scopes."""

from uuid import uuid4, uuid5

import pytest

from catalog.albums import albums, items, members, notes, trash
from catalog.edits import captions, ratings
from changes import scopes, types
from changes.fields import states_of
from changes.models import EndedScope, Scope, Shown
from changes.reading import StartOver, changes_since
from changes.types import Refused


def read(scope, cursor=""):
    """Return ({type: {id: data}}, cursor) of what changed."""
    page = changes_since(scope, cursor)
    found: dict = {}
    for change in page.changes:
        found.setdefault(change.kind, {})[change.id] = change.data
    return found, page.cursor


def test_devices_create_patch_and_delete_by_the_verbs_of_the_kinds(cast):
    key, note = uuid4(), uuid4()
    types.kind("album").verbs.create(cast.alice, key, {"title": "Paris"})
    types.kind("note").verbs.create(cast.alice, note, {"content": "Bonjour", "notedAt": "2024-05-17T12:30:00+02:00"})
    item = uuid5(key, f"note:{note}")
    fields = {"albumId": str(key), "targetType": "note", "targetId": str(note), "position": "V"}
    types.kind("albumItem").verbs.create(cast.alice, item, fields)
    scope = f"album:{key}"
    found, cursor = read(scope)
    assert found["album"][key]["title"] == "Paris" and found["album"][key]["owner"] == "alice"
    assert found["albumItem"][item].items() >= {**fields, "addedBy": "alice"}.items()
    assert found["note"][note]["content"] == "Bonjour" and found["note"][note]["notedAt"] == "2024-05-17T12:30:00+02:00"
    types.kind("album").verbs.patch(cast.alice, key, {"title": "Lyon"})
    types.kind("albumItem").verbs.delete(cast.alice, item)
    found, cursor = read(scope, cursor)
    assert found["album"][key]["title"] == "Lyon"
    assert found["albumItem"] == {item: None} and found["note"] == {note: None}
    types.kind("albumItem").verbs.create(cast.alice, item, fields)
    types.kind("album").verbs.delete(cast.alice, key)
    found, cursor = read(scope, cursor)
    assert found["album"] == {key: None} and found["albumItem"][item] and found["note"][note]
    types.kind("album").verbs.create(cast.alice, key, {"title": "Paris"})  # an edit brings back what it finds deleted
    assert read(scope, cursor)[0]["album"][key]["title"] == "Paris"


def test_an_album_created_again_comes_back_from_the_trash_with_the_cover_that_is_given(cast):
    cast.add(cast.photos[0])
    albums.delete(cast.alice, cast.album.pk)
    fields = {"title": "Rome", "cover": str(cast.photos[0].pk)}
    types.kind("album").verbs.create(cast.alice, cast.album.pk, fields)
    found = read(f"album:{cast.album.pk}")[0]["album"][cast.album.pk]
    assert (found["title"], found["cover"]) == ("Rome", str(cast.photos[0].pk))


def test_field_states_say_who_changed_what(cast):
    scopes.number(f"album:{cast.album.pk}")
    albums.patch(cast.alice, cast.album.pk, {"title": "Rome", "description": "New"})
    (item,) = cast.add(cast.photos[0])
    items.patch(cast.alice, item.pk, {"position": "b"})
    said = states_of("album", [cast.album.pk])[cast.album.pk]
    assert said.keys() == {"title", "description"}  # the title since the album was made
    assert said["title"].version is not None and said["description"].version is None
    state = states_of("albumItem", [item.pk])[item.pk]["position"]
    assert (state.actor, state.device) == (cast.alice.pk, None)


def test_every_field_that_a_verb_takes_is_declared_writable_and_every_key_declared(cast):
    note = notes.create(cast.alice, uuid4(), {"content": "x"})
    items.add(cast.alice, cast.album.pk, [items.Target("note", note.pk)])
    types.kind("draft").verbs.create(cast.alice, uuid4(), {"blocks": []})
    for scope in (f"album:{cast.album.pk}", f"user:{cast.alice.pk}"):
        for name, things in read(scope)[0].items():
            for data in things.values():
                assert set(data) == {field.name for field in types.kind(name).fields}, name
    for name, module in (("album", albums), ("albumItem", items), ("note", notes)):
        writable = {field.name for field in types.kind(name).fields if field.writable}
        assert writable == set(module.READERS)


def test_members_come_and_go(cast):
    scope = f"album:{cast.album.pk}"
    note = notes.create(cast.bob, uuid4(), {"content": "x"})
    members.set_member(cast.alice, cast.album.pk, cast.bob, "editor")
    items.add(cast.bob, cast.album.pk, [items.Target("note", note.pk)])
    found, cursor = read(scope)
    assert found["album"][cast.album.pk]["members"] == [{"username": "bob", "role": "editor"}]
    assert note.pk in found["note"]
    members.remove_member(cast.alice, cast.album.pk, cast.bob)
    found, cursor = read(scope, cursor)
    assert found["album"][cast.album.pk]["members"] == [] and found["note"] == {note.pk: None}
    assert EndedScope.objects.get(user=cast.bob).scope == scope
    members.set_member(cast.alice, cast.album.pk, cast.bob, "viewer")
    assert not EndedScope.objects.exists() and read(scope, cursor)[0]["note"][note.pk]


def test_an_album_deleted_for_good_ends_its_scope_for_all(cast):
    members.set_member(cast.alice, cast.album.pk, cast.bob, "editor")
    note = notes.create(cast.alice, uuid4(), {"content": "x"})
    items.add(cast.alice, cast.album.pk, [items.Target("note", note.pk)])
    trash.forget_album(cast.album)
    assert {one.user_id for one in EndedScope.objects.all()} == {cast.alice.pk, cast.bob.pk}
    assert not Shown.objects.exists()


def test_whoever_knew_an_album_before_it_was_deleted_for_good_and_made_again_starts_over(cast):
    key = cast.album.pk
    scope = f"album:{key}"
    _, cursor = read(scope)
    highest = Scope.objects.get(name=scope).version
    trash.forget_album(cast.album)
    cast.album = albums.create(cast.alice, key, {"title": "Rome"})
    cast.add(*cast.photos)  # it has more numbers than before
    (row, *_) = changes_since(scope).changes
    assert row.version > highest
    with pytest.raises(StartOver):
        changes_since(scope, cursor)


def test_what_a_verb_refuses_is_a_refusal_for_devices(cast):
    with pytest.raises(Refused) as refused:
        types.kind("album").verbs.patch(cast.charlie, cast.album.pk, {"title": "x"})
    assert refused.value.reason == "not_found"


def test_deleting_a_user_leaves_nothing_of_theirs_in_others_albums(cast):
    members.set_member(cast.alice, cast.album.pk, cast.bob, "editor")
    note = notes.create(cast.bob, uuid4(), {"content": "x"})
    items.add(cast.bob, cast.album.pk, [items.Target("note", note.pk)])
    _, cursor = read(f"album:{cast.album.pk}")
    cast.bob.delete()
    found, _ = read(f"album:{cast.album.pk}", cursor)
    assert found["album"][cast.album.pk]["members"] == []
    assert set(found["albumItem"].values()) == {None} and found["note"] == {note.pk: None}
    cast.alice.delete()


def test_a_photo_in_an_album_tells_its_facts_and_their_changes_and_not_where_it_is(cast):
    photo = cast.photos[0]
    (item,) = cast.add(photo)
    members.set_member(cast.alice, cast.album.pk, cast.charlie, "viewer")
    scope = f"album:{cast.album.pk}"
    found, cursor = read(scope)
    told = found["photo"][photo.pk]
    assert told["mediaType"] == photo.media_type and told["rating"] is None
    assert not {"path", "library", "libraryId", "directory", "filename"} & told.keys()
    assert photo.filename not in str(found) and str(photo.library_id) not in str(found)
    ratings.set_rating(cast.alice, photo, 4)
    captions.set_caption(cast.alice, photo, "By the river")
    found, cursor = read(scope, cursor)
    assert (found["photo"][photo.pk]["rating"], found["photo"][photo.pk]["caption"]) == (4, "By the river")
    assert read(scope, cursor)[0] == {}
    items.remove(cast.alice, cast.album.pk, [item.pk])
    found, _ = read(scope, cursor)
    assert found["photo"] == {photo.pk: None} and found["albumItem"] == {item.pk: None}
