"""Reads of large libraries go through their indexes, and cursors hold whatever the order is."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from catalog.browsing import filters, photo_lists, searches
from catalog.browsing.filters import PhotoFilters
from catalog.entries.read_here import unread
from catalog.identity import swaps
from catalog.models import Favourite, FileWrite, ImportItem, Library, Photo
from catalog.models.conditions import is_given, state_in, written_out
from catalog.scanning import later_columns
from catalog.searching import conditions, grammar
from catalog.words import indexing
from photolala.web.keyset import decode_cursor, encode_cursor, paginate
from photolala.web.refusals import BadRequest
from tests.factories import make_library, make_photos, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def library(alice: User, tmp_path: Path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    make_photos(library, 30)
    return library


def plans_of(read: Any) -> str:
    """Return SQLite's plans of the photo queries that `read` makes; "" on other databases."""
    with CaptureQueriesContext(connection) as captured:
        read()
    asked = [query["sql"] for query in captured.captured_queries if 'FROM "catalog_photo"' in query["sql"]]
    assert asked
    if connection.vendor != "sqlite":
        return ""
    with connection.cursor() as cursor:
        plans = []
        for sql in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plans += [row[3] for row in cursor.fetchall()]
    return "\n".join(plans)


def test_counts_are_read_in_the_order_of_an_index(alice: User, library: Library) -> None:
    days = plans_of(lambda: photo_lists.timeline_buckets(alice))
    folders = plans_of(lambda: photo_lists.subfolders(library, ""))
    if connection.vendor == "sqlite":
        assert "INDEX photo_days (library_id=?)" in days
        assert "INDEX photo_estimated (library_id=?" in days
        assert "COVERING INDEX photo_rescan (library_id=?)" in folders


def test_deep_pages_enter_the_index_at_their_place(alice: User, library: Library, tmp_path: Path) -> None:
    make_photos(make_library(alice, tmp_path / "two"), 5)
    page = photo_lists.photo_page(alice, PhotoFilters(), {"limit": "7"})
    plans = plans_of(
        lambda: photo_lists.photo_page(alice, PhotoFilters(), {"limit": "7", "cursor": page.next_cursor or ""})
    )
    if connection.vendor == "sqlite":
        assert plans.count("INDEX photo_timeline (library_id=? AND taken_local=? AND id>?)") == 2
        assert plans.count("INDEX photo_timeline (library_id=? AND taken_local<?)") == 2


