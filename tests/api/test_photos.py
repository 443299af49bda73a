"""Lists and facts of photos, and favourites, through the API."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from catalog.api.filter_parameters import PARAMETERS
from catalog.browsing.filters import NAMES
from catalog.models import Favourite, Photo
from tests.factories import make_library, make_photo, make_photos

from .conftest import API, Cast, client_of

PHOTOS = f"{API}photos/"


def walk(client: APIClient, address: str, limit: int) -> list[str]:
    """Follow the cursors to the end and return all ids."""
    ids: list[str] = []
    cursor = None
    while True:
        answer = client.get(address, {"limit": limit, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.content
        ids += [row["id"] for row in answer.json()["results"]]
        cursor = answer.json()["next_cursor"]
        if not cursor:
            return ids


def test_a_list_shows_what_owner_and_member_may_see(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    photo = make_photo(cast.library, "2024/summer/IMG 1.JPG", rating=3)
    for client in (alice, bob):
        rows = client.get(PHOTOS).json()["results"]
        assert [row["id"] for row in rows] == [str(photo.pk)]
    row = rows[0]
    assert (row["path"], row["directory"]) == ("2024/summer/IMG 1.JPG", "2024/summer")
    assert row["taken_at"] == "2024-05-17T12:00:00Z"
    assert row["rating"] == 3
    assert row["photo_md5"] == photo.photo_md5


def test_the_outsider_sees_an_empty_list_and_nobody_sees_none(
    cast: Cast, charlie: APIClient, anonymous: APIClient
) -> None:
    make_photo(cast.library)
    assert charlie.get(PHOTOS).json()["results"] == []
    answer = anonymous.get(PHOTOS)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Token")


def test_local_time_carries_the_files_offset(cast: Cast, alice: APIClient) -> None:
    make_photo(cast.library, taken_offset_minutes=-210)
    assert alice.get(PHOTOS).json()["results"][0]["taken_local"] == "2024-05-17T12:00:00-03:30"


def test_undated_photos_come_last_and_have_no_date(cast: Cast, alice: APIClient) -> None:
    undated = make_photo(cast.library, taken=None)
    make_photo(cast.library)
    rows = alice.get(PHOTOS).json()["results"]
    assert rows[1]["id"] == str(undated.pk)
    assert rows[1]["taken_at"] is None
    assert rows[1]["taken_local"] is None


@pytest.mark.parametrize("same_moment", [False, True])
def test_pages_cover_everything_once_also_over_ties(
    cast: Cast, alice: APIClient, same_moment: bool, tmp_path: Any
) -> None:
    second = make_library(cast.alice, tmp_path / "photos" / "second", name="Second")
    make_photos(cast.library, 23, same_moment=same_moment)
    make_photos(second, 18, same_moment=same_moment)
    expected = [str(pk) for pk in Photo.objects.order_by("-taken_local", "id").values_list("pk", flat=True)]
    for limit in (1, 7, 41, 100):
        assert walk(alice, PHOTOS, limit) == expected


def test_rows_that_come_meanwhile_shift_nothing(cast: Cast, alice: APIClient) -> None:
    make_photos(cast.library, 10)
    first = alice.get(PHOTOS, {"limit": 5}).json()
    make_photo(cast.library, taken=datetime(2030, 1, 1, tzinfo=UTC))
    second = alice.get(PHOTOS, {"limit": 5, "cursor": first["next_cursor"]}).json()
    ids = [row["id"] for row in first["results"] + second["results"]]
    assert len(set(ids)) == 10


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "W10"},
        {"cursor": "ä"},
        {"cursor": "W1tbW1tbW10="},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "many"},
        {"rating": "6"},
        {"library": "7"},
        {"taken_after": "2024-13-01"},
        {"taken_before": "yesterday"},
        {"state": "lost"},
        {"has_gps": "perhaps"},
        {"folder": "a\\b"},
        {"q": "x" * 201},
        {"favourit": "true"},
    ],
)
def test_bad_parameters_are_told(alice: APIClient, query: dict[str, str]) -> None:
    answer = alice.get(PHOTOS, query)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 400
    assert len(answer.json()["detail"]) > 20


def test_filters(cast: Cast, alice: APIClient, tmp_path: Any) -> None:
    other = make_library(cast.alice, tmp_path / "photos" / "other", name="Other")
    beach = make_photo(
        cast.library,
        "2024/beach/a_b.jpg",
        data=b"same",
        rating=4,
        caption="Müller am Strand",
        camera_make="Canon",
        camera_model="EOS R6",
        latitude=1.0,
        longitude=2.0,
        keywords=["sea", "übung"],
    )
    film = make_photo(other, "2024/x.mp4", data=b"same", media_type="video/mp4", taken=datetime(2023, 1, 2, tzinfo=UTC))
    lost = make_photo(cast.library, "lost.jpg", data=b"lost", state="missing", is_shown=False)
    upper = make_photo(cast.library, "2024/Beach/c.jpg", data=b"upper", taken=None)
    Favourite.objects.create(user=cast.alice, photo=film)
    Favourite.objects.create(user=cast.bob, photo=beach)

    def ids(**query: Any) -> set[str]:
        return {row["id"] for row in alice.get(PHOTOS, query).json()["results"]}

    cases: list[tuple[dict[str, Any], list[Photo]]] = [
        ({"library": str(other.pk)}, [film]),
        ({"library": [str(other.pk), str(cast.library.pk)]}, [film, beach, upper]),
        ({"library": str(uuid4())}, []),
        ({"folder": "2024/beach"}, [beach]),
        ({"folder": "2024"}, [film]),
        ({"folder": "2024", "recursive": "true"}, [film, beach, upper]),
        ({"folder": "2024/beach", "recursive": "true"}, [beach]),
        ({"folder": "", "recursive": "true"}, [film, beach, upper]),
        ({"taken_after": "2024-05-17"}, [beach]),
        ({"taken_before": "2024-05-17"}, [film]),
        ({"taken_before": "2024-05-18"}, [film, beach]),
        ({"taken_after": "2024-05-17T12:00:00Z"}, [beach]),
        ({"taken_after": "2024-05-17T12:00:01+00:00"}, []),
        ({"taken_after": "0001-01-01T00:00:00Z"}, [film, beach]),
        ({"taken_before": "9999-12-31T23:59:59Z"}, [film, beach]),
        ({"media_type": "video"}, [film]),
        ({"media_type": "image/jpeg"}, [beach, upper]),
        ({"rating": "4"}, [beach]),
        ({"rating": "0"}, [film, upper]),
        ({"favourite": "true"}, [film]),
        ({"favorite": "false"}, [beach, upper]),
        ({"camera": "eos"}, [beach]),
        ({"has_gps": "true"}, [beach]),
        ({"has_gps": "false"}, [film, upper]),
        ({"q": "strand MÜLLER"}, [beach]),
        ({"q": "Übung"}, [beach]),
        ({"q": "a_b"}, [beach]),
        ({"q": "axb"}, []),
        ({"q": "%"}, []),
        ({"duplicates": "true"}, [film, beach]),
        ({"state": "missing"}, [lost]),
        ({"state": "all"}, [film, beach, lost, upper]),
    ]
    for query, expected in cases:
        assert ids(**query) == {str(photo.pk) for photo in expected}, query


@pytest.mark.parametrize("count", [2, 20])
def test_a_page_costs_three_queries_or_two_of_one_library(
    cast: Cast, django_assert_num_queries: Any, count: int, tmp_path: Any
) -> None:
    make_photos(cast.library, count)
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(2):
        assert len(client.get(PHOTOS).json()["results"]) == count
    make_photos(make_library(cast.alice, tmp_path / "photos" / "two"), count)
    with django_assert_num_queries(3):
        assert len(client.get(PHOTOS).json()["results"]) == 2 * count


def test_facts_of_one(cast: Cast, alice: APIClient, charlie: APIClient, anonymous: APIClient) -> None:
    photo = make_photo(cast.library, camera_make="Canon", iso=100, notes=["An odd date was left out."])
    Favourite.objects.create(user=cast.alice, photo=photo, rating=4)
    facts = alice.get(f"{PHOTOS}{photo.pk}/").json()
    assert (facts["camera_make"], facts["iso"], facts["favorite"]) == ("Canon", 100, 4)
    assert facts["notes"] == ["An odd date was left out."]
    assert charlie.get(f"{PHOTOS}{photo.pk}/").status_code == 404
    assert alice.get(f"{PHOTOS}{uuid4()}/").status_code == 404
    assert anonymous.get(f"{PHOTOS}{photo.pk}/").status_code == 401
    for verb in (alice.put, alice.delete, alice.post):
        assert verb(f"{PHOTOS}{photo.pk}/", {}).status_code == 405


@pytest.mark.promise("S2-042")
def test_a_star_toggles_between_none_and_five(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library)
    address = f"{PHOTOS}{photo.pk}/favorite/"
    expected = {"photo_id": str(photo.pk)}
    assert alice.post(address).json() == {**expected, "rating": 5, "favorited": True}
    assert alice.post(address, {}).json() == {**expected, "rating": 0, "favorited": False}
    assert alice.post(address, {"rating": 3}).json() == {**expected, "rating": 3, "favorited": True}
    assert alice.post(address).json()["rating"] == 0
    assert alice.post(address, {"rating": 0}).json()["favorited"] is False
    assert not Favourite.objects.exists()


@pytest.mark.parametrize("body", [{"rating": 6}, {"rating": -1}, {"rating": "many"}, {"rating": None}, [1]])
def test_a_bad_rating_is_refused_and_changes_nothing(cast: Cast, alice: APIClient, body: Any) -> None:
    photo = make_photo(cast.library)
    answer = alice.post(f"{PHOTOS}{photo.pk}/favorite/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert not Favourite.objects.exists()


def test_stars_are_everyones_own(cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    photo = make_photo(cast.library)
    address = f"{PHOTOS}{photo.pk}/favorite/"
    alice.post(address)
    assert alice.get(PHOTOS).json()["results"][0]["favorite"] == 5
    assert bob.get(PHOTOS).json()["results"][0]["favorite"] == 0
    assert bob.get(f"{PHOTOS}favorites/").json()["count"] == 0
    bob.post(address, {"rating": 2})
    assert alice.get(PHOTOS).json()["results"][0]["favorite"] == 5
    assert charlie.post(address).status_code == 404
    assert Favourite.objects.count() == 2


@pytest.mark.promise("S2-043")
def test_favourites_newest_star_first_with_count(cast: Cast, alice: APIClient) -> None:
    photos = [make_photo(cast.library) for _ in range(5)]
    for photo in photos[1:]:
        alice.post(f"{PHOTOS}{photo.pk}/favorite/")
    answer = alice.get(f"{PHOTOS}favorites/", {"limit": 3}).json()
    assert answer["count"] == 4
    assert [row["id"] for row in answer["results"]] == [str(photo.pk) for photo in photos[:1:-1]]
    rest = alice.get(f"{PHOTOS}favorites/", {"limit": 3, "cursor": answer["next_cursor"]}).json()
    assert [row["id"] for row in rest["results"]] == [str(photos[1].pk)]
    assert rest["next"] is None


def test_favourites_of_a_library_one_left_are_gone(cast: Cast, bob: APIClient) -> None:
    photo = make_photo(cast.library)
    bob.post(f"{PHOTOS}{photo.pk}/favorite/")
    cast.library.memberships.all().delete()
    assert bob.get(f"{PHOTOS}favorites/").json()["count"] == 0


@pytest.mark.promise("S2-044")
def test_many_stars_at_once_tell_what_was_not_possible(cast: Cast, alice: APIClient, tmp_path: Any) -> None:
    mine = [make_photo(cast.library) for _ in range(3)]
    hidden = make_photo(make_library(cast.charlie, tmp_path / "secret", name="Secret"))
    ids = [*(str(photo.pk) for photo in mine), str(hidden.pk), str(uuid4()), "nonsense", str(mine[0].pk)]
    answer = alice.post(f"{PHOTOS}bulk-favorite/", {"photo_ids": ids, "rating": 4}).json()
    assert (answer["success_count"], answer["error_count"]) == (3, 3)
    assert {error["photo_id"] for error in answer["errors"]} == set(ids[3:6])
    assert set(Favourite.objects.values_list("user", "rating")) == {(cast.alice.pk, 4)}
    answer = alice.post(f"{PHOTOS}bulk-favorite/", {"photo_ids": ids[:3], "rating": 0}).json()
    assert answer["success_count"] == 3
    assert not Favourite.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"photo_ids": [], "rating": 5},
        {"photo_ids": ["x"]},
        {"photo_ids": ["x"], "rating": 9},
        {"photo_ids": ["x"] * 1001, "rating": 5},
    ],
)
def test_bad_bulk_bodies(alice: APIClient, body: Any) -> None:
    assert alice.post(f"{PHOTOS}bulk-favorite/", body).status_code == 400


def test_a_session_needs_its_csrf_token(cast: Cast) -> None:
    photo = make_photo(cast.library)
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(cast.alice)
    assert client.post(f"{PHOTOS}{photo.pk}/favorite/").status_code == 403
    assert not Favourite.objects.exists()


def test_a_body_that_is_no_json(cast: Cast, alice: APIClient) -> None:
    photo = make_photo(cast.library)
    address = f"{PHOTOS}{photo.pk}/favorite/"
    assert alice.post(address, "rating=5", content_type="application/x-www-form-urlencoded").status_code == 415
    assert alice.post(address, "{", content_type="application/json").status_code == 400


def test_a_wrong_token_is_401(cast: Cast) -> None:
    client = client_of(cast.alice)
    client.credentials(HTTP_AUTHORIZATION="Token " + "0" * 64)
    assert client.get(PHOTOS).status_code == 401


def test_the_schema_describes_just_the_filters_that_are_read() -> None:
    assert {parameter.name for parameter in PARAMETERS} | {
        "favorite"
    } == NAMES  # the other spelling is not described twice


def test_a_place_is_named(cast: Cast, alice: APIClient) -> None:
    there = make_photo(cast.library, "2024/there.jpg", data=b"there", latitude=46.624, longitude=8.041)
    nowhere = make_photo(cast.library, "2024/nowhere.jpg", data=b"nowhere")
    names = [alice.get(f"{PHOTOS}{photo.pk}/").json()["place_name"] for photo in (there, nowhere)]
    assert names == ["Grindelwald, Switzerland", ""]
