"""A request that is sent again with its key is answered again, and starts nothing."""

import sys
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from catalog.files import trash
from catalog.models import Import, Membership, Photo, TrashItem
from operations import tasks
from operations.api import idempotency
from operations.models import Operation, StoredAnswer
from tests.factories import make_photo

from .conftest import API

KEYED = {
    "libraries_scan", "libraries_rebuild", "libraries_restore", "libraries_purge", "libraries_trash_empty", "photos_trash",
    "photos_similar_find", "photos_dates", "photos_keywords", "photos_place", "photos_export",
    "imports_create", "imports_retry", "imports_stop", "exports_create", "exports_import",
    "export_destinations_export", "export_destinations_rebuild", "export_destinations_verify", "operations_cancel",
    "operations_resume", "operations_retry",
    "backups_create", "backups_verify", "export_destinations_find_backups", "export_destinations_move", "restores_confirm",
}  # fmt: skip


def post(client: Any, path: str, body: Any = None, key: str = "key-1") -> Any:
    return client.post(f"{API}{path}", body or {}, format="json", headers={"Idempotency-Key": key})


@pytest.fixture
def scan(cast: Any) -> str:
    return f"libraries/{cast.library.pk}/scan/"


def test_the_same_request_gets_the_same_answer_and_starts_nothing(cast, alice, scan):
    first = post(alice, scan)
    assert first.status_code == 202 and not first.has_header("Idempotent-Replayed")
    Operation.objects.update(state="completed", done=7)
    again = post(alice, scan)
    assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (202, first.content, "true")
    assert Operation.objects.count() == 1
    other = post(alice, scan, key="key-2")
    assert other.status_code == 202 and Operation.objects.count() == 2
    assert post(alice, scan).content == first.content


def test_another_request_with_the_key_is_refused(cast, alice, scan):
    assert post(alice, scan).status_code == 202
    Operation.objects.update(state="completed")
    refused = post(alice, scan, {"only_failed": True})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:photolala:problem:key_reused")
    assert post(alice, f"{scan}?x=1").status_code == 422
    assert Operation.objects.count() == 1


def test_keys_are_those_of_a_person_and_a_route(cast, alice, bob, scan):
    Membership.objects.update(role="editor")
    assert post(alice, scan).status_code == 202
    Operation.objects.update(state="completed")
    assert not post(bob, scan).has_header("Idempotent-Replayed")
    Operation.objects.update(state="completed")
    rebuilt = post(alice, f"libraries/{cast.library.pk}/rebuild/")
    assert rebuilt.status_code == 202 and rebuilt.json()["kind"] == "rebuild"


def test_refusals_are_not_kept(cast, alice, bob, charlie, scan):
    assert post(alice, scan, {"fulll": True}).status_code == 400
    assert [post(client, scan).status_code for client in (bob, charlie)] == [403, 404]
    running = post(alice, scan, key="another").json()["id"]
    assert post(alice, scan).json()["operation"] == running
    assert StoredAnswer.objects.count() == 1
    Operation.objects.update(state="completed")
    assert post(alice, scan).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "schlüssel"])
def test_keys_that_are_none(cast, alice, scan, key):
    assert post(alice, scan, key=key).status_code == 400
    assert not Operation.objects.exists()


def test_a_key_is_good_for_a_day(cast, alice, scan):
    assert post(alice, scan).status_code == 202
    Operation.objects.update(state="completed")
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    assert post(alice, scan).has_header("Idempotent-Replayed")
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert not post(alice, scan, {"only_failed": True}).has_header("Idempotent-Replayed")
    assert Operation.objects.count() == 2
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    tasks.purge()
    assert not StoredAnswer.objects.exists()


def test_a_person_has_so_many_keys(cast, alice, bob, scan, monkeypatch):
    monkeypatch.setattr(idempotency, "MOST_KEPT", 2)
    Membership.objects.update(role="editor")
    for number in range(2):
        assert post(alice, scan, key=f"{number}").status_code == 202
        Operation.objects.update(state="completed")
    refused = post(alice, scan, key="2")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:photolala:problem:too_many_keys")
    assert 86_000 < int(refused["Retry-After"]) <= 86_401
    assert post(alice, scan, key="0").has_header("Idempotent-Replayed")
    assert alice.post(f"{API}{scan}", {}, format="json").status_code == 202
    Operation.objects.update(state="completed")
    assert post(bob, scan, key="2").status_code == 202


