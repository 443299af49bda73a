"""Albums that are a saved search: what they find, what they refuse, and that they come to devices."""

from pathlib import Path
from uuid import uuid4

import pytest

from catalog.albums import albums, items, members, smart
from catalog.albums.kinds import album_json
from catalog.albums.refusals import Refused
from catalog.browsing import photo_lists, smart_cards
from catalog.browsing.filters import PhotoFilters
from catalog.models import Album
from catalog.searching import grammar
from catalog.searching.conditions import albums_named
from catalog.words import indexing
from catalog.words.lookup import Phrase
from changes.types import scope_name
from tests.catalog.albums.conftest import Cast
from tests.changes.following import Followers
from tests.factories import make_library, make_photo


def saved(cast: Cast, text: str, title: str = "Saved") -> Album:
    return albums.create(cast.alice, uuid4(), {"title": title, "query": {"q": text}})


def refusal(verb: object, *arguments: object) -> Refused:
    with pytest.raises(Refused) as refused:
        verb(*arguments)  # type: ignore[operator]
    return refused.value


def test_it_finds_what_its_search_finds_now(cast: Cast) -> None:
    beach = make_photo(cast.library, "beach/one.jpg", rating=5)
    make_photo(cast.library, "beach/two.jpg", rating=1)
    album = saved(cast, "  beach rating:5 ")
    assert Album.objects.get(pk=album.pk).query == {"q": "beach rating:5"}
    here = PhotoFilters(album=album.pk)
    assert list(photo_lists.photos(cast.alice, here)) == [beach]
    another = make_photo(cast.library, "beach/three.jpg", rating=5)
    rows = photo_lists.photo_page(cast.alice, here, {}).rows
    assert {row["id"] for row in rows} == {beach.pk, another.pk}
    assert sum(bucket["count"] for bucket in photo_lists.timeline_buckets(cast.alice, here)) == 2
    both = PhotoFilters(album=album.pk, query=grammar.parse("three"))
    assert list(photo_lists.photos(cast.alice, both)) == [another]
    month = f"{beach.taken_local:%Y-%m}"
    assert len(photo_lists.timeline_bucket(cast.alice, here, [month])["id"]) == 2


def test_an_album_of_items_is_no_search_for_everything(cast: Cast) -> None:
    cast.add(cast.photos[0])
    here = PhotoFilters(album=cast.album.pk)
    assert list(photo_lists.photos(cast.alice, here)) == [cast.photos[0]]
    assert list(photo_lists.photos(cast.bob, here)) == []
    assert sum(bucket["count"] for bucket in photo_lists.timeline_buckets(cast.alice, here)) == 1
    narrowed = PhotoFilters(album=cast.album.pk, query=grammar.parse("jpg"))
    assert sum(bucket["count"] for bucket in photo_lists.timeline_buckets(cast.alice, narrowed)) == 1


def test_it_is_its_owners_alone(cast: Cast) -> None:
    album = saved(cast, "jpg")
    assert list(photo_lists.photos(cast.bob, PhotoFilters(album=album.pk))) == []
    own = make_photo(make_library(cast.bob, Path(f"{cast.library.root}-of-bob")), "a.jpg")
    assert list(photo_lists.photos(cast.bob, PhotoFilters(album=album.pk))) == []
    assert smart.saved_search(cast.bob, album.pk) == ""
    assert own not in photo_lists.photos(cast.alice, PhotoFilters(album=album.pk))
    assert refusal(members.set_member, cast.alice, album.pk, cast.bob, "viewer").reason == "invalid"


def test_it_takes_nothing_and_nothing_becomes_it_that_holds_something(cast: Cast) -> None:
    album = saved(cast, "jpg")
    target = [items.Target("photo", cast.photos[0].pk)]
    assert "saved search" in refusal(items.add, cast.alice, album.pk, target).detail
    cast.add(cast.photos[0])
    change = {"query": {"q": "jpg"}}
    assert refusal(albums.patch, cast.alice, cast.album.pk, change).field == "query"
    shared = albums.create(cast.alice, uuid4(), {"title": "Shared"})
    members.set_member(cast.alice, shared.pk, cast.bob, "viewer")
    assert refusal(albums.patch, cast.alice, shared.pk, change).field == "query"
    empty = albums.create(cast.alice, uuid4(), {"title": "Empty"})
    assert albums.patch(cast.alice, empty.pk, change).query == {"q": "jpg"}
    assert albums.patch(cast.alice, empty.pk, {"query": None}).query is None
    items.add(cast.alice, empty.pk, target)


def test_it_is_changed_deleted_and_brought_back(cast: Cast) -> None:
    album = saved(cast, "nothing-there")
    albums.patch(cast.alice, album.pk, {"query": {"q": "jpg"}, "title": "All"})
    assert photo_lists.photos(cast.alice, PhotoFilters(album=album.pk)).count() == 3
    albums.delete(cast.alice, album.pk)
    assert not photo_lists.photos(cast.alice, PhotoFilters(album=album.pk)).exists()
    albums.restore(cast.alice, album.pk)
    assert photo_lists.photos(cast.alice, PhotoFilters(album=album.pk)).count() == 3


def test_its_changes_come_to_devices(cast: Cast) -> None:
    album = saved(cast, "jpg")
    followers = Followers([scope_name("album", album.pk)])
    followers.pull()
    albums.patch(cast.alice, album.pk, {"query": {"q": "png"}})
    assert followers.pull() == {"album"}
    (row,) = album_json([Album.objects.get(pk=album.pk)])
    assert row["query"] == {"q": "png"}


def test_its_title_is_no_word_by_which_photos_are_found(cast: Cast) -> None:
    album = saved(cast, "jpg", "Granny")
    albums.patch(cast.alice, cast.album.pk, {"title": "Granny too"})
    indexing.catch_up()
    assert albums_named(cast.alice, Phrase(("granny",))) == [cast.album.pk]
    assert album.pk != cast.album.pk


def test_cards_show_count_and_pictures_while_there_is_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = make_photo(cast.library, "beach.jpg", has_thumbnail=True)
    make_photo(cast.library, "beach2.jpg", has_thumbnail=False)
    album, nothing = saved(cast, "beach"), saved(cast, "nowhere")
    cards = smart_cards.smart_cards(cast.alice, [album, nothing, cast.album])
    assert set(cards) == {album.pk, nothing.pk}
    assert cards[album.pk] == smart_cards.SmartCard(2, [(shown.pk, shown.photo_md5)])
    assert cards[nothing.pk] == smart_cards.SmartCard(0, [])
    monkeypatch.setattr(smart_cards, "SECONDS", 0)
    assert smart_cards.smart_cards(cast.alice, [album]) == {}
