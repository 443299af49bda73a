"""Which tests a second run, on other servers, repeats: a pytest plugin that marks the others as `once`.

Repeated is a test that has the database (by a fixture or marker of pytest-django), a fixture of the test servers, or the
marker `servers` or `repeated`. All others cannot find anything else on other servers: pytest-django keeps them from the
database, and this plugin from the cache tree, the broker and the servers that the environment of the run names.

A test that takes minutes for what no server takes part in says so by the marker `one_database`: it is not repeated, and
keeps the database and the cache of the first run.
"""

from typing import NoReturn

import pytest
from celery import Celery
from django.core.files.storage.handler import StorageHandler

from photolala.celery import app as site

REPEATED_MARKERS = ("django_db", "servers", "repeated", "browser")
REPEATED_FIXTURES = {"db", "transactional_db", "live_server", "postgres_url", "redis_url", "s3_environment"}

_at_work: list[pytest.Item] = []
"""The test whose fixtures or calls run now."""


class NeedsServers(BaseException):
    """A test used what may differ between the runs and is not marked; nothing that a test calls catches this."""


def is_repeated(item: pytest.Item) -> bool:
    """Tell whether what `item` finds may depend on the database, the broker or the cache of the run."""
    if item.get_closest_marker("one_database"):
        return False
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(fixtures & REPEATED_FIXTURES) or any(item.get_closest_marker(name) for name in REPEATED_MARKERS)


def is_kept_from_servers(item: pytest.Item) -> bool:
    """Tell whether `item` must use nothing that may differ between the runs."""
    return item.get_closest_marker("once") is not None and item.get_closest_marker("one_database") is None


def may_use_the_servers() -> None:
    """Raise NeedsServers in a test that is marked `once`; helpers that ask for a server of the run call this."""
    if any(is_kept_from_servers(item) for item in _at_work):
        _refuse()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what one run proves for all, before `-m` selects."""
    for item in items:
        if not is_repeated(item):
            item.add_marker("once")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember whose fixtures and calls run."""
    _at_work[:] = [item]


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> None:
    """Let a test that is marked `once` ask for no such fixture while it runs, which nobody could see before."""
    if fixturedef.argname in REPEATED_FIXTURES:
        may_use_the_servers()


@pytest.fixture(autouse=True)
def no_servers_unawares(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test that is marked `once` fail where it opens the cache tree or sends a message."""
    if not is_kept_from_servers(request.node):
        return
    get = StorageHandler.__getitem__
    monkeypatch.setattr(
        StorageHandler, "__getitem__", lambda storages, alias: _refuse() if alias == "cache" else get(storages, alias)
    )
    acquire = Celery.producer_or_acquire
    monkeypatch.setattr(
        Celery, "producer_or_acquire", lambda app, producer=None: _refuse() if app is site else acquire(app, producer)
    )


def _refuse() -> NoReturn:
    raise NeedsServers("Mark this test `repeated`: what it finds may depend on the servers of the run.")
