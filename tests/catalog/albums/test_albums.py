"""Albums: what their fields take, who may do what, trash and handing over."""

import unicodedata
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.albums import albums, items, members, trash
from catalog.albums.refusals import Refused
from catalog.models import Album, AlbumItem, AlbumMember


def refusal(verb, *arguments):
    """Return why a verb refuses."""
    with pytest.raises(Refused) as refused:
        verb(*arguments)
    return refused.value


def test_an_album_is_made_once_with_the_id_of_the_client(cast):
    key = uuid4()
    made = albums.create(cast.alice, key, {"title": "Paris", "description": "Été", "order": "taken_asc"})
    albums.patch(cast.alice, key, {"title": "Paris 2024"})
    again = albums.create(cast.alice, key, {"title": "Paris"})
    assert (made.pk, again.title) == (key, "Paris 2024")
    assert refusal(albums.create, cast.bob, key, {"title": "Mine"}).reason == "id_taken"
    assert Album.objects.get(pk=key).owner == cast.alice


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": "x" * 201}, "title may have 200 characters at most; this has 201."),
        ({"title": "  "}, "title must not be empty."),
        ({"title": "a\0b"}, "title contains the character NUL"),
        ({"title": "a\ud800"}, "half a character"),
        ({"title": 5}, "title must be a text."),
        ({"description": "x" * 10_001}, "description may have 10,000 characters at most; this has 10,001."),
        ({"order": "random"}, "order must be one of manual, taken_asc, taken_desc, added."),
        ({"allowsOriginals": 1}, "allowsOriginals must be true or false."),
        ({"query": {"rating": 5}}, 'query is null, or a search as {"q": "beach rome"}.'),
        ({"query": {"q": "taken:soon"}}, "(At character 1 of the search.)"),
        ({"query": {"q": " "}}, "query must not be empty."),
        ({"query": {"q": "-"}}, "must not be empty."),
        ({"owner": "bob"}, "no field owner"),
        ({"cover": "x"}, "cover must be an id"),
    ],
)
def test_what_no_album_can_be(cast, fields, sentence):
    refused = refusal(albums.patch, cast.alice, cast.album.pk, fields)
    assert (refused.reason, refused.field) == ("invalid", next(iter(fields)))
    assert sentence in refused.detail and refused.detail.endswith("Nothing was changed.")
    assert Album.objects.get(pk=cast.album.pk).title == "Rome"


def test_texts_are_composed_and_never_cut(cast):
    album = albums.patch(cast.alice, cast.album.pk, {"title": unicodedata.normalize("NFD", "é" * 200)})
    assert Album.objects.get(pk=album.pk).title == "é" * 200


def test_who_may_do_what(cast):
    key, before = cast.album.pk, Album.objects.values().get(pk=cast.album.pk)
    verbs = [
        (albums.patch, {"title": "No"}),
        (albums.delete,),
        (albums.restore,),
        (albums.hand_over, cast.charlie),
        (members.set_member, cast.charlie, "editor"),
    ]
    for verb, *more in verbs:
        assert refusal(verb, cast.charlie, key, *more).reason == "not_found"
    members.set_member(cast.alice, key, cast.charlie, "viewer")
    for verb, *more in verbs:
        assert refusal(verb, cast.charlie, key, *more).reason == "permission_denied"
    members.set_member(cast.alice, key, cast.charlie, "editor")
    for verb, *more in verbs[1:]:
        assert refusal(verb, cast.charlie, key, *more).reason == "permission_denied"
    assert refusal(albums.patch, cast.charlie, key, {"allowsOriginals": True}).reason == "permission_denied"
    assert Album.objects.values().get(pk=key) == before
    assert albums.patch(cast.charlie, key, {"title": "Yes"}).title == "Yes"
    assert members.remove_member(cast.charlie, key, cast.charlie)  # whoever is a member may leave
    assert refusal(albums.patch, cast.charlie, key, {"title": "No"}).reason == "not_found"


def test_the_trash_hides_an_album_from_its_members_until_it_is_restored(cast):
    members.set_member(cast.alice, cast.album.pk, cast.bob, "editor")
    cast.add(*cast.photos)
    albums.delete(cast.alice, cast.album.pk)
    assert not Album.objects.visible_to(cast.alice).exists() and not Album.objects.visible_to(cast.bob).exists()
    assert Album.objects.in_trash_of(cast.alice).get() == cast.album
    assert refusal(albums.patch, cast.alice, cast.album.pk, {"title": "x"}).reason == "not_found"
    assert refusal(albums.restore, cast.bob, cast.album.pk).reason == "not_found"
    albums.restore(cast.alice, cast.album.pk)
    assert Album.objects.visible_to(cast.bob).get().items.live().count() == 3


def test_after_30_days_it_goes_for_good(cast):
    cast.add(*cast.photos)
    kept = albums.create(cast.alice, uuid4(), {"title": "Kept"})
    albums.delete(cast.alice, cast.album.pk)
    now = timezone.now()
    assert trash.delete_what_is_due(now + timedelta(days=29)) == 0
    assert trash.delete_what_is_due(now + timedelta(days=31)) == 1
    assert list(Album.objects.all()) == [kept] and not AlbumItem.objects.exists()


def test_handing_over_leaves_the_former_owner_an_editor(cast):
    assert refusal(albums.hand_over, cast.alice, cast.album.pk, cast.bob).reason == "missing_ref"
    members.set_member(cast.alice, cast.album.pk, cast.bob, "viewer")
    albums.hand_over(cast.alice, cast.album.pk, cast.bob)
    assert Album.objects.get(pk=cast.album.pk).owner == cast.bob
    assert [(one.user, one.role) for one in AlbumMember.objects.all()] == [(cast.alice, "editor")]
    assert refusal(albums.delete, cast.alice, cast.album.pk).reason == "permission_denied"


def test_the_cover_is_a_photo_of_the_album(cast):
    one, other = cast.photos[:2]
    (item,) = cast.add(one)
    assert refusal(albums.patch, cast.alice, cast.album.pk, {"cover": str(other.pk)}).reason == "missing_ref"
    albums.patch(cast.alice, cast.album.pk, {"cover": str(one.pk)})
    assert Album.objects.get(pk=cast.album.pk).cover == one
    items.remove(cast.alice, cast.album.pk, [item.pk])
    assert Album.objects.get(pk=cast.album.pk).cover is None
