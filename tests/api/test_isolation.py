"""Every route there is, asked by everybody: what is not one's own stays unseen, and every answer is a declared one."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts.models import Device
from catalog.albums import albums, drafts, items, members, notes
from catalog.models import (
    Album,
    AlbumItem,
    AlbumMember,
    Draft,
    Favourite,
    FileWrite,
    Import,
    ImportItem,
    Note,
    Photo,
    PhotoMetadata,
    Snapshot,
    Upload,
)
from exports.models import Backup, Export, ExportDestination, Restore
from operations.models import Operation
from sync.models import Conflict
from tests.factories import PASSWORD, make_photo

from .conftest import API, Cast, client_of

VERBS = ("get", "head", "post", "put", "patch", "delete")
PUBLIC = {"schema/", "docs/", "health/live", "health/ready", "metrics"}
SECRET = "Grandmother's attic"


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        else:
            yield route, entry


def api_routes() -> list[str]:
    """All routes below /api/v1/, relative to it; the catch-all left out."""
    prefix = API.lstrip("/")
    found = [route for route, _ in patterns(get_resolver()) if route.startswith(prefix)]
    return [route.removeprefix(prefix) for route in found if "^" not in route]


@pytest.fixture
def things(cast: Cast, tmp_path: Path) -> dict[str, str]:
    """One of everything, all of it alice's and bob's; the values of the routes' parameters."""
    photo = make_photo(cast.library, f"{SECRET}/1.jpg", caption=SECRET, camera_make=SECRET, has_thumbnail=True)
    PhotoMetadata.objects.create(photo=photo, body=f'{{"cameraMake":"{SECRET}"}}')
    Favourite.objects.create(user=cast.alice, photo=photo)
    wanted = {"kind": "rating", "wanted": {"rating": 5}, "reason": SECRET, "try_at": "2026-01-01T00:00:00Z"}
    write = FileWrite.objects.create(library=cast.library, photo=photo, user=cast.alice, **wanted)
    operation = Operation.objects.create(owner=cast.alice, kind="scan", subject=SECRET, state="failed")
    md5 = "a" * 32
    Snapshot.objects.create(
        library=cast.library, md5=md5, entry_count=1, size_bytes=1, published_at="2026-01-01T00:00:00Z"
    )
    type(cast.library).objects.filter(pk=cast.library.pk).update(name=SECRET, warning=SECRET, snapshot_md5=md5)
    answer = client_of(None).post(f"{API}auth/devices/", {"username": "alice", "password": PASSWORD, "name": SECRET})
    imported = Import.objects.create(library=cast.library, user=cast.alice, kind="upload", source=SECRET)
    ImportItem.objects.create(import_run=imported, filename=SECRET, size_bytes=1, mtime_ns=1)
    upload = Upload.objects.create(
        user=cast.alice,
        import_run=imported,
        filename=SECRET,
        size_bytes=1,
        mtime_ns=1,
        expires_at="2036-01-01T00:00:00Z",
    )
    return {
        **albums_of(cast, photo),
        "import_id": str(imported.pk),
        "upload_id": str(upload.pk),
        "photo_id": str(photo.pk),
        "write_id": str(write.pk),
        "library_id": str(cast.library.pk),
        "operation_id": str(operation.pk),
        "device_id": answer.json()["id"],
        "md5": md5,
        "asset_id": str(photo.pk),
        "conflict_id": conflict_of(cast, photo),
        **exported_things(cast, tmp_path),
    }


def albums_of(cast: Cast, photo: Photo) -> dict[str, str]:
    """An album of alice's that bob sees, with a photo and a note in it, and a draft."""
    album = albums.create(cast.alice, uuid4(), {"title": SECRET, "description": SECRET})
    members.set_member(cast.alice, album.pk, cast.bob, "viewer")
    note = notes.create(cast.alice, uuid4(), {"content": SECRET, "place": {"name": SECRET}})
    targets = [items.Target("photo", photo.pk), items.Target("note", note.pk)]
    item = items.add(cast.alice, album.pk, targets).items[0]
    draft = drafts.create(cast.alice, uuid4(), {"blocks": [{"id": "1", "type": "text", "text": SECRET}]})
    keys = {"album_id": album.pk, "item_id": item.pk, "note_id": note.pk, "draft_id": draft.pk}
    return {name: str(key) for name, key in keys.items()}


def exported_things(cast: Cast, tmp_path: Path) -> dict[str, str]:
    """An export and an export destination of alice's."""
    export = Export.objects.create(user=cast.alice, library=cast.library, library_name=SECRET, format="json")
    folder = tmp_path / "exported"
    folder.mkdir()
    destination = ExportDestination.objects.create(owner=cast.alice, name=SECRET, folder=str(folder))
    backup = Backup.objects.create(user=cast.alice, key_file=SECRET)
    restore = Restore.objects.create(user=cast.alice, source_name=SECRET)
    return {
        "year": "2024",
        "month": "5",
        "kind": "csv",
        "restore_id": str(restore.pk),
        "backup_id": str(backup.pk),
        "export_id": str(export.pk),
        "destination_id": str(destination.pk),
    }


