"""What all tests share: the cast, and a cache of their own."""

import os
import uuid
from pathlib import Path

import pytest

import photolala.celery  # noqa: F401
from catalog.scanning.entry_cache import known_entries
from operations.running import Run

pytest_plugins = [
    "tests.promises",
    "tests.selection",
    "tests.slowest",
    "tests.warm_processes",
    "tests.servers.fixtures",
]
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # the browser driver runs an event loop in the tests' thread


FOLDER_STORAGE = "catalog.cache.storage.AtomicFolderStorage"


@pytest.fixture(autouse=True)
def own_folders(request, settings, tmp_path_factory):
    """Give every test its own cache, data and exports folders.

    The cache is a folder; a prefix in the bucket of the run, if it has one, for a test that is marked `cache_in_bucket`.
    """
    folder = tmp_path_factory.getbasetemp() / "own" / uuid.uuid4().hex  # a numbered name would list thousands each time
    folder.mkdir(parents=True)
    own = {}
    for name in ("cache", "media"):
        storage = settings.STORAGES[name]
        options = storage["OPTIONS"]
        if "bucket_name" in options and request.node.get_closest_marker("cache_in_bucket"):
            location = f"{options.get('location', '')}/{uuid.uuid4().hex}".lstrip("/")
            own[name] = {**storage, "OPTIONS": {**options, "location": location}}
        else:
            own[name] = {"BACKEND": FOLDER_STORAGE, "OPTIONS": {"location": str(folder / name)}}
    settings.STORAGES = {**settings.STORAGES, **own}
    settings.DATA_DIR = folder
    known_entries.clear()
    settings.EXPORTS_DIR = folder / "exports"
    settings.UPLOADS_DIR = folder / "uploads"
    return folder


@pytest.fixture
def folder_cache(settings, own_folders) -> Path:
    """A cache in a folder, also where the run has one in a bucket: for what only folders have, such as half-written files."""
    cache = {
        "BACKEND": FOLDER_STORAGE,
        "OPTIONS": {"location": str(own_folders / "cache")},
    }
    settings.STORAGES = {**settings.STORAGES, "cache": cache}
    folder = own_folders / "cache"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def files_settle_soon(request, monkeypatch):
    """Trust what a scan read of a file 0.1 s after it was written, not 2 s: each scan of this process would wait for that.

    Tests of what happens in those two seconds are marked `settling`; processes that tests start always wait.
    """
    if request.node.get_closest_marker("settling") is None:
        monkeypatch.setattr("catalog.entries.folder_comparison.RACY_NS", 100_000_000)


@pytest.fixture(autouse=True)
def no_heartbeat_outlives_its_test(monkeypatch):
    """End the heartbeats of runs that a test left as a worker that died does: the threads would beat on, without tables."""
    runs = []
    beat = Run._heartbeat
    monkeypatch.setattr(Run, "_heartbeat", lambda self: (runs.append(self), beat(self)))
    yield
    for run in runs:
        run.end_heartbeat()


@pytest.fixture
def alice(django_user_model):
    """She owns libraries."""
    return django_user_model.objects.create_user("alice", password="alice-password-1")


@pytest.fixture
def bob(django_user_model):
    """He is a member of one of hers."""
    return django_user_model.objects.create_user("bob", password="bob-password-1")


@pytest.fixture
def charlie(django_user_model):
    """He sees nothing of it."""
    return django_user_model.objects.create_user("charlie", password="charlie-password-1")
