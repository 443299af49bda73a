"""Keywords through the API and the pages: of one photo and of many, who may, and what is found by them."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from catalog.models import FileWrite, Photo
from tests.factories import make_photo, make_photos

from .conftest import API, Cast


@pytest.fixture(autouse=True)
def no_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photo(cast: Cast) -> Photo:
    return make_photo(cast.library, "a.jpg")


def address(photo: Photo) -> str:
    return f"{API}photos/{photo.pk}/"


def test_patch_gives_and_takes_them_and_a_search_finds_them_at_once(photo: Photo, alice: APIClient) -> None:
    body = alice.patch(address(photo), {"keywords": [" Bamberg ", "Bamberg", "old  town"]}, format="json").json()
    assert body["keywords"] == ["Bamberg", "old town"]
    photo.refresh_from_db()
    assert (photo.keywords, photo.keywords_held) == (["Bamberg", "old town"], True)
    assert photo.keyworded_at is not None
    write = FileWrite.objects.get()
    assert (write.kind, write.wanted, write.previous) == ("keywords", {"keywords": photo.keywords}, {"keywords": []})
    (listed,) = alice.get(f"{API}writes/").json()["results"]
    assert (listed["kind"], listed["wanted"]) == ("keywords", write.wanted)
    (found,) = alice.get(f"{API}photos/", {"q": 'keyword:"old town"'}).json()["results"]
    assert found["id"] == str(photo.pk)
    suggested = alice.get(f"{API}search/suggestions/", {"q": 'keyword:"bam'}).json()["results"]
    assert [(one["kind"], one["name"]) for one in suggested] == [("keyword", "Bamberg")]
    assert alice.patch(address(photo), {"keywords": []}, format="json").json()["keywords"] == []
    assert alice.get(f"{API}photos/", {"q": "keyword:bamberg"}).json()["results"] == []


def test_all_or_nothing(photo: Photo, alice: APIClient) -> None:
    for bad in ("a", ["a\0b"], ["x" * 201], [5], None, {"a": 1}, [["a"]]):
        answer = alice.patch(address(photo), {"keywords": bad, "caption": "All"}, format="json")
        assert answer.status_code == 400, bad
    photo.refresh_from_db()
    assert (photo.caption, photo.keywords, FileWrite.objects.count()) == ("", [], 0)


def test_many_get_some_and_lose_some(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    photos = make_photos(cast.library, 3)
    Photo.objects.filter(pk=photos[0].pk).update(keywords=["Old", "Kept"])
    nowhere = "00000000-0000-4000-8000-000000000000"
    ids = [*(str(photo.pk) for photo in photos), nowhere]
    change = {"photo_ids": ids, "add": ["Sea"], "remove": ["Old"]}
    answer = alice.post(f"{API}photos/keywords/", change, format="json").json()
    assert (answer["success_count"], answer["error_count"]) == (3, 1)
    assert answer["errors"] == [{"id": nowhere, "error": "There is no such photo that you may change."}]
    assert sorted(Photo.objects.values_list("keywords", flat=True)) == [["Kept", "Sea"], ["Sea"], ["Sea"]]
    refused = bob.post(f"{API}photos/keywords/", change, format="json").json()
    assert (refused["success_count"], refused["error_count"]) == (0, 4)
    assert alice.post(f"{API}photos/keywords/", {"photo_ids": ids}, format="json").status_code == 400


def test_viewers_may_not_and_others_learn_nothing(
    photo: Photo, alice: APIClient, bob: APIClient, charlie: APIClient
) -> None:
    change = {"keywords": ["Not mine"]}
    assert bob.patch(address(photo), change, format="json").status_code == 403
    assert charlie.patch(address(photo), change, format="json").status_code == 404
    photo.refresh_from_db()
    assert (photo.keywords, photo.keyworded_at) == ([], None)


def test_the_page_changes_those_that_were_selected(cast: Cast) -> None:
    photos = make_photos(cast.library, 2)
    Photo.objects.filter(pk=photos[0].pk).update(keywords=["Old <b>"])
    client = Client()
    client.force_login(cast.alice)
    chosen = {"photos": ",".join(str(photo.pk) for photo in photos), "back": "/favourites/"}
    shown = client.post("/keywords/", chosen).content.decode()
    assert 'value="Old &lt;b&gt;"' in shown and "1 of 2" in shown
    refused = client.post("/keywords/", {**chosen, "change": "1", "add": "a\x01b"})
    assert refused.status_code == 422 and "U+0001" in refused.content.decode()
    done = client.post("/keywords/", {**chosen, "change": "1", "add": "Sea, Rome", "remove": ["Old <b>"]})
    assert (done.status_code, done["Location"]) == (302, "/favourites/")
    assert list(Photo.objects.values_list("keywords", flat=True)) == [["Sea", "Rome"]] * 2
    client.force_login(cast.bob)
    assert client.post("/keywords/", chosen).status_code == 404
