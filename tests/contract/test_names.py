"""New names say `favourite`; the former ones are answered as before, and say that they are former."""

from typing import Any

from rest_framework.test import APIClient

from catalog.models import Favourite
from tests.api.conftest import API, Cast
from tests.factories import make_photo


def test_a_star_under_both_names(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library)
    new = alice.post(f"{API}photos/{photo.pk}/favourite/", {"rating": 4}, format="json")
    assert new.json() == {"photo_id": str(photo.pk), "rating": 4, "is_favourite": True}
    assert "Deprecation" not in new
    former = alice.post(f"{API}photos/{photo.pk}/favorite/", {"rating": 0}, format="json")
    assert former.json() == {"photo_id": str(photo.pk), "rating": 0, "favorited": False}
    assert former["Deprecation"].startswith("@")
    assert former["Link"] == f'<{API}photos/{photo.pk}/favourite/>; rel="successor-version"'


def test_lists_and_events_say_both(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library)
    cursor = alice.get(f"{API}events/poll").json()["cursor"]
    answer = alice.post(f"{API}photos/bulk-favourite/", {"photo_ids": [str(photo.pk), "x"], "rating": 3}, format="json")
    assert answer.json() == {
        "success_count": 1,
        "error_count": 1,
        "errors": [{"id": "x", "photo_id": "x", "error": "This is no photo's id."}],
    }
    (row,) = alice.get(f"{API}photos/favourites/").json()["results"]
    assert (row["favourite"], row["is_favourite"], row["favorite"], row["favorited"]) == (3, True, 3, True)
    assert alice.get(f"{API}photos/favorites/")["Deprecation"]
    changed = alice.get(f"{API}events/poll", {"after": cursor}).json()
    assert changed["favourites_changed"] is changed["favorites_changed"] is True


def test_a_phone_may_use_either_name(cast: Cast, db: Any) -> None:
    phone = APIClient()
    body = {"username": "alice", "password": "correct horse battery", "name": "phone"}
    token = phone.post(f"{API}auth/devices/", body, format="json").json()["token"]
    phone.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    library = phone.post(f"{API}device-library/", {}, format="json").json()["id"]
    asset = {"asset_id": "A", "filename": "A.HEIC", "media_type": "image/heic"}
    for number, said in enumerate(({"favorite": 2}, {"favourite": 4}, {"favorite": 1, "favourite": 5})):
        told = {"assets": [{**asset, **said, "favourite_changed": f"2026-01-0{number + 1}T00:00:00Z"}]}
        assert phone.post(f"{API}libraries/{library}/assets/", told, format="json").status_code == 200
        assert Favourite.objects.get().rating == said.get("favourite", said.get("favorite"))


def test_what_was_made_says_its_address(cast: Cast, alice: APIClient) -> None:
    scan = alice.post(f"{API}libraries/{cast.library.pk}/scan/", {}, format="json")
    assert scan["Location"] == f"{API}operations/{scan.json()['id']}/"
    batch = alice.post(f"{API}imports/", {"library": str(cast.library.pk)}, format="json")
    assert batch["Location"] == f"{API}imports/{batch.json()['id']}/"
    assert alice.get(batch["Location"]).status_code == 200
