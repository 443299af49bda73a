"""Requests that no honest client sends: each is refused with a sentence, none is an error of the server."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from tests.factories import make_photo

from .conftest import API, Cast

JSON = "application/json"


def cursor_of(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+23:59"]
)
def test_moments_that_are_none_in_utc(alice: APIClient, moment: str) -> None:
    for parameters in (
        {"taken_after": moment},
        {"taken_before": moment},
        {"cursor": cursor_of(["-taken_local,id", moment, str(uuid4())])},
    ):
        answer = alice.get(f"{API}photos/", parameters)
        assert answer.status_code == 400, parameters
        assert answer["Content-Type"].startswith("application/problem+json")


def test_cursors_with_impossible_values(cast: Cast, alice: APIClient) -> None:
    make_photo(cast.library, "1.jpg")
    photo, library = str(uuid4()), f"{API}libraries/{cast.library.pk}/"
    for address, order, values in (
        (f"{API}libraries/", "name,id", ["\ud800", photo]),
        (f"{library}entries/", "filename,id", ["\ud800", photo]),
        (f"{library}entries/", "filename,id", ["a\0b", photo]),
        (f"{library}members/", "id", [True]),
        (f"{library}members/", "id", [2**70]),
        (f"{library}snapshots/", "-published_at,id", ["2024-01-01T00:00:00+00:00", True]),
        (f"{library}snapshots/", "-published_at,id", [{"a": 1}, 1]),
    ):
        answer = alice.get(address, {"cursor": cursor_of([order, *values])})
        assert answer.status_code == 400, (address, values)
    for libraries in ({"\ud800": "1"}, {"not an id": "1"}, {photo: 1}, [photo], {photo: "x" * 300}):
        cursor = cursor_of({"stars": "", "libraries": libraries})
        assert alice.get(f"{API}events/poll", {"after": cursor}).status_code == 400, libraries


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"[" * 200_000),
        (400, b'{"a":' * 100_000),
        (400, b"\xff\xfe"),
        (400, b'{"rating": NaN}'),
        (400, b'{"rating": ' + b"9" * 5_000 + b"}"),
        (400, b'{"rating": "\\ud800"}'),
        (400, b"[]"),
        (400, b"null"),
        (413, b'{"rating": 1, "more": "' + b"a" * 3_000_000 + b'"}'),
    ],
    ids=["array", "object", "latin", "nan", "digits", "surrogate", "list", "null", "large"],
)
def test_bodies(cast: Cast, alice: APIClient, status: int, body: bytes) -> None:
    photo = make_photo(cast.library, "1.jpg")
    answer = alice.generic("POST", f"{API}photos/{photo.pk}/favorite/", body, content_type=JSON)
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["detail"]


def test_a_large_body_of_nobody(cast: Cast, anonymous: APIClient) -> None:
    body = b'{"username": "' + b"a" * 3_000_000 + b'"}'
    assert anonymous.generic("POST", f"{API}auth/devices/", body, content_type=JSON).status_code == 413


@pytest.mark.parametrize(
    "token", ["\xff\xfe", "a" * 10_000, "", "a b", "%00"], ids=["latin", "long", "no", "two", "nul"]
)
def test_tokens_that_were_never_given(cast: Cast, anonymous: APIClient, token: str) -> None:
    assert anonymous.get(f"{API}me/", HTTP_AUTHORIZATION=f"Token {token}").status_code == 401


def test_nul_in_addresses_and_names(cast: Cast, alice: APIClient) -> None:
    library = f"{API}libraries/{cast.library.pk}/"
    for md5 in ("%00", "a" * 31 + "%00", "%F0%9F%98%80", "..%2F..%2Fetc%2Fpasswd"):
        assert alice.get(f"{library}snapshots/{md5}/").status_code == 404
        assert alice.get(f"{library}snapshots/{md5}/file").status_code in (301, 404)  # 301: to where nothing is
    for parameters in ({"directory": "a\0"}, {"directory": "\0"}):
        assert alice.get(f"{library}entries/", parameters).status_code == 400
    for name in ("q", "camera", "media_type", "folder", "state", "rating", "taken_after", "favourite"):
        assert alice.get(f"{API}photos/", {name: "a\0b"}).status_code == 400, name
    answer = alice.post(f"{library}members/", {"username": "bob\0", "role": "viewer"}, format="json")
    assert answer.status_code == 400


def test_a_database_that_stays_locked_is_no_error_of_the_client(
    cast: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = make_photo(cast.library, "1.jpg")

    def locked(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("catalog.api.favourites.star", locked)
    answer = alice.post(f"{API}photos/{photo.pk}/favorite/", {}, format="json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
