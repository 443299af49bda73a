"""What waits for photos that are not here: it is in backups, and is not dropped where the person may not change the photo."""

import json
from pathlib import Path

import pytest

from catalog.models import Album, AlbumItem, Favourite, Membership, Photo
from exports.bundle import layout
from exports.models import Scope, WaitingFacts
from exports.restore.facts import NOT_TO_CHANGE
from exports.restore.waiting import join_waiting
from tests.exports.conftest import Cast
from tests.factories import make_photo, make_user

from .bundles import CHANGED, album, bundle, item, key, rated
from .test_restoring import moment, restore
from .test_round_trip import backup

ROME = key("album Rome")


@pytest.fixture
def away(cast: Cast, tmp_path: Path) -> tuple[Path, bytes]:
    """A backup of alice's of a photo that is not here any more, and the bytes of that photo."""
    photo = make_photo(cast.library, "one.jpg")
    data = Path(cast.library.root, photo.path).read_bytes()
    of_it = rated(photo, rating=4, ratedAt=CHANGED, caption="The square", captionedAt=CHANGED)
    lists = {
        layout.ALBUMS: [album()],
        layout.ALBUM_ITEMS: [item(ROME, "photo", photo.pk)],
        layout.RATINGS: [of_it],
        layout.PHOTOS: [
            {"id": key("named"), "libraryId": str(cast.library.pk), "photoMD5": "", "path": "x", "sizeBytes": 1}
        ],
    }
    path = bundle(tmp_path / "first", lists)
    photo.delete()
    return path, data


@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize("comes", ["before", "after"])
def test_what_waits_is_in_the_next_backup(
    cast: Cast, away: tuple[Path, bytes], tmp_path: Path, scope: Scope, comes: str
) -> None:
    path, data = away
    restore(cast.alice, path)
    person = make_user("root", is_superuser=True) if scope == Scope.SERVER else cast.alice
    second = backup(person, tmp_path / "second", scope)
    waiting = json.loads((second / layout.WAITING.name).read_bytes())["waiting"]
    assert [(one["user"], one["said"].get("rating")) for one in waiting if one["path"] == "one.jpg"] == [("alice", 4)]
    assert len(waiting) == 2
    assert [one["photoId"] for one in waiting] == sorted(one["photoId"] for one in waiting)
    WaitingFacts.objects.all().delete()
    Album.objects.all().delete()
    if comes == "before":
        photo = make_photo(cast.library, "two.jpg", data=data)  # with another id
    done = restore(person, second)
    assert done.counts["photo"] == ({"update": 1, "waiting": 1} if comes == "before" else {"waiting": 2})
    if comes == "after":
        third = backup(person, tmp_path / "third", scope)
        assert (third / layout.WAITING.name).read_bytes() == (second / layout.WAITING.name).read_bytes()
        photo = make_photo(cast.library, "two.jpg", data=data)
        assert join_waiting() == 1
    photo.refresh_from_db()
    assert (photo.rating, photo.caption, photo.rated_at) == (4, "The square", moment(CHANGED))
    assert AlbumItem.objects.live().get().photo_id == photo.pk


def test_what_may_not_be_said_goes_on_waiting_and_is_told_once(cast: Cast, tmp_path: Path) -> None:
    photo = make_photo(cast.library, "one.jpg")
    data = Path(cast.library.root, photo.path).read_bytes()
    of_it = rated(
        photo, caption="Bob's", captionedAt=CHANGED, favourites={"bob": 3}, favouredAt={"bob": CHANGED}
    )  # he was an editor
    path = bundle(tmp_path / "first", {layout.RATINGS: [of_it]}, username="bob")
    Photo.objects.all().delete()
    restored = restore(cast.bob, path)
    photo = make_photo(cast.library, "two.jpg", data=data)
    assert [join_waiting(), join_waiting()] == [0, 0]
    photo.refresh_from_db()
    assert photo.caption == ""
    assert Favourite.objects.get(user=cast.bob).rating == 3
    restored.refresh_from_db()
    assert restored.problem_count == 1
    assert restored.problems == [
        {"what": "one.jpg", "reason": f"{NOT_TO_CHANGE} What the backup says of it waits until it is."}
    ]
    Membership.objects.filter(user=cast.bob).update(role=Membership.Role.EDITOR)
    assert join_waiting() == 1
    photo.refresh_from_db()
    assert photo.caption == "Bob's"
    assert not WaitingFacts.objects.exists()


def test_what_waited_because_it_might_not_be_said_waits_after_a_restore_too(cast: Cast, tmp_path: Path) -> None:
    photo = make_photo(cast.library, "one.jpg")
    waiting = {
        "user": "bob", "photoId": key("old id"), "libraryId": str(cast.library.pk), "photoMD5": photo.photo_md5,
        "path": "one.jpg", "sizeBytes": 1, "said": {"name": "bob", "caption": "Bob's", "captionedAt": CHANGED},
    }  # fmt: skip
    path = bundle(tmp_path / "bobs", {layout.WAITING: [waiting]}, username="bob")
    assert restore(cast.bob, path).counts == {"photo": {"left": 1}}
    assert WaitingFacts.objects.get().said == waiting["said"]
    Membership.objects.filter(user=cast.bob).update(role=Membership.Role.EDITOR)
    assert join_waiting() == 1
    photo.refresh_from_db()
    assert photo.caption == "Bob's"


@pytest.mark.parametrize("wrong", [{"photoId": "../x"}, {"libraryId": "x"}, {"sizeBytes": -1}])
def test_one_that_names_no_photo_is_noted(cast: Cast, tmp_path: Path, wrong: dict[str, object]) -> None:
    good = {
        "user": "alice", "photoId": key("photo"), "libraryId": key("library"), "photoMD5": "", "path": "a.jpg",
        "sizeBytes": 1, "said": {},
    }  # fmt: skip
    other = {
        **good,
        "photoId": key("other"),
        "said": {"name": "alice", "rating": 3, "ratedAt": CHANGED, "more": "x" * 99},
    }
    path = bundle(tmp_path / "bad", {layout.WAITING: [{**good, **wrong}, other]})
    assert restore(cast.alice, path).problem_count == 1
    assert WaitingFacts.objects.get().said == {"name": "alice", "rating": 3, "ratedAt": CHANGED}
