"""Devices that push and pull through the API, and two kinds of things that only these tests have."""

import io
import json
import urllib.error
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.db import connection
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts.models import Device, User
from changes import types
from sync.device.http import HttpTransport
from sync.protocol.clock import Stamp
from tests.factories import make_user

from .things import MODELS, PAPER, SLIP

SYNC = "/api/v1/sync/"
NOW_MS = 1_795_862_400_000  # 2026-11-28


@pytest.fixture(scope="package")
def tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the tables of papers and slips."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        yield
        with connection.schema_editor() as editor:
            for model in reversed(MODELS):
                editor.delete_model(model)


@pytest.fixture
def kinds(tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be papers and slips only."""
    monkeypatch.setattr(types, "_kinds", {})
    types.register(PAPER)
    types.register(SLIP)


@pytest.fixture(autouse=True)
def clean_cache() -> None:
    """Nothing kept from another test."""
    cache.clear()


class Phone:
    """A device of somebody, with its own count of mutations."""

    def __init__(self, user: User, name: str = "phone") -> None:
        token, secret = AuthToken.objects.create(user)
        self.user = user
        self.device = Device.objects.create(user=user, name=name, token=token)
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
        self.epoch = self.get("info/")["epoch"]
        self.scope = f"user:{user.pk}"
        self.mid = 0

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Ask; the answer is 200."""
        answer = self.client.get(SYNC + path, params)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    def edit(
        self, op: str, id: Any, base: Any = None, *, type: str = "paper", ms: int = NOW_MS, **fields: Any
    ) -> dict[str, Any]:
        """Return the next mutation of this device; `base` is a version (text) or the mid of an earlier one (number)."""
        self.mid += 1
        made: dict[str, Any] = {"mid": self.mid, "type": type, "id": str(id), "op": op}
        made["hlc"] = str(Stamp(ms, 0, "p"))
        if base is not None:
            made["base"] = {"mid": base} if isinstance(base, int) else {"version": base}
        if op != "delete":
            made["fields"] = fields
        return made

    def send(self, *mutations: dict[str, Any], **body: Any) -> Any:
        """Push, and return the response."""
        said = {"deviceId": str(self.device.pk), "epoch": self.epoch, "mutations": list(mutations), **body}
        return self.client.post(f"{SYNC}push/", said, format="json")

    def push(self, *mutations: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Push; the answer is 200."""
        answer = self.send(*mutations, **body)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    def result(self, mutation: dict[str, Any]) -> dict[str, Any]:
        """Push one; return its result."""
        (result,) = self.push(mutation)["results"]
        return result

    def make(self, **fields: Any) -> tuple[str, str]:
        """Make a paper; return its id and version."""
        id = str(uuid.uuid4())
        result = self.result(self.edit("create", id, **fields))
        assert result["status"] == "applied", result
        return id, result["version"]

    def row(self, id: str) -> dict[str, Any]:
        """Return a thing of one's own as a pull from zero tells it."""
        (row,) = [row for row in self.get("changes/", scope=self.scope)["changes"] if row["id"] == id]
        return row


class OverTheApi(HttpTransport):
    """The transport, with the site's own handlers at the other end instead of a network."""

    def __init__(self, phone: Phone) -> None:
        super().__init__("http://testserver", "token")
        self._phone = phone
        self._opener = self  # type: ignore[assignment]

    def open(self, request: Any, timeout: float) -> Any:
        parts = urlsplit(request.full_url)
        path = f"{parts.path}?{parts.query}"
        call = self._phone.client
        answer = call.post(path, request.data, content_type="application/json") if request.data else call.get(path)
        if answer.status_code >= 400:
            body = io.BytesIO(answer.content)
            raise urllib.error.HTTPError(path, answer.status_code, "", answer.headers, body)  # type: ignore[arg-type]
        return io.BytesIO(answer.content)


@pytest.fixture
def alice(db: None, kinds: None) -> User:
    """She has two phones."""
    return make_user("alice")


@pytest.fixture
def charlie(db: None, kinds: None) -> User:
    """The outsider."""
    return make_user("charlie")


@pytest.fixture
def phone(alice: User) -> Phone:
    """One of hers."""
    return Phone(alice)


@pytest.fixture
def tablet(alice: User) -> Phone:
    """The other one."""
    return Phone(alice, "tablet")
