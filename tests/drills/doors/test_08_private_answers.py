"""No cache keeps what belongs to somebody: every route there is, asked by the owner, by a device, and by nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from tests.api.conftest import Cast, client_of
from tests.api.test_isolation import patterns, things
from tests.factories import PASSWORD, make_library, make_user

__all__ = ["things"]
BYTES = ("thumbnail/", "preview/", "original/", "metadata/", "file", "rendition/", "live/", "download/")
"""The ends of routes that send a photo's or file's bytes, which a browser of one person may keep."""


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Any) -> Cast:
    root = tmp_path / "photos" / "holidays"
    root.mkdir(parents=True)
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    alice, bob, charlie = (make_user(name) for name in ("alice", "bob", "charlie"))
    library = make_library(alice, root, members={bob: "viewer"})
    return Cast(alice, bob, charlie, library, root)


def routes() -> list[str]:
    """All routes of pages, API and the admin's lists; those whose parameters are regular expressions left out."""
    return [route for route, _ in patterns(get_resolver()) if not re.search(r"[\^$(]", route)]


def test_no_answer_may_be_kept_by_others(cast: Cast, things: dict[str, str]) -> None:
    type(cast.alice).objects.filter(pk=cast.alice.pk).update(is_staff=True, is_superuser=True)
    browser, nobody = Client(raise_request_exception=False), Client(raise_request_exception=False)
    browser.force_login(cast.alice)
    device = client_of(cast.alice)
    asked = 0
    for route in routes():
        names = re.findall(r"<(?:\w+:)?(\w+)>", route)
        if route.startswith("admin/") and names:
            continue
        address = "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: things[match[1]], route)
        for who in (browser, device, nobody):
            answer = who.get(address)
            control = answer.headers.get("Cache-Control", "")
            assert "private" in control or "no-store" in control, (address, control)
            assert "public" not in control, (address, control)
            if not (route.endswith(BYTES) and answer.status_code == 200):
                assert "no-store" in control, (address, answer.status_code, control)
            asked += 1
    assert asked > 300


def test_answers_with_a_token_are_kept_by_nobody(cast: Cast) -> None:
    body = {"username": "alice", "password": PASSWORD, "name": "Phone"}
    for answer in (
        client_of(None).post("/api/v1/auth/devices/", body),
        client_of(None).post("/api/v1/auth/devices/", {**body, "password": "wrong"}),
        Client().post("/sign-in/", {"username": "alice", "password": PASSWORD}),
        Client().get("/nothing/here/"),
        Client().get("/api/v9/"),
    ):
        assert "no-store" in answer["Cache-Control"], answer
