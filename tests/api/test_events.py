"""Polling for changes, probes, figures, schema and documentation."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.api import events_stream, health
from catalog.edits import favourites
from catalog.edits.stars import star
from catalog.models import Favourite, Library
from operations.models import Operation
from photolala.lib.peers import Peers
from tests.factories import make_library, make_photo, make_user

from .conftest import API, Cast, client_of

POLL = f"{API}events/poll"


def test_poll_tells_what_changed(cast: Cast, bob: APIClient, anonymous: APIClient, tmp_path: Any) -> None:
    photo = make_photo(cast.library)
    first = bob.get(POLL).json()
    assert [row["id"] for row in first["libraries"]] == [str(cast.library.pk)]
    quiet = bob.get(POLL, {"after": first["cursor"]}).json()
    assert (quiet["libraries"], quiet["gone"], quiet["favorites_changed"]) == ([], [], False)
    Library.objects.filter(pk=cast.library.pk).update(revision=1, photo_count=1)
    Favourite.objects.create(user=cast.bob, photo=photo)
    changed = bob.get(POLL, {"after": quiet["cursor"]}).json()
    assert changed["libraries"][0]["photo_count"] == 1
    assert changed["favorites_changed"] is True
    cast.library.memberships.all().delete()
    assert bob.get(POLL, {"after": changed["cursor"]}).json()["gone"] == [str(cast.library.pk)]
    assert anonymous.get(POLL).status_code == 401
    assert bob.post(POLL).status_code == 405


def test_poll_shows_only_ones_own_operations(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    Operation.objects.create(owner=cast.alice, kind="scan", state="running", done=3)
    Operation.objects.create(owner=cast.alice, kind="scan", state="completed")
    assert [row["done"] for row in alice.get(POLL).json()["operations"]] == [3]
    assert bob.get(POLL).json()["operations"] == []


@pytest.mark.parametrize("after", ["x", "e30", "eyJzdGFycyI6MSwibGlicmFyaWVzIjp7fX0", "ä", "bnVsbA"])
def test_bad_cursors(alice: APIClient, after: str) -> None:
    assert alice.get(POLL, {"after": after}).status_code == 400


@pytest.mark.parametrize("count", [2, 20])
def test_poll_costs_three_queries(cast: Cast, django_assert_num_queries: Any, count: int, tmp_path: Any) -> None:
    for number in range(count - 1):
        make_library(cast.alice, tmp_path / f"more{number}")
        Operation.objects.create(owner=cast.alice, kind="scan", state="running")
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(3):
        assert len(client.get(POLL).json()["libraries"]) == count


def test_probes(cast: Cast, anonymous: APIClient, settings: Any, tmp_path: Any) -> None:
    assert anonymous.get(f"{API}health/live").json() == {"status": "ok"}
    assert anonymous.get(f"{API}health/ready").json() == {
        "status": "ok",
        "checks": {"database": "ok", "cache": "ok", "worker": "ok"},
    }
    (tmp_path / "file").write_text("")
    location = str(tmp_path / "file" / "cache")
    settings.STORAGES = {
        **settings.STORAGES,
        "cache": {"BACKEND": "catalog.cache.storage.AtomicFolderStorage", "OPTIONS": {"location": location}},
    }
    answer = anonymous.get(f"{API}health/ready")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "ok")
    assert location not in answer.content.decode()


def test_probes_write_seldom(cast: Cast, anonymous: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    monkeypatch.setattr(health, "_kept", (None, 0.0, ""))
    monkeypatch.setattr(health, "_try_cache_tree", lambda: tries.append(1) or "ok")
    for _ in range(5):
        assert anonymous.get(f"{API}health/ready").status_code == 200
    assert len(tries) == 1
    monkeypatch.setattr(health, "KEEP_SECONDS", -1)
    assert anonymous.get(f"{API}health/ready").status_code == 200
    assert len(tries) == 2


def test_figures_are_for_this_machine_and_staff(
    cast: Cast, alice: APIClient, anonymous: APIClient, settings: Any
) -> None:
    settings.METRICS_FROM = Peers.named(["127.0.0.1"])
    Library.objects.filter(pk=cast.library.pk).update(photo_count=12)
    answer = anonymous.get(f"{API}metrics")
    assert "photolala_photos 12\n" in answer.content.decode()
    far = {"REMOTE_ADDR": "192.0.2.7"}
    assert anonymous.get(f"{API}metrics", **far).status_code == 401
    assert alice.get(f"{API}metrics", **far).status_code == 403
    assert anonymous.get(f"{API}metrics", HTTP_X_FORWARDED_FOR="192.0.2.7").status_code == 401
    assert client_of(make_user("root", is_staff=True)).get(f"{API}metrics", **far).status_code == 200


@pytest.mark.promise("S2-081")
def test_the_schema_is_complete_and_valid(tmp_path: Any) -> None:
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(file))
    assert "/api/v1/photos/{photo_id}/thumbnail/" in file.read_text()


def test_schema_and_documentation_are_served(anonymous: APIClient) -> None:
    schema = anonymous.get(f"{API}schema/", HTTP_ACCEPT="application/json").json()
    assert schema["paths"]["/api/v1/photos/"]["get"]["operationId"] == "photos_list"
    page = anonymous.get(f"{API}docs/", HTTP_ACCEPT="text/html").content.decode()
    assert "<style" not in page
    assert "<script>" not in page


def test_unknown_addresses_are_problems(anonymous: APIClient) -> None:
    for verb in (anonymous.get, anonymous.post, anonymous.delete):
        answer = verb(f"{API}nonsense/")
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def changed_after(client: APIClient, change: Any) -> dict[str, Any]:
    """Return what the poll after `change` tells; the one after that must tell nothing."""
    cursor = client.get(POLL).json()["cursor"]
    change()
    told = client.get(POLL, {"after": cursor}).json()
    quiet = client.get(POLL, {"after": told["cursor"]}).json()
    assert (quiet["libraries"], quiet["gone"], quiet["favorites_changed"]) == ([], [], False)
    return told


def test_a_star_that_was_changed_is_told_to_who_gave_it(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    photo = make_photo(cast.library)
    favourites.set_favourite(cast.bob, photo, 3)
    told = changed_after(bob, lambda: favourites.set_favourite(cast.bob, photo, 5))
    assert told["favorites_changed"] is True
    told = changed_after(bob, lambda: favourites.set_favourites(cast.bob, [photo.pk], 1))
    assert told["favorites_changed"] is True
    told = changed_after(alice, lambda: favourites.set_favourite(cast.bob, photo, 2))
    assert told["favorites_changed"] is False


@pytest.mark.parametrize("stars", [5, 0])
def test_an_owner_s_star_that_was_changed_is_told_to_everybody(
    cast: Cast, alice: APIClient, bob: APIClient, stars: int
) -> None:
    photo = make_photo(cast.library)
    star(cast.alice, photo.pk, 3)
    for client in (alice, bob):
        star(cast.alice, photo.pk, 3)
        assert changed_after(client, lambda: star(cast.alice, photo.pk, stars))["libraries"]


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Renamed"},
        {"warning": "It is full"},
        {"missing_count": 3},
        {"problem_count": 1},
        {"size_bytes": 9},
        {"cover_ids": ["x"]},
        {"ratings": "database"},
        {"trash_days": 90},
        {"snapshot_md5": "0" * 32},
    ],
)
def test_whatever_a_page_shows_of_a_library_is_told(cast: Cast, bob: APIClient, values: dict[str, Any]) -> None:
    Library.objects.update(warning="It is away")
    change = Library.objects.filter(pk=cast.library.pk)
    (told,) = changed_after(bob, lambda: change.update(**values))["libraries"]
    assert told["id"] == str(cast.library.pk)
    assert told["name"] == values.get("name", cast.library.name)


def test_another_role_is_told(cast: Cast, bob: APIClient) -> None:
    assert changed_after(bob, lambda: cast.library.memberships.filter(user=cast.bob).update(role="editor"))["libraries"]


def test_the_bell_rings_for_whatever_the_poll_tells(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_stream, "close_old_connections", lambda: None)  # the test's own is the only one
    photo = make_photo(cast.library)
    favourites.set_favourite(cast.bob, photo, 3)
    operation = Operation.objects.create(owner=cast.alice, kind="scan", state="running", token=1)
    mine = Operation.objects.filter(pk=operation.pk)
    library = Library.objects.filter(pk=cast.library.pk)
    updated = timezone.now() - timedelta(hours=1)  # the clock was set back
    for change in (
        lambda: library.update(name="Renamed"),
        lambda: library.update(warning="It is away"),
        lambda: library.update(warning="It is full"),
        lambda: favourites.set_favourite(cast.bob, photo, 5),
        lambda: cast.library.memberships.filter(user=cast.bob).update(role="editor"),
        lambda: cast.library.memberships.filter(user=cast.bob).delete(),
        lambda: mine.update(done=3, updated_at=updated),
        lambda: mine.update(state="completed", updated_at=updated),
    ):
        before = events_stream._signature()
        change()
        assert events_stream._signature() != before
        assert events_stream._signature() == events_stream._signature()
