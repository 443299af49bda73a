"""The types of these tests, registered while they run."""

import uuid

import pytest
from django.db import connection

from changes import types

from .things import THING, Thing


@pytest.fixture(scope="package", autouse=True)
def tables(django_db_setup, django_db_blocker):
    """Make the table of the things for the tests of this folder."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Thing)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Thing)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Let there be these types only."""
    monkeypatch.setattr(types, "_kinds", {})
    types.register(THING)


@pytest.fixture
def owner():
    """The id of somebody who has things."""
    return uuid.uuid4()


@pytest.fixture
def scope(owner):
    """Their scope."""
    return types.scope_name("user", owner)
