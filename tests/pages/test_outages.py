"""A disk that is full, read-only or broken, and a database that is away: pages and API say so, with a sentence."""

import errno
import sqlite3
from typing import Any

import pytest
from django.db import InterfaceError, InternalError, OperationalError
from django.test import Client

from photolala.web.outages import outage_of

from .conftest import Cast

FULL, READ_ONLY = OperationalError("database or disk is full"), OperationalError("attempt to write a readonly database")
ERRORS = [
    (FULL, 507, "no_space"),
    (OSError(errno.ENOSPC, "No space left on device"), 507, "no_space"),
    (OSError(errno.EDQUOT, "Quota exceeded"), 507, "no_space"),
    (READ_ONLY, 503, "read_only"),
    (OSError(errno.EROFS, "Read-only file system"), 503, "read_only"),
    (InternalError("cannot execute UPDATE in a read-only transaction"), 503, "read_only"),
    (OperationalError("disk I/O error"), 503, "io_error"),
    (OSError(errno.EIO, "Input/output error"), 503, "io_error"),
    (OperationalError("unable to open database file"), 503, "database_unavailable"),
    (OperationalError("no such table: django_session"), 503, "database_unavailable"),
    (OperationalError("database is locked"), 503, "busy"),
]


def raising(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(("error", "status", "code"), ERRORS)
def test_pages_and_api_say_what_is_the_matter(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    monkeypatch.setattr("catalog.pages.libraries.last_scans", raising(error))
    monkeypatch.setattr("catalog.api.events.changes_since", raising(error))
    page = alice.get("/libraries/")
    assert page.status_code == status and page["Retry-After"]
    assert page["Content-Type"].startswith("text/html") and "<h1>That did not work</h1>" in page.content.decode()
    answer = alice.get("/api/v1/events/poll")
    assert answer.status_code == status and answer["Retry-After"]
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:photolala:problem:{code}" and answer.json()["status"] == status
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("path", ["/libraries/", "/api/v1/events/poll"])
def test_what_fails_before_the_view_is_told_in_the_same_way(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", raising(READ_ONLY))
    alice.raise_request_exception = False
    answer = alice.get(path)
    assert answer.status_code == 503 and answer["Retry-After"]
    assert ("json" in answer["Content-Type"]) is path.startswith("/api/")


def test_what_fails_after_the_view_is_told_in_the_same_way(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_response", raising(FULL))
    alice.raise_request_exception = False
    assert alice.get("/libraries/").status_code == 507


def test_readiness_says_it(cast: Cast, anonymous: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.api.health._written_at", -1e9)
    monkeypatch.setattr("operations.models.ClockReading.objects.update", raising(FULL), raising=False)
    answer = anonymous.get("/api/v1/health/ready")
    assert answer.status_code == 503 and "disk is full" in answer.json()["checks"]["database"]


def test_errors_of_a_database_server_are_of_the_way_there() -> None:
    for error in (OperationalError("terminating connection"), InterfaceError("connection already closed")):
        error.__cause__ = ConnectionError()
        outage = outage_of(error)
        assert outage is not None and outage.code == "database_unavailable"
    wrong = OperationalError("no such column: colour")
    wrong.__cause__ = sqlite3.OperationalError("no such column: colour")
    assert outage_of(wrong) is None and outage_of(ValueError()) is None