def conflict_of(cast: Cast, photo: Photo) -> str:
    """A conflict of alice's."""
    about = {"kind": "photo", "object_id": photo.pk, "scope": f"library:{cast.library.pk}", "field": "caption"}
    return str(Conflict.objects.create(user=cast.alice, mine=SECRET, theirs=SECRET, **about).pk)


@cache
def declared_paths() -> dict[str, Any]:
    """What the schema says of each path. It follows from the code alone, and takes half a second."""
    return SchemaGenerator().get_schema(request=None, public=True)["paths"]


def filled(route: str, things: dict[str, str]) -> str:
    return API + re.sub(r"<\w+:(\w+)>", lambda match: things[match[1]], route)


def ask(client: APIClient, verb: str, address: str, things: dict[str, str]) -> Any:
    if verb in ("get", "head"):
        answer = getattr(client, verb)(address, {"bucket": "2024-05"} if address.endswith("/bucket/") else {})
    else:
        body = {"photo_ids": [things["photo_id"]], "rating": 1, "username": "bob", "folder": "/", "name": "x"}
        answer = getattr(client, verb)(address, body, format="json")
    answer.read_bytes = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer


def facts() -> list[Any]:
    """Everything of alice's that charlie's requests must not change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (
            Album,
            AlbumItem,
            AlbumMember,
            Note,
            Draft,
            Photo,
            Favourite,
            Operation,
            Device,
            Snapshot,
            PhotoMetadata,
            Backup,
            Restore,
            Export,
            ExportDestination,
            Conflict,
        )
    ]


@pytest.mark.promise("X-10")
@pytest.mark.parametrize("route", api_routes())
def test_the_outsider_learns_and_changes_nothing(cast: Cast, things: dict[str, str], route: str) -> None:
    address = filled(route, things)
    charlie = client_of(cast.charlie)
    before = facts()
    for verb in VERBS:
        answer = ask(charlie, verb, address, things)
        text = answer.read_bytes.decode("utf-8", "replace")
        assert SECRET not in text, (verb, address)
        if route not in PUBLIC:
            assert str(cast.alice.pk) not in text
        if "<" in route:
            assert answer.status_code in (404, 405), (verb, address, answer.status_code)
        else:
            assert things["photo_id"] not in text or "error" in text, (verb, address)
            assert things["library_id"] not in text, (verb, address)
    assert facts() == before


@pytest.mark.parametrize("route", [route for route in api_routes() if route not in PUBLIC])
def test_nobody_gets_nothing(cast: Cast, things: dict[str, str], route: str) -> None:
    before = facts()
    for verb in VERBS:
        answer = ask(client_of(None), verb, filled(route, things), things)
        if (route, verb) == ("auth/devices/", "post"):
            assert answer.status_code == 400  # anybody may try to sign in
            continue
        assert answer.status_code == 401, (verb, route)
    assert facts() == before


@pytest.mark.parametrize("route", [route for route in api_routes() if route not in ("schema/", "docs/")])
def test_every_answer_is_declared(cast: Cast, things: dict[str, str], route: str) -> None:
    declared = declared_paths()[API + re.sub(r"<\w+:(\w+)>", r"{\1}", route)]
    address = filled(route, things)
    for user in (cast.charlie, cast.bob, cast.alice, None):
        for verb in ("get", "post", "put", "patch", "delete"):
            answer = ask(client_of(user), verb, address, things)
            if verb in declared:
                assert str(answer.status_code) in declared[verb]["responses"], (verb, route, answer.status_code)
            else:
                assert answer.status_code in (401, 405), (verb, route, answer.status_code)


def test_the_routes_of_the_contract_are_there() -> None:
    routes = {re.sub(r"<\w+:\w+>", "{id}", route) for route in api_routes()}
    assert routes >= {
        "auth/devices/",
        "auth/devices/{id}/",
        "me/",
        "libraries/",
        "libraries/{id}/",
        "libraries/{id}/members/",
        "libraries/{id}/scan/",
        "libraries/{id}/entries/",
        "libraries/{id}/snapshots/",
        "photos/",
        "photos/{id}/",
        "photos/{id}/thumbnail/",
        "photos/{id}/preview/",
        "photos/{id}/original/",
        "photos/{id}/metadata/",
        "photos/{id}/favourite/",
        "photos/{id}/favorite/",
        "photos/favourites/",
        "photos/bulk-favourite/",
        "photos/favorites/",
        "photos/bulk-favorite/",
        "timeline/buckets/",
        "timeline/bucket/",
        "operations/",
        "operations/{id}/",
        "operations/{id}/cancel/",
        "operations/{id}/resume/",
        "operations/{id}/retry/",
        "sync/info/",
        "sync/push/",
        "sync/changes/",
        "sync/digest/",
        "sync/events/",
        "sync/status/",
        "sync/conflicts/",
        "sync/conflicts/{id}/decide/",
        "events/poll",
        "health/live",
        "health/ready",
        "metrics",
    }
