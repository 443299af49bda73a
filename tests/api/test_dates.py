"""Dates through the API: one, many, beforehand, back, and who may."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.edits import dates
from catalog.models import FileWrite, Photo
from tests.factories import make_photo

from .conftest import API, Cast

DATES = f"{API}photos/dates/"


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photos(cast: Cast) -> list[Photo]:
    return [make_photo(cast.library, f"{number}.jpg") for number in range(3)]


def ids(photos: list[Photo]) -> list[str]:
    return [str(photo.pk) for photo in photos]


def test_patch_sets_the_date_with_or_without_offset(photos: list[Photo], alice: APIClient, bob: APIClient) -> None:
    address = f"{API}photos/{photos[0].pk}/"
    body = alice.patch(address, {"taken_at": "2015-06-01T12:00:00+02:00"}, format="json").json()
    assert (body["taken_local"], body["taken_source"]) == ("2015-06-01T12:00:00+02:00", "person")
    body = alice.patch(address, {"taken_at": "2015-06-01T12:00:00"}, format="json").json()
    assert body["taken_local"] == "2015-06-01T12:00:00"
    assert FileWrite.objects.get().wanted == {"taken": "2015-06-01T12:00:00", "offset": None}
    assert bob.patch(address, {"taken_at": "2015-06-01T12:00:00"}, format="json").status_code == 403
    for text in ("yesterday", "2015-13-01T00:00:00", "", "2015-06-01T12:00:00+23:00"):
        assert alice.patch(address, {"taken_at": text}, format="json").status_code == 400, text
    assert alice.patch(address, {"taken_at": "1700-01-01T00:00:00"}, format="json").status_code == 422
    photos[0].refresh_from_db()
    assert photos[0].taken_text == "2015-06-01T12:00:00"


def test_a_dry_run_changes_nothing_and_says_what_would_be(photos: list[Photo], alice: APIClient) -> None:
    wanted = {"photo_ids": ids(photos), "how": "shift", "seconds": 90, "dry_run": True}
    answer = alice.post(DATES, wanted, format="json").json()
    assert (answer["changed"], answer["problem_count"]) == (0, 0)
    assert {row["before"] for row in answer["photos"]} == {"2024-05-17T12:00:00"}
    assert {row["after"] for row in answer["photos"]} == {"2024-05-17T12:01:30"}
    assert not Photo.objects.filter(taken_held=True).exists()
    answer = alice.post(DATES, {**wanted, "dry_run": False}, format="json").json()
    assert answer["changed"] == 3
    assert {photo.taken_text for photo in Photo.objects.all()} == {"2024-05-17T12:01:30"}
    assert FileWrite.objects.count() == 3


def test_many_are_spread(photos: list[Photo], alice: APIClient) -> None:
    wanted = {
        "photo_ids": ids(photos),
        "how": "spread",
        "taken_at": "2015-06-01T12:00:00+02:00",
        "last": "2015-06-01T12:20:00",
    }
    answer = alice.post(DATES, wanted, format="json").json()
    assert [row["after"][11:] for row in answer["photos"]] == ["12:00:00+02:00", "12:10:00+02:00", "12:20:00+02:00"]


def test_photos_of_others_are_told_like_absent_ones(
    photos: list[Photo], alice: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    wanted = {"photo_ids": ids(photos[:1]), "how": "set", "taken_at": "2015-06-01T12:00:00"}
    for client in (bob, charlie):
        answer = client.post(DATES, wanted, format="json").json()
        assert (answer["changed"], answer["problem_count"], answer["photos"][0]["before"]) == (0, 1, "")
    assert anonymous.post(DATES, wanted, format="json").status_code == 401
    assert not Photo.objects.filter(taken_held=True).exists()


@pytest.mark.parametrize(
    "body",
    [
        {"how": "set"},
        {"how": "shift"},
        {"how": "spread", "taken_at": "2015-06-01T12:00:00"},
        {"how": "spread", "taken_at": "2015-06-01T12:00:00", "last": "2015-05-01T12:00:00"},
        {"how": "guess"},
        {"how": "shift", "seconds": 10**12},
        {"how": "shift", "seconds": 1, "offset": "noon"},
    ],
)
def test_what_makes_no_sense_is_refused(photos: list[Photo], alice: APIClient, body: dict[str, Any]) -> None:
    answer = alice.post(DATES, {"photo_ids": ids(photos), **body}, format="json")
    assert answer.status_code == 400
    assert answer.json()["title"]
    assert not Photo.objects.filter(taken_held=True).exists()


def test_undo_says_what_it_took_back(photos: list[Photo], cast: Cast, alice: APIClient) -> None:
    FileWrite.objects.create(
        library=cast.library,
        photo=photos[0],
        user=cast.alice,
        kind="date",
        wanted={"taken": "2015-06-01T12:00:00", "offset": None},
        previous={"taken": "2024-05-17T12:00:00", "offset": 60},
        state="done",
        new_md5=photos[0].photo_md5,
        try_at=photos[0].added_at,
        finished_at=photos[0].added_at,
    )
    answer = alice.post(f"{API}photos/{photos[0].pk}/undo/").json()
    assert (answer["kind"], answer["taken"], answer["offset"]) == ("date", "2024-05-17T12:00:00", 60)
    assert Path(cast.library.root, "0.jpg").exists()
    assert alice.post(f"{API}photos/{photos[0].pk}/undo/").status_code == 409


def test_a_photo_that_was_led_elsewhere_meanwhile_is_told(
    photos: list[Photo], alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the planning and the locking of its row a scan found it to be another photo's."""
    photo, gone = photos[:2]
    set_dates = dates.set_dates

    def led_away_first(*words: Any) -> int:
        Photo.objects.filter(pk=gone.pk).delete()
        return set_dates(*words)

    monkeypatch.setattr(dates, "set_dates", led_away_first)
    body = {"photo_ids": [str(photo.pk), str(gone.pk)], "how": "set", "taken_at": "2012-02-02T12:00:00"}
    answer = alice.post(DATES, body, format="json").json()
    assert (answer["changed"], answer["problem_count"]) == (1, 1)
    problems = {row["photo_id"]: bool(row["problem"]) for row in answer["photos"]}
    assert problems == {str(photo.pk): False, str(gone.pk): True}