def test_one_under_way_is_told_to_wait(cast, alice, scan, monkeypatch):
    answers = []
    keep = idempotency._keep

    def meanwhile(*what: Any) -> None:
        answers.append(post(alice, scan))
        keep(*what)

    monkeypatch.setattr(idempotency, "_keep", meanwhile)
    assert post(alice, scan).status_code == 202
    (waits,) = answers
    assert (waits.status_code, waits.json()["type"]) == (409, "urn:photolala:problem:in_progress")
    assert int(waits["Retry-After"]) >= 1
    assert not idempotency._under_way and Operation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["_keep", "JSONRenderer"])
def test_killed_before_the_answer_is_kept_nothing_was_started(cast, alice, scan, monkeypatch, step):
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(idempotency, step, lambda *_: sys.exit(9))
        post(alice, scan)
    assert not Operation.objects.exists() and not StoredAnswer.objects.exists()
    assert post(alice, scan).status_code == 202 and Operation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_killed_while_photos_go_into_the_trash_the_answer_names_all_of_them(cast, alice, monkeypatch):
    photos = [make_photo(cast.library, f"{number}.jpg") for number in range(3)]
    body = {"photo_ids": [str(photo.pk) for photo in photos], "confirm": 3}
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(idempotency, "_keep", lambda *_: sys.exit(9))
        post(alice, "photos/trash/", body)
    assert TrashItem.objects.count() == 3 and StoredAnswer.objects.get().status == 0
    again = post(alice, "photos/trash/", body)
    assert (again.status_code, again.json()["count"], again.json()["errors"]) == (200, 3, [])
    assert {item["id"] for item in again.json()["items"]} == {str(item.pk) for item in TrashItem.objects.all()}
    assert post(alice, "photos/trash/", body).content == again.content
    fresh = post(alice, "photos/trash/", body, key="another").json()
    assert (fresh["count"], len(fresh["errors"])) == (0, 3)


def test_what_was_in_the_trash_before_is_not_counted(cast, alice):
    photo = make_photo(cast.library, "1.jpg")
    done = trash.trash_photos(cast.alice, [photo.pk])
    again = trash.trash_photos(cast.alice, [photo.pk])
    trash.count_earlier(cast.alice, again, timezone.now() + timedelta(seconds=1))
    trash.count_earlier(cast.bob, again, timezone.now() - timedelta(hours=1))
    assert (done.count, again.count, len(again.errors)) == (1, 0, 1)


def test_dates_are_moved_once(cast, alice):
    photo = make_photo(cast.library, "1.jpg")
    before = photo.taken_local
    body = {"photo_ids": [str(photo.pk)], "how": "shift", "seconds": 3600}
    first = post(alice, "photos/dates/", body)
    assert first.status_code == 200
    assert post(alice, "photos/dates/", body).content == first.content
    assert Photo.objects.get().taken_local - before == timedelta(hours=1)


def test_imports_are_opened_once(cast, alice):
    body = {"library": str(cast.library.pk)}
    first = post(alice, "imports/", body)
    assert first.status_code == 201 and post(alice, "imports/", body).json() == first.json()
    assert Import.objects.count() == 1


def test_the_schema_says_where_keys_are_taken(alice):
    paths = alice.get(f"{API}schema/").json()["paths"]
    keyed = {
        way["operationId"]
        for ways in paths.values()
        for way in ways.values()
        if any(parameter["name"] == "Idempotency-Key" for parameter in way.get("parameters", []))
    }
    assert keyed == KEYED
    for ways in paths.values():
        for way in ways.values():
            if way["operationId"] in KEYED:
                assert {"400", "409", "422", "429"} <= set(way["responses"])


def test_on_postgresql_other_processes_wait_too(cast, alice, scan):
    if connection.vendor != "postgresql":
        assert idempotency._under_way == set()
        return
    asked = idempotency.Asked(cast.alice, f"POST {API}{scan}", "key-1", "")
    names = ("dbname", "user", "password", "host", "port")
    settings = {name: value for name, value in connection.get_connection_params().items() if name in names}
    with psycopg.connect(**settings) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [idempotency.lock_number(asked)])
        assert post(alice, scan).status_code == 409
    assert post(alice, scan).status_code == 202
