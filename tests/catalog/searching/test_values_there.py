"""Photos of some cameras and media types: the same by every way of finding them, and by the index that is meant for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from catalog.browsing import photo_lists, searches
from catalog.browsing.filters import PhotoFilters
from catalog.models import Library
from catalog.searching import conditions, grammar, values_there
from tests.factories import make_library, make_photo, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.repeated]
CAMERAS = [
    ("Canon", "EOS R6"),
    ("Canon", "EOS 5D"),
    ("SONY", "EOS R6"),
    ("Nikon", "D750"),
    ("Nikon", "EOS 5D"),
    ("", ""),
]
TYPES = ["image/jpeg", "image/x-canon-cr2", "video/mp4", "image/jpegx", "", "image/jpeg"]
TABLE: list[tuple[dict[str, str], str]] = [
    ({"camera": "eos"}, "0 1 2 4"),
    ({"camera": "canon"}, "0 1"),
    ({"camera": "r6"}, "0 2"),
    ({"camera": "nikon"}, "3 4"),
    ({"camera": "NY"}, "2"),
    ({"camera": "d"}, "1 3 4"),  # of Nikon both, of Canon one
    ({"camera": "leica"}, ""),
    ({"media_type": "image"}, "0 1 3 5"),
    ({"media_type": "image/jpeg"}, "0 5"),
    ({"media_type": "video"}, "2"),
    ({"media_type": "audio/mpeg"}, ""),
    ({"camera": "eos", "media_type": "image"}, "0 1"),
    ({"q": "type:image"}, "0 1 3 5"),
    ({"q": "type:jpeg"}, "0 5"),
    ({"q": "type:raw"}, "1"),
    ({"q": "type:video or type:image/jpegx"}, "2 3"),
    ({"q": "not type:image"}, "2 4"),
    ({"q": "type:gif"}, ""),
]


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def library(alice: User, tmp_path: Path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number, ((make, model), kind) in enumerate(zip(CAMERAS, TYPES, strict=True)):
        make_photo(library, f"{number}", camera_make=make, camera_model=model, media_type=kind)
    other = make_library(make_user("bob"), tmp_path / "of bob")
    make_photo(other, "leica.jpg", camera_make="Leica", camera_model="M6", media_type="image/gif")
    return library


def filters_of(asked: dict[str, str], **more: str) -> PhotoFilters:
    query = grammar.parse(asked.get("q", ""))
    return PhotoFilters(query=query, camera=asked.get("camera", ""), media_type=asked.get("media_type", ""), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["few are looked up", "many are walked through", "too many values"])
def test_the_table_by_every_way(alice: User, library: Library, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way != "few are looked up":
        for module in (searches, conditions):
            monkeypatch.setattr(module, "MOST_LOOKED_UP", 0)
    if way == "too many values":
        monkeypatch.setattr(values_there, "MOST_VALUES", 1)
    for asked, expected in TABLE:
        for state in ("", "all"):
            filters = filters_of(asked, state=state)
            page = photo_lists.photo_page(alice, filters, {}, ("filename",))
            assert {row["filename"] for row in page.rows} == set(expected.split()), (asked, state)
            counted = sum(bucket["count"] for bucket in photo_lists.timeline_buckets(alice, filters))
            assert counted == len(expected.split()), (asked, state)
            assert photo_lists.photos(alice, filters).count() == counted


def test_photos_that_are_not_shown_are_found_where_they_are_asked_for(alice: User, library: Library) -> None:
    make_photo(library, "broken", media_type="video/mp4", camera_make="SONY", state="broken", is_shown=False)
    for asked in ({"q": "type:video"}, {"media_type": "video"}, {"camera": "sony"}):
        assert photo_lists.photos(alice, filters_of(asked)).count() == 1
        assert photo_lists.photos(alice, filters_of(asked, state="all")).count() == 2


def plans(read: object) -> Iterator[str]:
    with CaptureQueriesContext(connection) as captured:
        read()  # type: ignore[operator]
    for query in captured.captured_queries:
        if 'FROM "catalog_photo"' in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                yield "\n".join(row[3] for row in cursor.fetchall())


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"media_type": "image"}, "photo_by_type"),
        ({"camera": "eos"}, "photo_by_camera"),
        ({"q": "type:image"}, "photo_by_type"),
    ],
)
def test_counts_come_from_the_index_alone_and_pages_in_the_timelines_order(
    alice: User, library: Library, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], index: str
) -> None:
    for module in (searches, conditions):
        monkeypatch.setattr(module, "MOST_LOOKED_UP", 0)
    if connection.vendor == "sqlite":
        *looked, counts = plans(lambda: photo_lists.timeline_buckets(alice, filters_of(asked)))
        assert f"COVERING INDEX {index} (" in counts
        looked = [
            plan for plan in looked if "INDEX sqlite_autoindex_catalog_photo_1 (id=?)" not in plan
        ]  # of the index of words
        assert [plan for plan in looked if "COVERING INDEX photo_by_" not in plan] == []
        *_, page = plans(lambda: photo_lists.photo_page(alice, filters_of(asked), {}))
        assert "INDEX photo_timeline (library_id=?)" in page
