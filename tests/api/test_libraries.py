"""Libraries through the API: add, change, share, scan, forget, and look into their folders."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from catalog.api.libraries import LibraryChange, NewLibrary
from catalog.api.library_json import LibraryBody
from catalog.libraries.settings import SETTINGS
from catalog.models import Favourite, Library, Membership, Photo, PhotoMetadata, Snapshot
from operations.models import Operation
from tests.factories import make_library, make_photo, make_photos, make_user

from .conftest import API, Cast, client_of

LIBRARIES = f"{API}libraries/"


def address(cast: Cast, rest: str = "") -> str:
    return f"{LIBRARIES}{cast.library.pk}/{rest}"


def test_each_sees_what_is_theirs(
    cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    row = alice.get(LIBRARIES).json()["results"][0]
    assert (row["role"], row["root"], row["owner"]) == ("owner", str(cast.root), "alice")
    row = bob.get(LIBRARIES).json()["results"][0]
    assert (row["role"], row["root"]) == ("viewer", None)
    assert bob.get(address(cast)).json()["root"] is None
    assert charlie.get(LIBRARIES).json()["results"] == []
    assert charlie.get(address(cast)).status_code == 404
    assert anonymous.get(LIBRARIES).status_code == 401
    assert alice.delete(LIBRARIES).status_code == 405


@pytest.mark.parametrize("count", [2, 20])
def test_the_list_costs_three_queries(cast: Cast, django_assert_num_queries: Any, count: int, tmp_path: Path) -> None:
    for number in range(count - 1):
        make_library(cast.bob, tmp_path / f"more{number}", members={cast.alice: "viewer"})
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(3):
        assert len(client.get(LIBRARIES).json()["results"]) == count


def test_pages_of_libraries_with_one_name(cast: Cast, alice: APIClient, tmp_path: Path) -> None:
    for number in range(6):
        make_library(cast.alice, tmp_path / f"more{number}")
    seen: list[str] = []
    following: str | None = f"{LIBRARIES}?limit=2"
    while following:
        answer = alice.get(following).json()
        seen += [row["id"] for row in answer["results"]]
        following = answer["next"]
    assert len(seen) == len(set(seen)) == 7


def test_add_a_folder(cast: Cast, alice: APIClient, anonymous: APIClient) -> None:
    folder = cast.root.parent / "new ü"
    folder.mkdir()
    body = {"folder": str(folder), "ratings": "database", "time_zone": "Europe/Berlin"}
    assert anonymous.post(LIBRARIES, body).status_code == 401
    answer = alice.post(LIBRARIES, body)
    assert answer.status_code == 201, answer.content
    assert answer.json()["name"] == "new ü"
    library = Library.objects.get(pk=answer.json()["id"])
    assert (library.owner, library.ratings, library.time_zone) == (cast.alice, "database", "Europe/Berlin")
    again = alice.post(LIBRARIES, body)
    assert again.status_code == 422
    assert "already" in again.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"folder": ""},
        {"folder": "/x", "ratings": "cloud"},
        {"folder": "/x", "time_zone": "Mars/Olympus"},
        [],
        "text",
    ],
)
def test_bad_bodies(alice: APIClient, body: Any) -> None:
    answer = alice.post(LIBRARIES, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_change_and_forget_are_the_owners(cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    photo = make_photo(cast.library)
    Favourite.objects.create(user=cast.bob, photo=photo)
    PhotoMetadata.objects.create(photo=photo, body="{}")
    for client, expected in ((bob, 403), (charlie, 404)):
        assert client.patch(address(cast), {"name": "Mine"}).status_code == expected
        assert client.delete(address(cast)).status_code == expected
    assert alice.patch(address(cast), {"name": "Sea"}).json()["name"] == "Sea"
    assert alice.patch(address(cast), {"name": ""}).status_code == 400
    refused = alice.patch(address(cast), {"owner": "bob"})
    assert refused.status_code == 400 and refused.json()["errors"] == {"owner": ["There is no such member."]}
    assert alice.get(address(cast)).json()["owner"] == "alice"
    assert alice.delete(address(cast)).status_code == 204
    assert not (Library.objects.exists() or Photo.objects.exists() or Favourite.objects.exists())
    assert (cast.root / photo.path).exists()
    assert alice.delete(address(cast)).status_code == 404


def test_members(cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    members = address(cast, "members/")
    assert [row["username"] for row in alice.get(members).json()["results"]] == ["bob"]
    assert bob.get(members).status_code == 403
    assert charlie.get(members).status_code == 404
    assert bob.post(members, {"username": "charlie"}).status_code == 403
    assert alice.post(members, {"username": "nobody"}).status_code == 422
    assert alice.post(members, {"username": "alice"}).status_code == 422
    assert alice.post(members, {"username": "bob", "role": "king"}).status_code == 400
    assert alice.post(members, {"username": "charlie", "role": "editor"}).status_code == 201
    assert charlie.get(address(cast)).json()["role"] == "editor"
    assert alice.delete(members).status_code == 400
    assert alice.delete(f"{members}?user=x").status_code == 400
    assert charlie.delete(f"{members}?user={cast.bob.pk}").status_code == 403
    assert charlie.delete(f"{members}?user={cast.charlie.pk}").status_code == 204
    assert charlie.get(address(cast)).status_code == 404
    assert alice.delete(f"{members}?user={cast.charlie.pk}").status_code == 404


@pytest.mark.promise("S4-032")
def test_scan_is_for_owner_and_editors_and_one_at_a_time(
    cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient, anonymous: APIClient
) -> None:
    scan = address(cast, "scan/")
    assert anonymous.post(scan).status_code == 401
    assert charlie.post(scan).status_code == 404
    assert bob.post(scan).status_code == 403
    assert alice.get(scan).status_code == 405
    answer = alice.post(scan)
    assert answer.status_code == 202
    operation = Operation.objects.get(pk=answer.json()["id"])
    assert (operation.kind, operation.owner, operation.params) == (
        "scan",
        cast.alice,
        {"library": str(cast.library.pk)},
    )
    again = alice.post(scan)
    assert again.status_code == 409
    assert again.json()["operation"] == str(operation.pk)
    Membership.objects.filter(user=cast.bob).update(role="editor")
    assert bob.post(scan).status_code == 409


@pytest.mark.promise("S4-068")
def test_entries_of_a_folder(cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient) -> None:
    for path in ("a.jpg", "2024/b.jpg", "2024/c.jpg", "2024/may/d.jpg", "2024/may/e.jpg", "2023/f.jpg", "2024x/g.jpg"):
        make_photo(cast.library, path)
    make_photo(cast.library, "2024/broken.jpg", state="broken", is_shown=False, problem="It is empty.")
    make_photo(cast.library, "2024/gone.jpg", state="missing", is_shown=False)
    entries = address(cast, "entries/")
    body = bob.get(entries).json()
    assert [(f["name"], f["count"]) for f in body["folders"]] == [("2023", 1), ("2024", 5), ("2024x", 1)]
    assert [row["filename"] for row in body["results"]] == ["a.jpg"]
    body = alice.get(entries, {"directory": "/2024/", "limit": 2}).json()
    assert body["folders"] == [{"name": "may", "path": "2024/may", "count": 2}]
    assert [row["filename"] for row in body["results"]] == ["b.jpg", "broken.jpg"]
    assert body["results"][1]["problem"] == "It is empty."
    rest = alice.get(entries, {"directory": "2024", "limit": 2, "cursor": body["next_cursor"]}).json()
    assert [row["filename"] for row in rest["results"]] == ["c.jpg"]
    assert rest["next_cursor"] is None
    assert alice.get(entries, {"directory": "2025"}).status_code == 404
    assert alice.get(entries, {"directory": "../x\\"}).status_code == 400
    assert charlie.get(entries).status_code == 404


@pytest.mark.parametrize("count", [2, 20])
def test_entries_cost_the_same_however_many(cast: Cast, django_assert_num_queries: Any, count: int) -> None:
    make_photos(cast.library, count)
    client = APIClient()
    client.force_authenticate(cast.alice)
    client.get(address(cast, "entries/"))
    with django_assert_num_queries(2):
        assert len(client.get(address(cast, "entries/")).json()["results"]) == count


def test_snapshots(cast: Cast, alice: APIClient, charlie: APIClient, settings: Any, tmp_path: Path) -> None:
    from catalog.roots.reach import source_for

    data = b"SQLite format 3\0" * 10
    md5 = "0" * 31 + "1"
    Snapshot.objects.create(
        library=cast.library, md5=md5, entry_count=3, size_bytes=160, published_at="2026-01-01T00:00:00Z", in_cache=True
    )
    Library.objects.filter(pk=cast.library.pk).update(snapshot_md5=md5)
    folder = tmp_path / "cache" / source_for(cast.library).root_md5
    row = alice.get(address(cast, "snapshots/")).json()["results"][0]
    assert (row["md5"], row["current"], row["entry_count"]) == (md5, True, 3)
    assert alice.get(address(cast, f"snapshots/{md5}/")).json() == row
    assert alice.get(address(cast, f"snapshots/{md5}/file")).status_code == 404
    folder.mkdir(parents=True)
    (folder / f".photolala.{md5}.sqlite").write_bytes(data)
    answer = alice.get(address(cast, f"snapshots/{md5}/file"), HTTP_RANGE="bytes=0-14")
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, b"SQLite format 3")
    for bad in ("0" * 32, "..", "x"):
        assert alice.get(address(cast, f"snapshots/{bad}/file")).status_code == 404
    for path in ("snapshots/", f"snapshots/{md5}/", f"snapshots/{md5}/file"):
        assert charlie.get(address(cast, path)).status_code == 404


def test_a_missing_library(alice: APIClient) -> None:
    assert alice.get(f"{LIBRARIES}{uuid4()}/").status_code == 404
    answer = alice.get(f"{LIBRARIES}7/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_an_inactive_users_token_is_worthless(cast: Cast) -> None:
    dora = make_user("dora")
    client = client_of(dora)
    assert client.get(LIBRARIES).status_code == 200
    dora.is_active = False
    dora.save()
    assert client.get(LIBRARIES).status_code == 401


def test_the_schedule_of_a_library_can_be_set(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    body = alice.get(address(cast)).json()
    assert (body["scan_every_hours"], body["verify_every_days"], body["is_watched"]) == (24, 0, False)
    wanted = {"scan_every_hours": 6, "verify_every_days": 30, "is_watched": True}
    assert alice.patch(address(cast), wanted, format="json").status_code == 200
    body = alice.get(address(cast)).json()
    assert {name: body[name] for name in wanted} == wanted
    assert alice.patch(address(cast), {"scan_every_hours": 5}, format="json").status_code == 400
    assert bob.patch(address(cast), wanted, format="json").status_code == 403


def test_the_settings_of_a_library_are_read_and_written_by_one_table() -> None:
    """What a verb may change can be read, and written, and nothing of it is demanded of who changes another."""
    change, new = LibraryChange().fields, NewLibrary().fields
    assert set(change) == {*SETTINGS, "root"} and set(new) == {*SETTINGS, "folder"}
    assert not any(field.required for field in change.values())
    assert [name for name, field in new.items() if field.required] == ["folder"]
    read = LibraryBody().fields
    assert all(read[name].required and type(read[name]) is type(change[name]) for name in SETTINGS)


def test_a_bucket_cannot_be_watched(cast: Cast, alice: APIClient) -> None:
    Library.objects.filter(pk=cast.library.pk).update(source="s3")
    response = alice.patch(address(cast), {"is_watched": True, "name": "Other"}, format="json")
    assert (response.status_code, "cannot_watch" in response.json()["type"]) == (422, True)
    library = Library.objects.get(pk=cast.library.pk)
    assert (library.is_watched, library.name) == (False, "Holidays")


def test_a_library_says_that_its_scan_stopped_at_the_root_and_takes_the_answer(
    cast: Cast, alice: APIClient, bob: APIClient
) -> None:
    assert alice.get(address(cast)).json()["stopped"] is None
    operation = Operation.objects.create(
        owner=cast.alice,
        kind="scan",
        active_key=cast.library.scan_key,
        state="failed",
        error_code="confirm_gone",
        error=f"30 of 40 photos are gone from {cast.root}.",
        result={"gone": 30, "known": 40},
    )
    stopped = alice.get(address(cast)).json()["stopped"]
    assert (stopped["code"], stopped["gone"], stopped["known"]) == ("confirm_gone", 30, 40)
    assert str(cast.root) in stopped["sentence"]
    assert alice.get(LIBRARIES).json()["results"][0]["stopped"] == stopped
    told = bob.get(address(cast)).json()["stopped"]
    assert "30 of 40 photos are gone" in told["sentence"]
    assert str(cast.root) not in bob.get(LIBRARIES).content.decode()
    assert alice.post(address(cast, "scan/"), {"confirm_gone": True}, format="json").status_code == 202
    assert alice.get(address(cast)).json()["stopped"] is None
    operation.refresh_from_db()
    assert operation.superseded
