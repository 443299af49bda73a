"""The timeline through the API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.browsing import timeline
from catalog.models import Favourite, Library
from tests.factories import make_library, make_photo, make_photos

from .conftest import API, Cast

BUCKETS = f"{API}timeline/buckets/"
BUCKET = f"{API}timeline/bucket/"


def test_months_newest_first_undated_last(
    cast: Cast, alice: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    make_photos(cast.library, 3)
    make_photo(cast.library, taken=datetime(2023, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    make_photo(cast.library, taken=None)
    make_photo(cast.library, state="broken", is_shown=False)
    expected = [{"bucket": "2024-05", "count": 3}, {"bucket": "2023-12", "count": 1}, {"bucket": "undated", "count": 1}]
    assert alice.get(BUCKETS).json() == expected
    assert charlie.get(BUCKETS).json() == []
    assert anonymous.get(BUCKETS).status_code == 401
    assert alice.post(BUCKETS).status_code == 405
    assert alice.get(BUCKETS, {"media_type": "video"}).json() == []
    assert alice.get(BUCKETS, {"rating": "9"}).status_code == 400


def test_large_months_are_split_by_day(cast: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "LARGEST_MONTH", 3)
    for day in (3, 3, 9, 9):
        make_photo(cast.library, taken=datetime(2024, 5, day, tzinfo=UTC))
    make_photo(cast.library, taken=datetime(2024, 4, 1, tzinfo=UTC))
    assert [row["bucket"] for row in alice.get(BUCKETS).json()] == ["2024-05-09", "2024-05-03", "2024-04"]


def test_each_bucket_holds_as_many_as_it_says(
    cast: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(timeline, "LARGEST_MONTH", 2)
    second = make_library(cast.alice, tmp_path / "photos" / "two", name="Two")
    for library in (cast.library, second):
        for moment in ((2024, 5, 1), (2024, 5, 31, 23, 59, 59, 999999), (2024, 4, 30), (1970, 1, 1), (1826, 1, 1)):
            make_photo(library, taken=datetime(*moment, tzinfo=UTC))
        make_photo(library, taken=None)
    buckets = alice.get(BUCKETS).json()
    seen: list[str] = []
    for row in buckets:
        photos = alice.get(BUCKET, {"bucket": row["bucket"]}).json()
        assert len(photos["id"]) == row["count"]
        seen += photos["id"]
    together = alice.get(BUCKET, {"bucket": [row["bucket"] for row in buckets]}).json()
    assert together["id"] == seen
    assert len(set(seen)) == 12


def test_what_has_only_its_file_s_time_is_undated(cast: Cast, alice: APIClient) -> None:
    dated = make_photo(cast.library, rating=2)
    older = make_photo(cast.library, taken=datetime(2024, 5, 1, tzinfo=UTC), taken_source="file", rating=2)
    newer = make_photo(cast.library, taken=datetime(2026, 3, 1, tzinfo=UTC), taken_source="file", rating=2)
    never = make_photo(cast.library, taken=None, rating=2)
    expected = [{"bucket": "2024-05", "count": 1}, {"bucket": "undated", "count": 3}]
    assert alice.get(BUCKETS).json() == alice.get(BUCKETS, {"rating": "2"}).json() == expected
    undated = alice.get(BUCKET, {"bucket": "undated"}).json()
    assert undated["id"] == [str(newer.pk), str(older.pk), str(never.pk)]
    assert (undated["taken_at"], undated["taken_local"]) == ([None] * 3, [None] * 3)
    assert alice.get(BUCKET, {"bucket": ["undated", "2024-05"]}).json()["id"] == [str(dated.pk), *undated["id"]]
    assert alice.get(BUCKET, {"bucket": "2026-03"}).json()["id"] == []
    assert alice.get(f"/api/v1/photos/{newer.pk}/").json()["taken_local"] == "2026-03-01T00:00:00"  # known nevertheless


def test_a_bucket_is_a_struct_of_arrays(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    star = make_photo(cast.library, width=300, height=200, has_thumbnail=True)
    film = make_photo(
        cast.library,
        taken=datetime(2024, 5, 1, tzinfo=UTC),
        media_type="video/mp4",
        duration_ms=1500,
        width=None,
        height=None,
        photo_md5="",
        state="surveyed",
    )
    Favourite.objects.create(user=cast.alice, photo=star, rating=3)
    body = alice.get(BUCKET, {"bucket": "2024-05"}).json()
    assert body == {
        "id": [str(star.pk), str(film.pk)],
        "ratio": [1.5, 1.5],
        "placeholder": ["#405060", "#405060"],
        "favourite": [True, False],
        "favorite": [True, False],
        "stars": [3, 0],
        "taken_at": ["2024-05-17T12:00:00Z", "2024-05-01T00:00:00Z"],
        "taken_local": ["2024-05-17T12:00:00", "2024-05-01T00:00:00"],
        "media_type": ["image/jpeg", "video/mp4"],
        "duration": [None, 1500],
        "state": ["ready", "surveyed"],
        "thumbnail": [True, False],
        "version": [star.photo_md5[:8], ""],
        "live": ["", ""],
        "can_edit": [True, True],
        "motion": [False, False],
    }
    theirs = bob.get(BUCKET, {"bucket": "2024-05"}).json()
    assert (theirs["favorite"], theirs["stars"]) == ([False, False], [0, 0])
    assert theirs["can_edit"] == [False, False]
    assert alice.get(BUCKET, {"bucket": "2024-05", "favourite": "true"}).json()["id"] == [str(star.pk)]


@pytest.mark.parametrize(
    "bucket", ["", "2024", "2024-13", "2024-02-30", "0000-01", "9999-12-32", "tomorrow", "٢٠٢٤-05"]
)
def test_bad_buckets(alice: APIClient, bucket: str) -> None:
    assert alice.get(BUCKET, {"bucket": bucket}).status_code == 400


def test_a_month_beyond_the_calendar_is_no_bucket(alice: APIClient) -> None:
    assert alice.get(BUCKET, {"bucket": "9999-12"}).status_code == 400


def test_too_many_or_no_buckets(alice: APIClient) -> None:
    assert alice.get(BUCKET).status_code == 400
    assert alice.get(BUCKET, {"bucket": [f"{year}-01" for year in range(1900, 1951)]}).status_code == 400


def test_counts_are_kept_until_the_revision_changes(cast: Cast, alice: APIClient) -> None:
    make_photos(cast.library, 2)
    assert alice.get(BUCKETS).json()[0]["count"] == 2
    make_photos(cast.library, 1)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert alice.get(BUCKETS).json()[0]["count"] == 2
    assert not any("taken_day" in query["sql"] for query in queries.captured_queries)
    Library.objects.filter(pk=cast.library.pk).update(revision=1)
    assert alice.get(BUCKETS).json()[0]["count"] == 3


@pytest.mark.parametrize("count", [2, 20])
def test_a_bucket_costs_two_queries(cast: Cast, django_assert_num_queries: Any, count: int) -> None:
    make_photos(cast.library, count)
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(2):
        assert len(client.get(BUCKET, {"bucket": ["2024-05", "2020-01"]}).json()["id"]) == count


def test_several_buckets_are_bounded_and_one_is_not(
    cast: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST_PHOTOS", 4)
    monkeypatch.setattr(timeline, "CHUNK_ROWS", 2)
    for day in (3, 3, 3, 9, 9):
        make_photo(cast.library, taken=datetime(2024, 5, day, tzinfo=UTC))
    assert len(alice.get(BUCKET, {"bucket": "2024-05"}).json()["id"]) == 5
    assert len(alice.get(BUCKET, {"bucket": ["2024-05-03", "2024-04"]}).json()["id"]) == 3
    answer = alice.get(BUCKET, {"bucket": ["2024-05-03", "2024-05-09"]})
    assert answer.status_code == 400
    assert "fewer" in answer.json()["detail"]


def test_a_picture_and_its_short_video_of_one_name_are_one_photo(cast: Cast, alice: APIClient) -> None:
    def add(name: str, kind: str, **more: Any) -> str:
        return str(make_photo(cast.library, name, data=name.encode(), media_type=kind, **more).pk)

    pair = {add("a/IMG_7.JPG", "image/jpeg"), add("a/IMG_7.mp4", "video/mp4", duration_ms=2800)}
    add("a/IMG_8.JPG", "image/jpeg")
    add("b/IMG_8.MOV", "video/quicktime", duration_ms=2800)
    add("a/IMG_9.JPG", "image/jpeg")
    add("a/IMG_9.MOV", "video/quicktime", duration_ms=60_000)
    (bucket,) = alice.get(f"{API}timeline/buckets/").json()
    arrays = alice.get(f"{API}timeline/bucket/", {"bucket": bucket["bucket"]}).json()
    live = dict(zip(arrays["id"], arrays["live"], strict=True))
    assert {pk for pk, key in live.items() if key} == pair
    assert len({live[pk] for pk in pair}) == 1
