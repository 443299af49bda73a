"""The admin: every list and form opens, costs a fixed number of queries, and facts cannot be changed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from knox.models import AuthToken

from accounts.models import Device
from catalog.models import Favourite, HashCache, Library, Photo, Snapshot
from operations.models import Operation
from photolala.web import admin as web_admin
from tests.factories import make_library, make_photo, make_photos, make_user

from .conftest import Cast

LISTS = (
    "accounts_user",
    "accounts_device",
    "operations_operation",
    "catalog_library",
    "catalog_photo",
    "catalog_favourite",
    "catalog_snapshot",
    "catalog_hashcache",
)


@pytest.fixture
def root(cast: Cast) -> Client:
    """An administrator."""
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


def make_rows(cast: Cast, numbers: Iterable[int], tmp_path: Path) -> None:
    for number in numbers:
        library = make_library(cast.alice, tmp_path / f"library{number}", name=f"Library {number}")
        photo = make_photos(library, 1)[0]
        Favourite.objects.create(user=cast.bob, photo=photo)
        Snapshot.objects.create(
            library=library, md5=f"{number:032}", entry_count=1, size_bytes=1, published_at="2026-01-01T00:00:00Z"
        )
        HashCache.objects.create(library=library, path="x", size_bytes=1, mtime_ns=1, cached_at="2026-01-01T00:00:00Z")
        Operation.objects.create(owner=cast.alice, kind="scan", state="failed")
        Device.objects.create(user=cast.alice, name="Phone", token=AuthToken.objects.create(cast.alice)[0])
        make_user(f"user{number}")


def test_deleting_a_user_loads_none_of_their_photos(cast: Cast, root: Client) -> None:
    costs = []
    for count in (2, 60):
        owner = make_user(f"owner of {count}")
        library = make_library(owner, cast.root.parent / str(count), members={cast.bob: "viewer"})
        photo = make_photos(library, count)[0]
        Favourite.objects.create(user=cast.bob, photo=photo)
        Operation.objects.create(owner=owner, kind="scan", state="failed")
        address = reverse("admin:accounts_user_delete", args=[owner.pk])
        page = root.get(address).content.decode()
        assert "no photo file is touched" in page
        assert photo.filename not in page
        with CaptureQueriesContext(connection) as queries:
            assert root.post(address, {"post": "yes"}).status_code == 302
        costs.append(len(queries))
        assert not any('SELECT "catalog_photo"."id", "catalog_photo"."library_id"' in row["sql"] for row in queries)
        assert not type(owner).objects.filter(pk=owner.pk).exists()
        assert not Photo.objects.filter(library=library.pk).exists()
    assert costs[1] <= costs[0]
    chosen = {"_selected_action": [str(cast.alice.pk)], "action": "delete_selected", "post": "yes"}
    root.post(reverse("admin:accounts_user_changelist"), chosen)
    assert not Library.objects.filter(owner=cast.alice.pk).exists()
    assert type(cast.alice).objects.filter(username="bob").exists()


@pytest.mark.parametrize("name", LISTS)
def test_each_list_costs_the_same_at_2_and_20_rows(cast: Cast, root: Client, tmp_path: Path, name: str) -> None:
    costs = []
    for numbers in (range(2), range(2, 20)):
        make_rows(cast, numbers, tmp_path)
        with CaptureQueriesContext(connection) as queries:
            assert root.get(reverse(f"admin:{name}_changelist")).status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]


@pytest.mark.parametrize("name", LISTS)
def test_each_form_and_search_opens(cast: Cast, root: Client, tmp_path: Path, name: str) -> None:
    make_rows(cast, [1], tmp_path)
    model = next(model for model in admin.site._registry if model._meta.label_lower == name.replace("_", "."))
    key = model._default_manager.first().pk
    assert root.get(reverse(f"admin:{name}_change", args=[key])).status_code == 200
    for words in ("x", str(key), "0" * 32):
        assert root.get(reverse(f"admin:{name}_changelist"), {"q": words}).status_code == 200


@pytest.mark.parametrize(
    "name", ["catalog_photo", "catalog_favourite", "catalog_snapshot", "catalog_hashcache", "operations_operation"]
)
def test_facts_are_read_only(cast: Cast, root: Client, tmp_path: Path, name: str) -> None:
    make_rows(cast, [1], tmp_path)
    model = next(model for model in admin.site._registry if model._meta.label_lower == name.replace("_", "."))
    key = model._default_manager.first().pk
    assert root.post(reverse(f"admin:{name}_change", args=[key]), {}).status_code == 403
    assert root.post(reverse(f"admin:{name}_delete", args=[key]), {"post": "yes"}).status_code == 403
    assert root.get(reverse(f"admin:{name}_add")).status_code == 403


def test_large_tables_are_not_counted(cast: Cast, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_photos(cast.library, 12)
    monkeypatch.setattr(web_admin, "ASSUMED_ROWS", 5)
    with CaptureQueriesContext(connection) as queries:
        assert root.get(reverse("admin:catalog_photo_changelist")).status_code == 200
    counts = [
        query["sql"]
        for query in queries.captured_queries
        if "COUNT(" in query["sql"] and "catalog_photo" in query["sql"]
    ]
    assert counts
    assert all("LIMIT 5" in sql for sql in counts)


def test_photos_are_found_by_what_is_exact(cast: Cast, root: Client) -> None:
    photo, other = make_photo(cast.library, "one.jpg"), make_photo(cast.library, "two.jpg")
    for words in (str(photo.pk), photo.photo_md5, "one.jpg"):
        text = root.get(reverse("admin:catalog_photo_changelist"), {"q": words}).content.decode()
        assert (str(photo.pk) in text, str(other.pk) in text) == (True, False), words


def test_the_scan_action_only_starts_operations(cast: Cast, root: Client) -> None:
    body = {"action": "scan", "_selected_action": [str(cast.library.pk)]}
    for _ in range(2):  # the second time it runs already, which is said and is no error
        assert root.post(reverse("admin:catalog_library_changelist"), body, follow=True).status_code == 200
    operation = Operation.objects.get()
    assert (operation.kind, operation.owner) == ("scan", cast.alice)


def test_forgetting_a_library_touches_no_file(cast: Cast, root: Client) -> None:
    photo = make_photo(cast.library)
    answer = root.get(reverse("admin:catalog_library_delete", args=[cast.library.pk]))
    assert "no file is touched" in answer.content.decode()
    root.post(reverse("admin:catalog_library_delete", args=[cast.library.pk]), {"post": "yes"})
    assert not (Library.objects.exists() or Photo.objects.exists())
    assert (cast.root / photo.path).exists()


def test_deleting_a_device_deletes_its_token(cast: Cast, root: Client) -> None:
    token, _ = AuthToken.objects.create(cast.alice)
    device = Device.objects.create(user=cast.alice, name="Phone", token=token)
    assert root.post(reverse("admin:accounts_device_delete", args=[device.pk]), {"post": "yes"}).status_code == 302
    assert not AuthToken.objects.exists()
    assert not Device.objects.exists()


def test_operations_are_cancelled_and_resumed(cast: Cast, root: Client) -> None:
    failed = Operation.objects.create(owner=cast.alice, kind="scan", state="failed")
    running = Operation.objects.create(owner=cast.alice, kind="scan", state="running")
    address = reverse("admin:operations_operation_changelist")
    keys: Any = [str(failed.pk), str(running.pk)]
    root.post(address, {"action": "resume", "_selected_action": keys[:1]})
    root.post(address, {"action": "cancel", "_selected_action": keys})
    failed.refresh_from_db()
    running.refresh_from_db()
    assert (failed.state, running.cancel_requested) == ("cancelled", True)
