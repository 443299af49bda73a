"""Every route of the API, found in the table of addresses: last slashes, unknown members, and problems for all that is wrong."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from catalog.albums import albums, drafts, items, notes
from catalog.models import Import, TrashItem
from exports.models import Backup, Export, ExportDestination, Restore
from operations.models import Operation
from tests.factories import make_photo

from .conftest import API

PROBLEM = "application/problem+json"
UNSAFE = ("post", "put", "patch", "delete")
NOWHERE = UUID(int=7)


def routes(resolver: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """Give (address with <names>, view class or function) of everything below /api/."""
    for one in (resolver or get_resolver()).url_patterns:
        text = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one, text)
        elif isinstance(one, URLPattern) and text.startswith("api/v1/") and "^" not in text:
            yield f"/{text}", getattr(one.callback, "view_class", None) or one.callback.cls


ROUTES = sorted(routes(), key=lambda route: route[0])


def filled(address: str, ids: dict[str, Any]) -> str:
    """Return an address with ids in the places of its names."""
    if "/rendition/" in address and "film" in ids:
        ids = {**ids, "photo_id": ids["film"]}
    for part in address.split("<")[1:]:
        kind_and_name = part.split(">")[0]
        address = address.replace(f"<{kind_and_name}>", str(ids.get(kind_and_name.partition(":")[2], NOWHERE)))
    return address


def verbs(view: Any) -> list[str]:
    return [verb for verb in UNSAFE if hasattr(view, verb)]


CHANGES = [(address, view, verb) for address, view in ROUTES for verb in verbs(view)]


@pytest.fixture
def ids(cast: Any, tmp_path: Any) -> dict[str, Any]:
    """Things of alice's, one of each kind, by the names that addresses have for them."""
    photo = make_photo(cast.library, "1.jpg")
    operation = Operation.objects.create(kind="scan", owner=cast.alice, state="failed")
    destination = ExportDestination.objects.create(owner=cast.alice, name="Disk", folder=str(tmp_path / "disk"))
    export = Export.objects.create(user=cast.alice, library=cast.library, format="json")
    wanted = Import.objects.create(library=cast.library, user=cast.alice, kind="upload")
    album = albums.create(cast.alice, uuid4(), {"title": "Rome"})
    item = items.add(cast.alice, album.pk, [items.Target("photo", photo.pk)]).items[0]
    return {
        "album_id": album.pk,
        "item_id": item.pk,
        "note_id": notes.create(cast.alice, uuid4(), {"content": "x"}).pk,
        "draft_id": drafts.create(cast.alice, uuid4(), {"blocks": []}).pk,
        "library_id": cast.library.pk,
        "photo_id": photo.pk,
        "film": make_photo(cast.library, "1.mp4", media_type="video/mp4").pk,
        "operation_id": operation.pk,
        "destination_id": destination.pk,
        "export_id": export.pk,
        "import_id": wanted.pk,
        "restore_id": Restore.objects.create(user=cast.alice).pk,
        "backup_id": Backup.objects.create(user=cast.alice).pk,
        "md5": "0" * 32,
        "asset_id": "1",
    }


def test_the_table_is_walked_whole() -> None:
    assert len(ROUTES) > 60 and len(CHANGES) > 40


@pytest.mark.parametrize(("address", "verb"), [(address, verb) for address, _, verb in CHANGES])
def test_a_change_without_the_last_slash_is_led_to_where_it_meant(
    alice: Any, ids: Any, address: str, verb: str
) -> None:
    path = filled(address, ids)
    assert path.endswith("/"), "what changes something has a last slash"
    answer = getattr(alice, verb)(path.removesuffix("/"), {"a": 1}, format="json")
    assert (answer.status_code, answer["Location"]) == (308, path)


RESTORES = "/api/v1/restores/"
TAKES_FILES = ["/api/v1/media/", RESTORES]
"""Where the body is a file, whatever is in it; of media the Content-Type says of what kind, a backup is told by its bytes."""
BODIES = [
    (address, verb)
    for address, view, verb in CHANGES
    if view.parser_classes
    and address not in TAKES_FILES
    and verb in ("post", "patch")
    and getattr(getattr(view, verb), "query_parameters", None) is not None
]


