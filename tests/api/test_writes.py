"""Ratings of photos, and the writes into files that follow: who may, what is answered, what others cannot see."""

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits.ratings import set_rating
from catalog.models import Favourite, FileWrite, Membership, Photo
from tests.factories import make_photo

from .conftest import API, Cast, client_of

pytestmark = pytest.mark.django_db
PHOTOS = f"{API}photos/"
WRITES = f"{API}writes/"


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photo(cast: Cast) -> Photo:
    return make_photo(cast.library, "1.jpg")


@pytest.fixture
def dora(cast: Cast, django_user_model: type[User]) -> APIClient:
    """An editor."""
    user = django_user_model.objects.create_user("dora")
    cast.library.memberships.create(user=user, role=Membership.Role.EDITOR)
    return client_of(user)


def test_the_owners_star_is_the_photos_rating_and_a_members_is_not(
    cast: Cast, photo: Photo, alice: APIClient, bob: APIClient
) -> None:
    assert bob.post(f"{PHOTOS}{photo.pk}/favorite/").json()["rating"] == 5
    photo.refresh_from_db()
    assert (photo.rating, FileWrite.objects.count()) == (None, 0)
    assert alice.post(f"{PHOTOS}{photo.pk}/favorite/", {"rating": 4}).json()["rating"] == 4
    photo.refresh_from_db()
    assert (photo.rating, photo.rating_held) == (4, True)
    assert FileWrite.objects.get().wanted == {"rating": 4}
    assert dict(Favourite.objects.values_list("user__username", "rating")) == {"alice": 4, "bob": 5}


def test_patch_rates_for_owner_and_editors_only(
    photo: Photo, alice: APIClient, dora: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    address = f"{PHOTOS}{photo.pk}/"
    assert dora.patch(address, {"rating": 3}).json()["rating"] == 3
    assert alice.get(address).json()["favorite"] == 3  # the owner's star is the photo's rating, whoever gave it
    for client, status in ((bob, 403), (charlie, 404), (anonymous, 401)):
        assert client.patch(address, {"rating": 1}).status_code == status
    assert alice.patch(f"{PHOTOS}{uuid4()}/", {"rating": 1}).status_code == 404
    for rating in (-1, 6, "many", None, 2.5):
        assert alice.patch(address, {"rating": rating}).status_code == 400
    assert alice.put(address, {"rating": 1}).status_code == 405
    photo.refresh_from_db()
    assert photo.rating == 3


@pytest.mark.promise("S2-044")
def test_many_at_once_own_and_foreign(cast: Cast, photo: Photo, alice: APIClient, bob: APIClient) -> None:
    other = make_photo(cast.library, "2.jpg")
    ids = [str(photo.pk), str(other.pk), str(uuid4()), "nonsense"]
    answer = alice.post(f"{PHOTOS}bulk-favorite/", {"photo_ids": ids, "rating": 5}).json()
    assert (answer["success_count"], answer["error_count"]) == (2, 2)
    assert {error["photo_id"] for error in answer["errors"]} == set(ids[2:])
    assert FileWrite.objects.count() == 2
    assert bob.post(f"{PHOTOS}bulk-favorite/", {"photo_ids": ids[:2], "rating": 2}).json()["success_count"] == 2
    assert set(Photo.objects.values_list("rating", flat=True)) == {5}
    assert alice.post(f"{PHOTOS}bulk-favorite/", {"photo_ids": [], "rating": 5}).status_code == 400


def test_the_queue_is_seen_by_those_who_may_edit(
    cast: Cast,
    photo: Photo,
    alice: APIClient,
    dora: APIClient,
    bob: APIClient,
    charlie: APIClient,
    anonymous: APIClient,
) -> None:
    set_rating(cast.alice, photo, 5)
    row = alice.get(WRITES).json()["results"][0]
    assert (row["photo"], row["state"], row["wanted"]) == (str(photo.pk), "pending", {"rating": 5})
    assert len(dora.get(f"{WRITES}?state=open").json()["results"]) == 1
    assert alice.get(f"{WRITES}?state=done").json()["results"] == []
    for client in (bob, charlie):
        assert client.get(WRITES).json()["results"] == []
        for verb in ("retry", "give-up"):
            assert client.post(f"{WRITES}{row['id']}/{verb}/").status_code == 404
    assert anonymous.get(WRITES).status_code == 401
    assert alice.get(f"{WRITES}?state=odd").status_code == 400
    assert alice.get(f"{WRITES}?colour=red").status_code == 400
    assert alice.post(WRITES).status_code == 405


@pytest.mark.parametrize("count", [2, 20])
def test_a_page_of_writes_costs_the_same_for_any_length(
    cast: Cast, alice: APIClient, django_assert_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        set_rating(cast.alice, make_photo(cast.library), 5)
    alice.get(WRITES)
    with django_assert_num_queries(2):
        assert len(alice.get(WRITES).json()["results"]) == count


def test_retry_and_give_up(cast: Cast, photo: Photo, alice: APIClient) -> None:
    set_rating(cast.alice, photo, 5)
    FileWrite.objects.update(state="failed", code="lossy", reason="It would lose something.")
    address = f"{WRITES}{FileWrite.objects.get().pk}/"
    assert alice.post(f"{address}retry/").json()["state"] == "pending"
    assert alice.post(f"{address}give-up/").json()["state"] == "superseded"
    for verb in ("retry", "give-up"):
        assert alice.post(f"{address}{verb}/").status_code == 409
    photo.refresh_from_db()
    assert (photo.rating, photo.rating_held) == (5, True)  # what was wanted is kept


def test_undo(cast: Cast, photo: Photo, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    address = f"{PHOTOS}{photo.pk}/undo/"
    assert alice.post(address).status_code == 409
    set_rating(cast.alice, photo, 5)
    FileWrite.objects.update(state="done", new_md5=photo.photo_md5, finished_at="2026-01-01T00:00:00Z")
    Photo.objects.update(rating_held=False)
    assert (bob.post(address).status_code, charlie.post(address).status_code) == (403, 404)
    assert alice.post(address).json() == {"photo_id": str(photo.pk), "kind": "rating", "rating": 0}
    photo.refresh_from_db()
    assert photo.rating is None
    assert FileWrite.objects.get(state="pending").wanted == {"rating": 0}
