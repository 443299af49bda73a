"""Snapshots through API and pages: compare two, go back to one; who may."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from catalog.models import Photo, Snapshot
from operations.models import Operation, State
from operations.running import execute, start
from tests.factories import make_jpeg, make_photo

from .conftest import API, Cast


@pytest.fixture
def history(cast: Cast) -> list[str]:
    """Two snapshots, oldest first: of one photo, then of two."""
    md5s = []
    for number in (1, 2):
        (cast.root / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
        library = cast.library
        params = {"library": str(library.pk)}
        done = execute(start("scan", cast.alice, active_key=library.scan_key, params=params, enqueue=False).pk)
        assert done is not None and done.state == State.COMPLETED, done and done.error
        library.refresh_from_db()
        md5s.append(library.snapshot_md5)
    return md5s


def address(cast: Cast, rest: str) -> str:
    return f"{API}libraries/{cast.library.pk}/{rest}"


def test_compare_two(cast: Cast, history: list[str], bob: APIClient, charlie: APIClient) -> None:
    first, second = history
    found = bob.get(address(cast, f"snapshots/{second}/diff/"), {"against": first}).json()
    assert (found["older"], found["newer"], found["added"], found["removed"]) == (first, second, ["2.jpg"], [])
    back = bob.get(address(cast, f"snapshots/{first}/diff/")).json()
    assert (back["removed"], back["removed_count"], back["changed"]) == (["2.jpg"], 1, [])
    assert bob.get(address(cast, f"snapshots/{first}/diff/"), {"against": "0" * 32}).status_code == 404
    assert bob.get(address(cast, f"snapshots/{first}/diff/"), {"other": "1"}).status_code == 400
    assert charlie.get(address(cast, f"snapshots/{first}/diff/")).status_code == 404


def test_snapshots_too_large_for_a_request_are_left_to_the_command(
    cast: Cast, history: list[str], alice: APIClient
) -> None:
    Snapshot.objects.filter(md5=history[0]).update(entry_count=1_000_000)
    answer = alice.get(address(cast, f"snapshots/{history[0]}/diff/"))
    assert answer.status_code == 422 and "snapshots diff" in answer.json()["detail"]


def test_a_snapshot_that_is_kept_nowhere(cast: Cast, history: list[str], alice: APIClient, tmp_path: Any) -> None:
    for path in tmp_path.rglob(f".photolala.{history[0]}.sqlite"):
        path.unlink()
    answer = alice.get(address(cast, f"snapshots/{history[0]}/diff/"))
    assert answer.status_code == 404 and "does not hold it" in answer.json()["detail"]


def test_only_the_owner_restores(
    cast: Cast, history: list[str], alice: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    body = {"md5": history[0]}
    for client, status in ((anonymous, 401), (charlie, 404), (bob, 403)):
        assert client.post(address(cast, "restore/"), body, format="json").status_code == status
    assert alice.post(address(cast, "restore/"), {"md5": "../x"}, format="json").status_code == 400
    assert alice.post(address(cast, "restore/"), {"md5": "0" * 32}, format="json").status_code == 404
    assert not Operation.objects.filter(kind="restore").exists()
    answer = alice.post(address(cast, "restore/"), body, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "restore")
    assert alice.post(address(cast, "restore/"), body, format="json").status_code == 409
    assert alice.post(address(cast, "scan/")).status_code == 409
    done = execute(answer.json()["id"])
    assert done is not None and done.state == State.COMPLETED
    assert Photo.objects.get(filename="2.jpg").state == Photo.State.MISSING
    assert alice.get(address(cast, "")).json()["snapshot_md5"] == history[0]


def test_the_pages_compare_and_restore(cast: Cast, history: list[str]) -> None:
    def browser(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    base = f"/libraries/{cast.library.pk}"
    about = browser(cast.alice).get(f"{base}/about/").content.decode()
    assert f"{base}/snapshots/{history[0]}/" in about and f"{base}/snapshots/{history[1]}/" not in about
    page = browser(cast.alice).get(f"{base}/snapshots/{history[0]}/").content.decode()
    assert "<code>2.jpg</code>" in page and "Restore this snapshot" in page
    assert "Restore this snapshot" not in browser(cast.bob).get(f"{base}/snapshots/{history[0]}/").content.decode()
    assert browser(cast.charlie).get(f"{base}/snapshots/{history[0]}/").status_code == 404
    assert browser(cast.alice).get(f"{base}/snapshots/%00/").status_code == 404
    for user in (cast.bob, cast.charlie):
        assert browser(user).post(f"{base}/restore/", {"md5": history[0]}).status_code == 404
    assert not Operation.objects.filter(kind="restore").exists()
    wish = {"md5": history[0], "current": history[1], "sure": "1"}
    for doubtful in ({**wish, "sure": ""}, {**wish, "current": history[0]}, {"md5": history[0]}):
        assert browser(cast.alice).post(f"{base}/restore/", doubtful).status_code == 302
    assert not Operation.objects.filter(kind="restore").exists()
    assert browser(cast.alice).post(f"{base}/restore/", wish).status_code == 302
    assert Operation.objects.get(kind="restore").params["md5"] == history[0]
    assert browser(cast.alice).post(f"{base}/restore/", wish).status_code == 302
    assert Operation.objects.filter(kind="restore").count() == 1


def test_a_rebuild_is_the_owners(
    cast: Cast,
    alice: APIClient,
    bob: APIClient,
    charlie: APIClient,
    anonymous: APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    address = f"{API}libraries/{cast.library.pk}/rebuild/"
    for client, status in ((bob, 403), (charlie, 404), (anonymous, 401)):
        assert client.post(address).status_code == status
    assert alice.post(address, {"full": "perhaps"}).status_code == 400
    assert alice.get(address).status_code == 405
    answer = alice.post(address, {"full": True})
    assert (answer.status_code, answer.json()["kind"]) == (202, "rebuild")
    again = alice.post(address)
    assert (again.status_code, again.json()["operation"]) == (409, answer.json()["id"])


def test_a_purge_is_the_owners_and_of_as_many_as_were_shown(
    cast: Cast,
    alice: APIClient,
    bob: APIClient,
    charlie: APIClient,
    anonymous: APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    make_photo(cast.library, state="missing", is_shown=False, missing_since="2026-01-01T00:00:00Z")
    address = f"{API}libraries/{cast.library.pk}/purge/"
    for client, status in ((bob, 403), (charlie, 404), (anonymous, 401)):
        assert client.post(address, {"count": 1}).status_code == status
    assert [alice.post(address, body).status_code for body in ({}, {"count": 0}, {"count": "all"})] == [400] * 3
    assert alice.post(address, {"count": 2}).status_code == 409
    assert alice.post(address, {"count": 1}).status_code == 202
    assert alice.get(address).status_code == 405