@pytest.mark.parametrize(("address", "verb"), BODIES)
def test_members_that_nobody_knows_are_refused_by_name(alice: Any, ids: Any, address: str, verb: str) -> None:
    before = (Operation.objects.count(), Import.objects.count(), Export.objects.count(), TrashItem.objects.count())
    answer = getattr(alice, verb)(filled(address, ids), {"ratng": 3}, format="json")
    none = ("<uuid:write_id>", "<uuid:device_id>", "<uuid:conflict_id>", "/assets/", "record")
    if any(part in address for part in none):
        assert answer.status_code in (400, 403, 404), answer.content  # of these there are none; the views are the same
    else:
        assert answer.status_code == 400, answer.content
        assert answer.json()["errors"]["ratng"] == ["There is no such member."]
    assert answer["Content-Type"] == PROBLEM
    now = (Operation.objects.count(), Import.objects.count(), Export.objects.count(), TrashItem.objects.count())
    assert now == before


WRONG: list[tuple[str, Any, int]] = [
    ("no JSON", {"data": b"{", "content_type": "application/json"}, 400),
    ("no UTF-8", {"data": b'{"a": "\xff\xfe"}', "content_type": "application/json"}, 400),
    ("a list", {"data": b"[1]", "content_type": "application/json"}, 400),
    ("a form", {"data": b"a=1", "content_type": "application/x-www-form-urlencoded"}, 415),
    ("nested", {"data": b"[" * 100_000, "content_type": "application/json"}, 400),
]


@pytest.mark.parametrize(("what", "sent", "status"), WRONG, ids=[what for what, _, _ in WRONG])
def test_bodies_that_cannot_be_read(alice: Any, ids: Any, what: str, sent: Any, status: int) -> None:
    for address, view, verb in CHANGES:
        if (
            not view.parser_classes
            or not getattr(getattr(view, verb), "takes_body", False)
            or "<uuid:write_id>" in address
        ):
            continue
        answer = alice.generic(verb.upper(), filled(address, ids), **sent)
        expected = {status} | ({403, 404} if "/assets/" in address or "device-library" in address else set())
        if address in TAKES_FILES:
            expected = {422 if address == RESTORES else 415}
        if "<uuid:conflict_id>" in address:
            expected |= {404}
        assert answer.status_code in expected, (address, verb, answer.content)
        assert answer["Content-Type"] == PROBLEM and answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("address", [address for address, _ in ROUTES])
def test_everything_wrong_is_a_problem(alice: Any, anonymous: Any, address: str) -> None:
    path = filled(address, {"md5": "0" * 32, "asset_id": "1"})
    answers = [
        alice.generic("BREW", path),
        alice.trace(path),
        alice.get(path, {"no_such_parameter": "1", "limit": "x"}),
        alice.get(path, headers={"Host": "elsewhere.example"}),
        alice.post(path.replace("/v1/", "/v2/"), {}, format="json"),
        alice.get(f"{path}\xff\x00"),
        anonymous.post(path, {}, format="json"),
        alice.put(path, b"x" * 3_000_000, content_type="application/json"),
    ]
    for number, answer in enumerate(answers):
        assert answer.status_code < 500, (number, path)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == PROBLEM, (number, path, answer.content[:200])
            assert answer.json()["status"] == answer.status_code and answer.json()["detail"]


def test_a_range_beyond_the_end_is_a_problem(cast: Any, alice: Any) -> None:
    photo = make_photo(cast.library, "1.jpg")
    answer = alice.get(f"{API}photos/{photo.pk}/original/", headers={"Range": "bytes=99999999-"})
    assert (answer.status_code, answer["Content-Type"]) == (416, PROBLEM)
    assert answer["Content-Range"] == f"bytes */{photo.size_bytes}" and answer.json()["status"] == 416


def test_an_empty_toggle_stays_and_the_schema_tells_apps_to_send_the_rating(cast: Any, alice: Any) -> None:
    photo = make_photo(cast.library, "1.jpg")
    assert [alice.post(f"{API}photos/{photo.pk}/favorite/").json()["rating"] for _ in range(2)] == [5, 0]
    path = alice.get(f"{API}schema/").json()["paths"]["/api/v1/photos/{photo_id}/favourite/"]["post"]
    assert "send the rating" in (path["summary"] + path["description"]).lower()
