"""The cast of the pages' tests: alice owns the library Holidays, bob views it, dora edits it, charlie sees nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from catalog.models import Library
from tests.factories import make_library, make_user


@dataclass
class Cast:
    """The people, alice's library, and the folder that may hold libraries."""

    alice: User
    bob: User
    charlie: User
    dora: User
    library: Library
    folder: Path


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Any) -> Cast:
    """Make the people and the library."""
    cache.clear()
    folder = tmp_path / "photos"
    settings.PHOTO_ROOTS = [str(folder)]
    alice, bob, charlie, dora = (make_user(name) for name in ("alice", "bob", "charlie", "dora"))
    library = make_library(alice, folder / "holidays", members={bob: "viewer", dora: "editor"})
    return Cast(alice, bob, charlie, dora, library, folder)


def client_of(user: User | None) -> Client:
    """Return a browser in which `user` is signed in, or nobody."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def alice(cast: Cast) -> Client:
    """The owner's browser."""
    return client_of(cast.alice)


@pytest.fixture
def bob(cast: Cast) -> Client:
    """A viewer's browser."""
    return client_of(cast.bob)


@pytest.fixture
def charlie(cast: Cast) -> Client:
    """The outsider's browser."""
    return client_of(cast.charlie)


@pytest.fixture
def dora(cast: Cast) -> Client:
    """An editor's browser."""
    return client_of(cast.dora)


@pytest.fixture
def anonymous(cast: Cast) -> Client:
    """Nobody's browser."""
    return client_of(None)


@pytest.fixture
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations are made, but no broker is rung."""
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
