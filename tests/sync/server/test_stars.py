"""Stars that devices give: a person's own, on photos that they see, found without looking at all that they have."""

import uuid
from typing import Any

import pytest
from django.db.models import QuerySet

from accounts.models import User
from catalog.edits.stars import star_many
from catalog.models import Favourite, Library, Photo, favourite_id
from changes import types
from tests.factories import make_library, make_photos, make_user

from .conftest import Phone

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> User:
    """He has a library, which alice sees."""
    return make_user("bob")


@pytest.fixture
def phone() -> Phone:
    """Alice's, with the types of the apps."""
    return Phone(make_user("alice"))


@pytest.fixture
def library(bob: User, phone: Phone, tmp_path: Any) -> Library:
    """Bob's."""
    return make_library(bob, tmp_path / "bob", members={phone.user: "viewer"})


def test_a_device_gives_changes_and_takes_stars(phone: Phone, library: Library) -> None:
    (photo,) = make_photos(library, 1)
    key = favourite_id(phone.user.pk, photo.pk)
    said = {"type": "favourite", "photoId": str(photo.pk)}
    assert phone.result(phone.edit("create", key, **said, rating=4))["status"] == "applied"
    row = phone.row(str(key))
    assert row["data"] == {"photoId": str(photo.pk), "rating": 4}
    assert phone.result(phone.edit("patch", key, row["version"], type="favourite", rating=2))["status"] == "applied"
    favourite = Favourite.objects.get()
    assert (favourite.user, favourite.photo, favourite.rating) == (phone.user, photo, 2)
    photo.refresh_from_db()
    assert photo.rating is None  # that is its owner's
    row, cursor = phone.row(str(key)), phone.get("changes/", scope=phone.scope)["cursor"]
    elsewhere = phone.edit("patch", key, row["version"], type="favourite", photoId=str(uuid.uuid4()))
    assert phone.result(elsewhere)["status"] == "rejected" and Favourite.objects.get().photo == photo
    assert phone.result(phone.edit("delete", key, row["version"], type="favourite"))["status"] == "applied"
    assert not Favourite.objects.exists()
    gone = phone.get("changes/", scope=phone.scope, cursor=cursor)["changes"]
    assert [(one["id"], one["deleted"]) for one in gone] == [(str(key), True)]


def test_nobody_gives_stars_to_what_they_do_not_see_nor_changes_anothers(phone: Phone, library: Library) -> None:
    (photo,) = make_photos(library, 1)
    theirs = favourite_id(phone.user.pk, photo.pk)
    star_many(phone.user, [photo.pk], 4)
    charlie = Phone(make_user("charlie"))
    own = favourite_id(charlie.user.pk, photo.pk)
    fields: dict[str, Any] = {"type": "favourite", "photoId": str(photo.pk), "rating": 1}
    assert charlie.result(charlie.edit("create", own, **fields))["status"] == "missing_ref"
    assert charlie.result(charlie.edit("create", theirs, **fields))["status"] == "rejected"
    unknown = charlie.result(charlie.edit("patch", uuid.uuid4(), "1", type="favourite", rating=1))
    foreign = charlie.result(charlie.edit("patch", theirs, "1", type="favourite", rating=1))
    assert {**foreign, "mid": 0} == {**unknown, "mid": 0} and foreign["status"] == "rejected"
    assert charlie.result(charlie.edit("delete", theirs, "1", type="favourite"))["status"] == "noop"
    assert Favourite.objects.values_list("user", "rating").get() == (phone.user.pk, 4)


def test_a_star_that_an_earlier_version_gave_meanwhile_can_be_taken_away(phone: Phone, library: Library) -> None:
    photos = make_photos(library, 3)
    star_many(phone.user, [photo.pk for photo in photos], 4)
    QuerySet(Favourite).update(wire_id=None)
    first, second, third = (favourite_id(phone.user.pk, photo.pk) for photo in photos)
    assert (
        phone.result(phone.edit("delete", first, phone.row(str(first))["version"], type="favourite"))["status"]
        == "applied"
    )
    assert not Favourite.objects.filter(photo=photos[0]).exists()
    QuerySet(Favourite).update(wire_id=None)
    star_many(phone.user, [photos[1].pk], 2)
    Favourite.objects.update_or_create(user=phone.user, photo=photos[2], defaults={"rating": 2})
    assert set(Favourite.objects.values_list("wire_id", flat=True)) == {second, third}


def test_a_push_looks_at_the_stars_that_it_names_only(
    phone: Phone, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make_photos(library, 40)
    made = 0
    make = uuid.uuid5

    def counted(*names: Any) -> uuid.UUID:
        nonlocal made
        made += 1
        return make(*names)

    monkeypatch.setattr(uuid, "uuid5", counted)

    def cost_of(number: int) -> int:
        nonlocal made
        key = favourite_id(phone.user.pk, photos[number].pk)
        made = 0
        patch = phone.edit("patch", key, phone.row(str(key))["version"], type="favourite", rating=number % 3 + 1)
        before = made
        assert phone.result(patch)["status"] == "applied"
        return made - before

    star_many(phone.user, [photos[0].pk], 5)
    few = cost_of(0)
    star_many(phone.user, [photo.pk for photo in photos[1:]], 5)
    assert cost_of(1) == few


def test_what_is_said_to_be_writable_is_what_the_verbs_take(phone: Phone, tmp_path: Any) -> None:
    (photo,) = make_photos(make_library(phone.user, tmp_path / "alice"), 1)
    values = {
        "place": {"latitude": 45.0625, "longitude": 7.6875},
        "rating": 3,
        "caption": "By the river",
        "keywords": ["Po", "dusk"],
        "takenAt": "2020-02-03T04:05:06",
    }
    kind = types.kind("photo")
    assert kind.verbs is not None
    assert {field.name for field in kind.fields if field.writable} == set(values)
    kind.verbs.patch(phone.user, photo.pk, values)
    (said,) = kind.data(list(Photo.objects.filter(pk=photo.pk)), f"library:{photo.library_id}")
    assert {name: said[name] for name in values} == values
    wrongs: list[dict[str, Any]] = [{"keywords": "Po"}, {"keywords": [5]}, {"keywords": ["x" * 201]}]
    wrongs += [{"place": "Po"}, {"place": {"latitude": 91, "longitude": 0}}, {"place": {"latitude": 1}}]
    wrongs += [{"place": {"latitude": 10**400, "longitude": 1}}]
    wrongs += [{"caption": {"text": "x"}}, {"caption": 5}, {"rating": 6}, {"takenAt": "today"}]
    for wrong in wrongs:
        with pytest.raises(types.Refused):
            kind.verbs.patch(phone.user, photo.pk, wrong)
    photo.refresh_from_db()
    assert (photo.rating, photo.caption, photo.keywords) == (3, "By the river", ["Po", "dusk"])