def test_small_folders_and_rare_words_are_looked_up_and_others_read_from_the_newest(
    alice: User, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(**wanted: Any) -> str:
        return plans_of(lambda: photo_lists.photo_page(alice, PhotoFilters(**wanted), {"limit": "7"}))

    def plans(**wanted: Any) -> str:
        return page(**wanted) + plans_of(lambda: photo_lists.timeline_buckets(alice, PhotoFilters(**wanted)))

    words = grammar.parse("img")
    for recursive in (False, True):
        small = plans(folder="2024", recursive=recursive)
        if connection.vendor == "sqlite":
            assert small.count("INDEX photo_rescan (library_id=? AND directory") == 4  # two counts, page, buckets
            assert "photo_timeline" not in small
    indexing.catch_up()  # which looks photos up, too
    rare = page(query=words)
    if connection.vendor == "sqlite":
        assert rare.count("SEARCH catalog_photo USING INDEX sqlite_autoindex_catalog_photo_1 (id=?)") == 1
    monkeypatch.setattr(filters, "MOST_LOOKED_UP", 1)
    monkeypatch.setattr(searches, "MOST_LOOKED_UP", 1)
    monkeypatch.setattr(conditions, "MOST_LOOKED_UP", 1)
    for many in (page(query=words), plans(folder="", recursive=False)):
        if connection.vendor == "sqlite":
            assert "INDEX photo_timeline (library_id=?" in many


def test_a_cursor_is_for_one_order_only(library: Library) -> None:
    cursor = paginate(Photo.objects.all(), ("filename", "id"), {"limit": "3"}).next_cursor
    assert cursor
    for order in (("-filename", "id"), ("directory", "id"), ("filename",)):
        with pytest.raises(BadRequest):
            decode_cursor(cursor, Photo, order)


@pytest.mark.parametrize("order", [("-taken_local", "-id"), ("size_bytes", "id"), ("-size_bytes", "filename", "id")])
def test_every_order_covers_all_rows_once(library: Library, order: tuple[str, ...]) -> None:
    expected = list(Photo.objects.order_by(*order).values_list("pk", flat=True))
    seen: list[UUID] = []
    params = {"limit": "4"}
    while True:
        page = paginate(Photo.objects.all(), order, params)
        seen += [row.pk for row in page.rows]
        if not page.next_cursor:
            break
        params["cursor"] = page.next_cursor
    assert seen == expected


@pytest.mark.parametrize("values", [("2024", "x"), (5, 5), ("2024-01-01T00:00:00", "x"), (None, None), ([], {})])
def test_values_of_other_kinds_are_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(encode_cursor(("taken_local", "id"), values), Photo, ("taken_local", "id"))


def index_of(rows: Any) -> str:
    """Return SQLite's plan of a queryset; "" on other databases."""
    return str(rows.order_by().explain()) if connection.vendor == "sqlite" else ""


@pytest.mark.parametrize(
    "find,index",
    [
        (lambda: Photo.objects.filter(library=UUID(int=1)).with_pictures(["a" * 32]), "photo_by_image (library_id=?"),
        (
            lambda: Photo.objects.filter(library=UUID(int=1)).of_assets(["A/L0/001"]),
            "one_photo_per_asset (library_id=?",
        ),
        (lambda: Photo.objects.filter(is_given("replaced_md5")), "photo_replaced"),
        (
            lambda: ImportItem.objects.filter(
                state_in(ImportItem.State.PLACING, ImportItem.State.IMPORTED), photo_md5__in=["a" * 32]
            ),
            "import_item_content (photo_md5=?)",
        ),
        (
            lambda: FileWrite.objects.filter(FileWrite.queued(), library=UUID(int=1), try_at__lte=timezone.now()),
            "file_write_queue (library_id=? AND try_at<?)",
        ),
    ],
    ids=["pictures", "assets", "replaced", "imported", "writes"],
)
def test_partial_indexes_are_used_although_values_are_parameters(find: Any, index: str) -> None:
    rows = find()
    assert list(rows) == []  # the same condition everywhere
    assert connection.vendor != "sqlite" or index in index_of(rows)


def test_only_plain_words_are_written_out_in_the_sql() -> None:
    with pytest.raises(ValueError, match="no plain word"):
        written_out("x' OR 1=1")


def test_what_was_replaced_is_found_whether_few_or_many(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert swaps._marked(library) is None
    first, *_ = Photo.objects.filter(library=library).order_by("pk")
    other = make_library(library.owner, Path(library.root).parent / "three")
    make_photos(other, 3)
    Photo.objects.filter(library=other).update(replaced_md5="b" * 32, photo_md5="c" * 32)
    assert swaps._marked(library) is None
    Photo.objects.filter(pk=first.pk).update(replaced_md5="a" * 32, photo_md5="d" * 32)
    for most in (500, 3, 0):
        monkeypatch.setattr(swaps, "MOST_NAMED", most)
        found = swaps._marked(library)
        assert found is not None
        assert list(found.values_list("pk", flat=True)) == [first.pk]


def test_the_few_are_looked_up_in_their_indexes(alice: User, library: Library) -> None:
    some = list(Photo.objects.filter(library=library).order_by("pk")[:5])
    for photo in some[:3]:
        Favourite.objects.create(user=alice, photo=photo, rating=4)
    Photo.objects.filter(pk__in=[photo.pk for photo in some[2:]]).update(rating=4)
    rated, liked = PhotoFilters(rating=4), PhotoFilters(favourite=True)
    for wanted, index in (
        (rated, "photo_rated (library_id=? AND rating=?)"),
        (liked, "sqlite_autoindex_catalog_photo_1 (id=?)"),
    ):
        found: dict[str, Any] = {}
        plans = [
            plans_of(lambda f=wanted, at=found: at.update(page=photo_lists.photo_page(alice, f, {}))),
            plans_of(lambda f=wanted, at=found: at.update(buckets=photo_lists.timeline_buckets(alice, f))),
        ]
        assert len(found["page"].rows) == sum(one["count"] for one in found["buckets"]) == 3
        assert connection.vendor != "sqlite" or all(index in plan for plan in plans)
    assert "photo_unread" in index_of(unread(library).filter(pk__gt=UUID(int=0))) or connection.vendor != "sqlite"
    assert "photo_problems" in index_of(Photo.objects.filter(library=library, state="broken").with_problems()) or (
        connection.vendor != "sqlite"
    )


def test_photos_without_a_date_of_their_own_are_looked_up(alice: User, library: Library) -> None:
    plans = plans_of(lambda: photo_lists.timeline_bucket(alice, None, ["undated"]))
    if connection.vendor == "sqlite":
        assert "INDEX photo_estimated (library_id=?" in plans
        assert "INDEX photo_timeline (library_id=? AND taken_local=?" in plans


def test_favourites_are_the_same_whether_they_are_few_or_many(
    alice: User, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = make_library(make_user("bob"), tmp_path / "foreign")
    make_photos(foreign, 2)
    for photo in [*Photo.objects.filter(library=library)[:7], *Photo.objects.filter(library=foreign)]:
        Favourite.objects.create(user=alice, photo=photo, rating=5)  # the foreign ones: from before she lost access
    liked = PhotoFilters(favourite=True)
    few = [row["id"] for row in photo_lists.photo_page(alice, liked, {"limit": "5"}).rows]
    buckets = photo_lists.timeline_buckets(alice, liked)
    monkeypatch.setattr(filters, "MOST_LOOKED_UP", 3)
    assert [row["id"] for row in photo_lists.photo_page(alice, liked, {"limit": "5"}).rows] == few
    assert photo_lists.timeline_buckets(alice, liked) == buckets
    assert sum(one["count"] for one in buckets) == 7


def test_what_a_later_version_keeps_is_looked_for_in_its_own_index(library: Library) -> None:
    Photo.objects.update(image_digest="ab" * 16)

    def read() -> None:
        assert later_columns.unfilled(library).first() is None
        assert later_columns.count_unfilled(library) == 0

    plans = plans_of(read)
    if connection.vendor == "sqlite":
        used = [line.partition("USING INDEX ")[2].split()[0] for line in plans.splitlines() if "catalog_photo " in line]
        assert used == ["photo_unfilled", "photo_motion_unread"] * 2, plans
