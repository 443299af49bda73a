"""Signing devices in and out, and the profile."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import attempts
from accounts.attempts import PER_NAME_AND_ADDRESS, Limit
from accounts.models import Device
from tests.factories import PASSWORD

from .conftest import API, Cast, client_of

DEVICES = f"{API}auth/devices/"


def sign_in(client: APIClient, **body: Any) -> Any:
    return client.post(DEVICES, {"username": "alice", "password": PASSWORD, "name": "Phone", **body})


def test_a_device_signs_in_is_listed_and_signs_out(cast: Cast, anonymous: APIClient) -> None:
    answer = sign_in(anonymous)
    assert answer.status_code == 201, answer.content
    token = answer.json()["token"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get(f"{API}me/").json()["username"] == "alice"
    row = client.get(DEVICES).json()["results"][0]
    assert (row["name"], row["current"]) == ("Phone", True)
    assert "token" not in row
    assert token not in str(list(AuthToken.objects.values()))
    assert client.delete(f"{DEVICES}{row['id']}/").status_code == 204
    assert client.get(f"{API}me/").status_code == 401
    assert not Device.objects.exists()


def test_devices_of_others(cast: Cast, alice: APIClient, charlie: APIClient, anonymous: APIClient) -> None:
    device = sign_in(anonymous).json()["id"]
    assert charlie.get(DEVICES).json()["results"] == []
    assert charlie.delete(f"{DEVICES}{device}/").status_code == 404
    assert anonymous.get(DEVICES).status_code == 401
    assert anonymous.delete(f"{DEVICES}{device}/").status_code == 401
    assert alice.put(DEVICES, {}).status_code == 405
    assert alice.get(f"{DEVICES}{device}/").status_code == 405


@pytest.mark.parametrize("body", [{"password": "wrong"}, {"username": "nobody"}, {"username": "al\0ice"}])
def test_wrong_password_or_name(cast: Cast, anonymous: APIClient, body: dict[str, str]) -> None:
    answer = sign_in(anonymous, **body)
    assert answer.status_code in ((400,) if "\0" in body.get("username", "") else (401,))
    assert not Device.objects.exists()


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "x" * 101}, {"password": ""}])
def test_bad_bodies(cast: Cast, anonymous: APIClient, body: dict[str, str]) -> None:
    assert sign_in(anonymous, **body).status_code == 400


def test_a_stale_token_or_session_is_not_in_the_way(cast: Cast) -> None:
    client = client_of(cast.bob)
    AuthToken.objects.all().delete()
    assert sign_in(client).status_code == 201
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(cast.bob)
    assert sign_in(browser).status_code == 201


def test_guessing_is_slowed_down(cast: Cast, anonymous: APIClient) -> None:
    for _ in range(PER_NAME_AND_ADDRESS.free):
        assert sign_in(anonymous, password="guess").status_code == 401
    answer = sign_in(anonymous)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert sign_in(anonymous, username="bob").status_code == 201
    assert (
        anonymous.post(
            DEVICES, {"username": "alice", "password": PASSWORD, "name": "Phone"}, REMOTE_ADDR="192.0.2.7"
        ).status_code
        == 201
    )


def test_success_forgets_failures_of_that_user_only(cast: Cast, anonymous: APIClient) -> None:
    for _ in range(PER_NAME_AND_ADDRESS.free - 1):
        sign_in(anonymous, password="guess")
    assert sign_in(anonymous).status_code == 201
    assert sign_in(anonymous, password="guess").status_code == 401
    assert sign_in(anonymous).status_code == 201


def test_one_address_cannot_guess_at_many_names(
    cast: Cast, anonymous: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PER_ADDRESS", Limit(5, 60, 60))
    for number in range(5):
        assert sign_in(anonymous, username=f"user{number}").status_code == 401
    assert sign_in(anonymous).status_code == 429


def test_profile(cast: Cast, alice: APIClient, anonymous: APIClient) -> None:
    assert anonymous.get(f"{API}me/").status_code == 401
    assert alice.delete(f"{API}me/").status_code == 405
    body = {"first_name": "Alice", "email": "alice@example.org"}
    refused = alice.patch(f"{API}me/", {**body, "is_staff": True, "username": "root"})
    assert refused.status_code == 400 and set(refused.json()["errors"]) == {"is_staff", "username"}
    answer = alice.patch(f"{API}me/", body).json()
    assert (answer["first_name"], answer["is_staff"], answer["username"]) == ("Alice", False, "alice")
    cast.alice.refresh_from_db()
    assert (cast.alice.email, cast.alice.is_staff) == ("alice@example.org", False)
    assert alice.patch(f"{API}me/", {"email": "nonsense"}).status_code == 400


def test_only_the_first_request_in_five_minutes_writes_and_a_token_is_one_query(
    cast: Cast, anonymous: APIClient
) -> None:
    token = sign_in(anonymous).json()["token"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    written, asked = [], []
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{API}me/").status_code == 200
        written.append(sum(row["sql"].startswith(("UPDATE", "INSERT", "DELETE")) for row in queries))
        asked.append(sum("knox_authtoken" in row["sql"] or "accounts_device" in row["sql"] for row in queries))
    assert written == [1, 0, 0]
    assert asked == [2, 1, 1]


def test_a_locked_database_keeps_no_reader_out(
    cast: Cast, alice: APIClient, anonymous: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {sign_in(anonymous).json()['token']}")

    def locked(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", locked)
    assert client.get(f"{API}me/").status_code == 200


def test_who_is_shut_out_is_out_at_once(cast: Cast, alice: APIClient) -> None:
    browser = Client()
    browser.force_login(cast.alice)
    assert [alice.get(f"{API}me/").status_code, browser.get("/me/").status_code] == [200, 200]
    type(cast.alice).objects.filter(pk=cast.alice.pk).update(is_active=False)
    assert [alice.get(f"{API}me/").status_code, browser.get("/me/").status_code] == [401, 302]
    assert browser.get(f"{API}me/").status_code == 401
    assert sign_in(APIClient()).status_code == 401


def test_many_devices_cost_no_more_and_expired_tokens_are_worthless(cast: Cast) -> None:
    row, token = AuthToken.objects.create(cast.alice)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    for _ in range(20):
        AuthToken.objects.create(cast.alice)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{API}me/").status_code == 200
    assert len([query for query in queries if "knox_authtoken" in query["sql"]]) <= 2
    AuthToken.objects.filter(pk=row.pk).update(expiry=timezone.now())
    assert client.get(f"{API}me/").status_code == 401
    assert not AuthToken.objects.filter(pk=row.pk).exists()
