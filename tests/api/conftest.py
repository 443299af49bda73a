"""The cast of the API's tests: alice owns, bob is a member, charlie sees nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Library
from tests.factories import make_library, make_user
from tests.photos import make_jpeg

API = "/api/v1/"


@dataclass
class Cast:
    """The people, and alice's library that bob may see."""

    alice: User
    bob: User
    charlie: User
    library: Library
    root: Path


@pytest.fixture(autouse=True)
def clean_cache(settings: Any, tmp_path: Path) -> None:
    """Nothing kept from another test; the cache tree in this test's own folder."""
    cache.clear()
    settings.STORAGES = {
        **settings.STORAGES,
        "cache": {
            "BACKEND": "catalog.cache.storage.AtomicFolderStorage",
            "OPTIONS": {"location": str(tmp_path / "cache")},
        },
    }


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Any) -> Cast:
    """alice owns the library Holidays, bob may look, charlie knows nothing of it."""
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    alice, bob, charlie = make_user("alice"), make_user("bob"), make_user("charlie")
    root = tmp_path / "photos" / "holidays"
    return Cast(alice, bob, charlie, make_library(alice, root, members={bob: "viewer"}), root)


def client_of(user: User | None) -> APIClient:
    """Return a client with a device's token, or an anonymous one."""
    client = APIClient()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
    return client


@pytest.fixture
def alice(cast: Cast) -> APIClient:
    """The owner."""
    return client_of(cast.alice)


@pytest.fixture
def bob(cast: Cast) -> APIClient:
    """A member."""
    return client_of(cast.bob)


@pytest.fixture
def charlie(cast: Cast) -> APIClient:
    """The outsider."""
    return client_of(cast.charlie)


@pytest.fixture
def anonymous(cast: Cast) -> APIClient:
    """Nobody."""
    return client_of(None)


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A photo that is sent."""
    return make_jpeg(tmp_path / "card" / "a.jpg", seed=1, taken="2024:05:17 12:00:00").read_bytes()
