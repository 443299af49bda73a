"""A database that stays locked: pages say so instead of failing."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from tests.factories import PASSWORD

from .conftest import Cast


def failing(words: str) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError(words)

    return fail


@pytest.mark.usefixtures("cast")
def test_pages_ask_for_patience(anonymous: Client, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.contrib.auth.views.auth_login", failing("database is locked"))
    monkeypatch.setattr("catalog.pages.libraries.last_scans", failing("database is locked"))
    form = {"username": "alice", "password": PASSWORD}
    for answer in (anonymous.post("/sign-in/", form), alice.get("/libraries/")):
        assert answer.status_code == 503
        assert answer["Retry-After"] == "5"
        assert "Nothing was changed" in answer.content.decode()
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_other_faults_stay_faults(cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.pages.libraries.last_scans", failing("no such column: photo.colour"))
    alice.raise_request_exception = False
    assert alice.get("/libraries/").status_code == 500
