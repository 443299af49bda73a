"""Captions through the API: with rating and date in one step or not at all, and who may."""

import pytest
from rest_framework.test import APIClient

from catalog.models import FileWrite, Photo
from tests.factories import make_photo

from .conftest import API, Cast


@pytest.fixture(autouse=True)
def no_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photo(cast: Cast) -> Photo:
    return make_photo(cast.library, "a.jpg")


def address(photo: Photo) -> str:
    return f"{API}photos/{photo.pk}/"


def test_patch_writes_it_and_takes_it_away(photo: Photo, alice: APIClient) -> None:
    body = alice.patch(address(photo), {"caption": " Grüße\r\naus Bamberg "}, format="json").json()
    assert body["caption"] == "Grüße\naus Bamberg"
    photo.refresh_from_db()
    assert (photo.caption, photo.caption_held) == ("Grüße\naus Bamberg", True)
    assert photo.captioned_at is not None
    write = FileWrite.objects.get()
    assert (write.kind, write.wanted, write.previous) == ("caption", {"caption": photo.caption}, {"caption": ""})
    (listed,) = alice.get(f"{API}writes/").json()["results"]
    assert (listed["kind"], listed["wanted"]) == ("caption", write.wanted)
    assert alice.patch(address(photo), {"caption": ""}, format="json").json()["caption"] == ""


def test_rating_date_and_caption_change_together_or_not_at_all(photo: Photo, alice: APIClient) -> None:
    change = {"caption": "All", "rating": 4, "taken_at": "2015-06-01T12:00:00"}
    for name, bad, status in (
        ("caption", "a\0b", 400),
        ("caption", "x" * 10_001, 400),
        ("caption", None, 400),
        ("caption", 5, 400),
        ("rating", 6, 400),
        ("taken_at", "1700-01-01T00:00:00", 422),
    ):
        assert alice.patch(address(photo), {**change, name: bad}, format="json").status_code == status, (name, bad)
    photo.refresh_from_db()
    assert (photo.caption, photo.rating, photo.taken_held, FileWrite.objects.count()) == ("", None, False, 0)
    body = alice.patch(address(photo), change, format="json").json()
    assert (body["caption"], body["rating"], body["taken_local"]) == ("All", 4, "2015-06-01T12:00:00")
    assert set(FileWrite.objects.values_list("kind", flat=True)) == {"caption", "rating", "date"}


def test_the_reason_names_the_limit(photo: Photo, alice: APIClient) -> None:
    problem = alice.patch(address(photo), {"caption": "x" * 10_001}, format="json").json()
    assert "at most 10,000 characters; this one has 10,001" in problem["errors"]["caption"][0]


def test_viewers_may_not_and_others_learn_nothing(
    photo: Photo, alice: APIClient, bob: APIClient, charlie: APIClient
) -> None:
    change = {"caption": "Not mine"}
    assert bob.patch(address(photo), change, format="json").status_code == 403
    foreign = charlie.patch(address(photo), change, format="json")
    nowhere = charlie.patch(f"{API}photos/{'0' * 8}-0000-4000-8000-{'0' * 12}/", change, format="json")
    assert (foreign.status_code, foreign.json()["detail"]) == (404, nowhere.json()["detail"])
    photo.refresh_from_db()
    assert (photo.caption, photo.captioned_at) == ("", None)
