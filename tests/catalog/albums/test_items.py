"""Album items: deterministic ids, order, who may add what, and the way back."""

from uuid import uuid4, uuid5

import pytest

from catalog.albums import albums, items, members, notes, positions
from catalog.albums.items import Target
from catalog.albums.refusals import Refused
from catalog.models import AlbumItem
from tests.factories import make_library, make_photos


def order(cast):
    """Return the photos' numbers in the album's order."""
    live = cast.album.items.live().order_by("position", "pk").values_list("photo", flat=True)
    return [[photo.pk for photo in cast.photos].index(key) for key in live]


def fields_of(cast, photo, **more):
    return {"albumId": str(cast.album.pk), "targetType": "photo", "targetId": str(photo.pk), **more}


def test_two_devices_that_add_the_same_photo_add_one_item(cast):
    photo = cast.photos[0]
    key = uuid5(cast.album.pk, f"photo:{photo.pk}")
    first = items.create(cast.alice, key, fields_of(cast, photo, position="B"))
    second = items.create(cast.alice, key, fields_of(cast, photo, position="C"))
    assert first.pk == second.pk == key and AlbumItem.objects.get().position == "B"
    with pytest.raises(Refused, match="UUIDv5") as refused:
        items.create(cast.alice, uuid4(), fields_of(cast, photo))
    assert refused.value.reason == "invalid"


@pytest.mark.parametrize("position", ["", "a0", "ä", "a" * 201, 5, None])
def test_what_is_no_position(cast, position):
    (item,) = cast.add(cast.photos[0])
    with pytest.raises(Refused, match="base 62"):
        items.patch(cast.alice, item.pk, {"position": position})


def test_items_come_last_and_can_be_placed_anywhere(cast):
    first, second = cast.add(*cast.photos[:2])
    assert order(cast) == [0, 1]
    cast.add(cast.photos[2], after=first.pk)
    assert order(cast) == [0, 2, 1]
    items.move(cast.alice, cast.album.pk, [second.pk], None)
    assert order(cast) == [1, 0, 2]
    items.move(cast.alice, cast.album.pk, [first.pk, second.pk], _id(cast, 2))
    assert order(cast) == [2, 0, 1]
    with pytest.raises(Refused, match="after itself"):
        items.move(cast.alice, cast.album.pk, [first.pk], first.pk)
    with pytest.raises(Refused, match="no such item"):
        items.move(cast.alice, cast.album.pk, [first.pk], uuid4())
    assert order(cast) == [2, 0, 1]


def _id(cast, number):
    return uuid5(cast.album.pk, f"photo:{cast.photos[number].pk}")


def test_equal_and_long_keys_are_spread_when_there_is_no_room(cast):
    for photo in cast.photos[:2]:  # two devices that were offline
        items.create(cast.alice, uuid5(cast.album.pk, f"photo:{photo.pk}"), fields_of(cast, photo, position="V"))
    first = cast.album.items.order_by("position", "pk").first()
    cast.add(cast.photos[2], after=first.pk)
    in_order = list(cast.album.items.order_by("position", "pk").values_list("photo", "position"))
    assert in_order[0][0] == first.photo_id and in_order[1][0] == cast.photos[2].pk
    assert len({position for _, position in in_order}) == 3
    cast.album.items.filter(pk=first.pk).update(position="1" * 200)
    cast.album.items.filter(photo=in_order[2][0]).update(position="1" * 199 + "2")
    items.move(cast.alice, cast.album.pk, [_id(cast, 2)], first.pk)
    assert all(len(key) <= positions.TOO_LONG for key in cast.album.items.values_list("position", flat=True))


def test_what_was_removed_comes_back_to_its_place(cast):
    all_three = cast.add(*cast.photos)
    assert items.remove(cast.alice, cast.album.pk, [all_three[1].pk]) == 1
    assert order(cast) == [0, 2]
    items.move(cast.alice, cast.album.pk, [all_three[2].pk], all_three[0].pk)
    assert items.restore(cast.alice, cast.album.pk, [all_three[1].pk]) == 1
    assert order(cast) == [0, 2, 1]
    items.delete(cast.alice, all_three[0].pk)
    assert items.delete(cast.alice, all_three[0].pk).trashed_at is not None  # once more is the same
    cast.add(cast.photos[0])
    assert 0 in order(cast)


def test_a_shared_album_takes_only_what_one_may_share(cast, tmp_path):
    bobs = make_library(cast.bob, tmp_path / "bobs", members={cast.alice: "viewer"})
    (seen,) = make_photos(bobs, 1)
    cast.add(seen)  # alone she may collect what she sees
    members.set_member(cast.alice, cast.album.pk, cast.charlie, "editor")
    (other,) = make_photos(bobs, 1)
    foreign = Target("photo", other.pk)
    nothing = Target("photo", uuid4())
    added = items.add(cast.alice, cast.album.pk, [foreign, nothing, Target("photo", cast.photos[0].pk)])
    assert [item.photo_id for item in added.items] == [cast.photos[0].pk]
    assert [target for target, _ in added.errors] == [foreign, nothing]
    assert len({str(refused) for _, refused in added.errors}) == 1  # nobody learns which of them there is
    added = items.add(cast.charlie, cast.album.pk, [Target("photo", cast.photos[1].pk)])
    assert not added.items and added.errors[0][1].reason == "missing_ref"


def test_only_ones_own_notes_go_into_an_album(cast):
    mine = notes.create(cast.alice, uuid4(), {"content": "Hello"})
    bobs = notes.create(cast.bob, uuid4(), {"content": "Hello"})
    added = items.add(cast.alice, cast.album.pk, [Target("note", mine.pk), Target("note", bobs.pk)])
    assert [item.note_id for item in added.items] == [mine.pk]
    assert [refused.reason for _, refused in added.errors] == ["missing_ref"]


def test_who_may_change_what_is_in_an_album(cast):
    (item,) = cast.add(cast.photos[0])
    verbs = [
        lambda user: items.add(user, cast.album.pk, [Target("photo", cast.photos[1].pk)]),
        lambda user: items.patch(user, item.pk, {"position": "z"}),
        lambda user: items.delete(user, item.pk),
        lambda user: items.move(user, cast.album.pk, [item.pk], None),
        lambda user: items.remove(user, cast.album.pk, [item.pk]),
        lambda user: items.restore(user, cast.album.pk, [item.pk]),
    ]
    before = list(AlbumItem.objects.values())
    for role, reason in ((None, "not_found"), ("viewer", "permission_denied")):
        if role:
            members.set_member(cast.alice, cast.album.pk, cast.bob, role)
        for verb in verbs:
            with pytest.raises(Refused) as refused:
                verb(cast.bob)
            assert refused.value.reason == reason
    assert list(AlbumItem.objects.values()) == before
    members.set_member(cast.alice, cast.album.pk, cast.bob, "editor")
    assert items.delete(cast.bob, item.pk).trashed_at is not None


def test_a_thousand_at_once_cost_a_few_queries(cast, django_assert_max_num_queries):
    photos = make_photos(cast.library, 200)
    with django_assert_max_num_queries(22):  # SQLite inserts them in three parts
        cast.add(*photos)
    albums.delete(cast.alice, cast.album.pk)
    with pytest.raises(Refused, match="no such album"):
        items.add(cast.alice, cast.album.pk, [Target("photo", photos[0].pk)])
    with pytest.raises(Refused, match="At most 1,000"):
        items.add(cast.alice, cast.album.pk, [Target("photo", uuid4()) for _ in range(1_001)])
