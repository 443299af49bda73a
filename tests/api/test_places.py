"""Places through the API: of one photo and of many, in degrees or as a text that says them, and who may."""

import pytest
from rest_framework.test import APIClient

from catalog.models import FileWrite, Photo
from tests.factories import make_photo, make_photos

from .conftest import API, Cast

PARIS = {"latitude": 48.8583, "longitude": 2.2945}


@pytest.fixture(autouse=True)
def no_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photo(cast: Cast) -> Photo:
    return make_photo(cast.library, "a.jpg")


def address(photo: Photo) -> str:
    return f"{API}photos/{photo.pk}/"


@pytest.mark.parametrize("place", [PARIS, "48.8583, 2.2945", "https://www.openstreetmap.org/?mlat=48.8583&mlon=2.2945"])
def test_patch_says_it_and_takes_it_away(photo: Photo, alice: APIClient, place: object) -> None:
    body = alice.patch(address(photo), {"place": place}, format="json").json()
    assert (body["latitude"], body["longitude"], "Paris" in body["place_name"]) == (48.8583, 2.2945, True)
    photo.refresh_from_db()
    assert photo.place_held and photo.placed_at is not None
    write = FileWrite.objects.get()
    assert (write.kind, write.wanted, write.previous) == ("place", {"place": [48.8583, 2.2945]}, {"place": None})
    (found,) = alice.get(f"{API}photos/", {"q": "has:gps"}).json()["results"]
    assert found["id"] == str(photo.pk)
    body = alice.patch(address(photo), {"place": None}, format="json").json()
    assert (body["latitude"], body["longitude"]) == (None, None)


def test_what_is_no_place_changes_nothing(photo: Photo, alice: APIClient) -> None:
    bads = (
        "Paris",
        "",
        5,
        [48, 2],
        {},
        {"latitude": 48},
        {"latitude": 91, "longitude": 0},
        {"latitude": "48", "longitude": 2},
    )
    for bad in (*bads, {"latitude": True, "longitude": 2}, {"latitude": 10**400, "longitude": 2}):
        answer = alice.patch(address(photo), {"place": bad, "caption": "All"}, format="json")
        assert answer.status_code == 400, bad
    photo.refresh_from_db()
    assert (photo.caption, photo.latitude, FileWrite.objects.count()) == ("", None, 0)


def test_many_at_once_and_who_may(cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    photos = make_photos(cast.library, 2)
    ids = [str(photo.pk) for photo in photos]
    change = {"photo_ids": ids, "place": PARIS}
    refused = bob.post(f"{API}photos/place/", change, format="json").json()
    assert (refused["success_count"], refused["error_count"]) == (0, 2)
    assert bob.patch(address(photos[0]), {"place": PARIS}, format="json").status_code == 403
    assert charlie.patch(address(photos[0]), {"place": PARIS}, format="json").status_code == 404
    assert alice.post(f"{API}photos/place/", {"photo_ids": ids}, format="json").status_code == 400
    assert not Photo.objects.filter(latitude__isnull=False).exists()
    done = alice.post(f"{API}photos/place/", change, format="json").json()
    assert (done["success_count"], done["error_count"]) == (2, 0)
    assert set(Photo.objects.values_list("latitude", "longitude", "place_held")) == {(48.8583, 2.2945, True)}
