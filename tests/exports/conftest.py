"""The cast of the exports' tests: alice owns the library Holidays, bob may look, charlie knows nothing of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Library
from catalog.roots import buckets
from catalog.sources.s3_errors import Retries
from exports.destinations.transports import bucket_folders
from tests.exports.destinations.memory_bucket import MemoryBucket
from tests.factories import make_library, make_user


@dataclass
class Cast:
    """The people, the library, and its folder."""

    alice: User
    bob: User
    charlie: User
    library: Library
    root: Path


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Cast:
    """Make them; no broker is rung."""
    cache.clear()
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    settings.PHOTO_ROOTS = [str(tmp_path / "allowed")]
    alice, bob, charlie = make_user("alice"), make_user("bob"), make_user("charlie")
    root = tmp_path / "allowed" / "holidays"
    return Cast(alice, bob, charlie, make_library(alice, root, members={bob: "viewer"}), root)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryBucket:
    """Give the site a bucket in memory; nothing waits before it tries again, and files above 100 bytes go in parts."""
    bucket = MemoryBucket()
    monkeypatch.setattr(buckets, "bucket_client", lambda: bucket)
    monkeypatch.setattr("exports.destinations.transports.bucket_calls.bucket_client", lambda: bucket)
    quick = (2, *Retries.__init__.__defaults__[1:3], lambda seconds: None, lambda: 1.0)  # type: ignore[index]
    monkeypatch.setattr(Retries.__init__, "__defaults__", quick)
    monkeypatch.setattr(bucket_folders, "PART_BYTES", 100)
    return bucket


@pytest.fixture
def api() -> Any:
    """Return a function that gives an API client of a user, or of nobody."""

    def client_of(user: User | None) -> APIClient:
        client = APIClient()
        if user is not None:
            client.force_authenticate(user)
        return client

    return client_of


@pytest.fixture
def browser() -> Any:
    """Return a function that gives a browser in which a user is signed in, or nobody."""

    def client_of(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    return client_of
