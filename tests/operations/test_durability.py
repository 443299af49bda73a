"""What is acknowledged is on the disk; what can be done again need not be."""

import os

import pytest
from django.db import connection, transaction

from catalog.models import Library
from catalog.scanning import digest
from operations.durability import relaxed_durability
from operations.running import execute, start
from photolala.lib.paths import escape_path
from tests.photos import make_library

pytestmark = pytest.mark.django_db(transaction=True)
NORMAL, FULL = 1, 2


def level() -> int:
    """Return SQLite's `synchronous` of this connection; FULL on other databases, which need not be told."""
    if connection.vendor != "sqlite":
        return FULL
    with connection.cursor() as cursor:
        return int(cursor.execute("PRAGMA synchronous").fetchone()[0])


def test_commits_wait_for_the_disk_but_for_what_can_be_done_again() -> None:
    assert level() == FULL
    with pytest.raises(ZeroDivisionError), relaxed_durability():
        assert level() == (NORMAL if connection.vendor == "sqlite" else FULL)
        raise ZeroDivisionError
    assert level() == FULL
    with transaction.atomic(), relaxed_durability():
        assert level() == FULL
    with relaxed_durability():
        connection.close()
    assert level() == FULL


def test_a_scan_reads_files_without_waiting_and_ends_as_it_began(django_user_model, tmp_path, monkeypatch) -> None:
    root = make_library(tmp_path / "photos", 3)
    owner = django_user_model.objects.create_user("alice")
    library = Library.objects.create(owner=owner, name="Family", root=escape_path(os.fsencode(root)), time_zone="UTC")
    seen = []
    real = digest.Digesting.run
    monkeypatch.setattr(digest.Digesting, "run", lambda self, pool: (seen.append(level()), real(self, pool)))
    operation = start("scan", owner, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False)
    assert execute(operation.pk).state == "completed"
    assert seen == [NORMAL if connection.vendor == "sqlite" else FULL]
    assert level() == FULL
