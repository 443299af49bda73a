"""What every answer has in common, whatever view gave it."""

import gzip
import json

import pytest
from django.test import Client

from tests.factories import make_user

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


@pytest.fixture
def alice() -> Client:
    client = Client()
    client.force_login(make_user("alice"))
    return client


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/libraries/", "/api/v1/libraries/", "/api/v1/events/poll/"])
def test_no_cache_keeps_what_is_private(alice: Client, path: str) -> None:
    assert {"private", "no-store"} <= set(alice.get(path)["Cache-Control"].split(", "))


def test_a_change_without_the_last_slash_stays_a_change(alice: Client) -> None:
    answer = alice.post("/api/v1/libraries", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 308 and answer["Location"] == "/api/v1/libraries/"
    assert alice.get("/api/v1/libraries").status_code == 301
    assert alice.delete("/api/v1/libraries").status_code == 308


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/libraries/", {"Host": "elsewhere.example"}, 400),
        ("/api/v2/libraries/", {}, 404),
        ("/api/", {}, 404),
    ],
)
def test_every_error_below_the_api_is_a_problem(alice: Client, path: str, headers: dict[str, str], status: int) -> None:
    answer = alice.get(path, headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
    assert answer.json()["status"] == status and answer.json()["detail"].endswith(".")


def test_a_fault_of_ours_is_a_problem_too(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("catalog.api.libraries.LibraryList.get", broken)
    alice.raise_request_exception = False
    answer = alice.get("/api/v1/libraries/")
    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
    assert "a fault" not in answer.content.decode()
    page = alice.get("/libraries/nonsense/")
    assert page["Content-Type"].startswith("text/html")


def test_text_is_compressed_for_those_who_take_it(alice: Client) -> None:
    plain = alice.get("/api/v1/schema/")
    answer = alice.get("/api/v1/schema/", headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip" and "Accept-Encoding" in answer["Vary"]
    assert json.loads(gzip.decompress(answer.content)) == plain.json()
    assert len(answer.content) < len(plain.content) / 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/v1/libraries/", {"path": "/x", "nmae": "x"}),
        ("post", "/api/v1/auth/devices/", {"username": "a", "password": "b", "nmae": "x"}),
        ("post", "/api/v1/photos/bulk-favorite/", {"photo_ids": [], "ratng": 3}),
    ],
)
def test_members_that_nobody_knows_are_refused_by_name(
    alice: Client, method: str, path: str, body: dict[str, object]
) -> None:
    answer = getattr(alice, method)(path, body, content_type="application/json")
    (unknown,) = [name for name in body if name in ("nmae", "ratng")]
    assert answer.status_code == 400 and answer.json()["errors"][unknown] == ["There is no such member."]


def test_the_documentation_answers_options(alice: Client) -> None:
    for client in (alice, Client()):
        assert client.get("/api/v1/docs/").status_code == 200
        assert client.options("/api/v1/docs/").status_code == 204
        refused = client.post("/api/v1/docs/")
        assert (refused.status_code, refused["Content-Type"]) == (405, PROBLEM)
