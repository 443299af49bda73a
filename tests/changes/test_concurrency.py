"""Eight writers and a reader at once: the reader's copy misses no row, on either database."""

import random
import threading
import uuid

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from changes.digest import digest, sum_of
from operations.database_conflicts import retried_on_conflict

from .readers import Copy, from_zero
from .things import Thing

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS, ROUNDS = 8, 15


@pytest.fixture
def for_threads(tmp_path):
    """Let threads have connections of their own: to the test's database, or to a file with what SQLite has in memory.

    The name is put back before the database's own fixture ends: it would close what it does not take for a database in memory.
    """
    with pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "sqlite":
            file = tmp_path / "together.sqlite3"
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(file)])
            patch.setitem(connections.settings[DEFAULT_DB_ALIAS], "NAME", str(file))
        yield


def together(*works):
    """Run these at once, each in a thread with a connection of its own; raise what one of them raised."""
    start = threading.Barrier(len(works))
    errors = []

    def run(work):
        try:
            start.wait(60)
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@retried_on_conflict
def write(owner, shared, chance):
    """Make, change and delete a few things in one transaction, those of others too, locked in the order of their keys."""
    with transaction.atomic():
        made = [Thing.objects.create(owner=owner, text="new").pk for _ in range(2)]
        some = sorted(chance.sample(shared, 3))
        list(Thing.objects.select_for_update().filter(pk__in=some).order_by("pk"))
        Thing.objects.filter(pk__in=some).update(text=str(chance.random()))
        Thing.objects.filter(pk=made[0]).delete()


@pytest.mark.promise("S1-X02")
def test_a_reader_beside_eight_writers_misses_no_row(owner, scope, for_threads):
    shared = [uuid.UUID(int=number) for number in range(1, 13)]
    writing = threading.Semaphore(0)
    copy = Copy(scope)

    def writer(number):
        chance = random.Random(number)
        try:
            for _ in range(ROUNDS):
                write(owner, shared, chance)
        finally:
            writing.release()

    def reader():
        done = 0
        while done < WRITERS:
            done += writing.acquire(blocking=False)
            copy.pull(limit=7)
        copy.pull(limit=7)

    def first():
        Thing.objects.bulk_create([Thing(pk=key, owner=owner) for key in shared])

    def compare():
        expected = {("thing", row.pk): (row.version, {"text": row.text}) for row in Thing.objects.all()}
        assert len(expected) == len(shared) + WRITERS * ROUNDS
        assert copy.rows == expected == from_zero(scope)
        said = digest(scope)
        assert said.is_settled
        assert said.types["thing"] == sum_of("thing", ((key, version) for (_, key), (version, _) in copy.rows.items()))

    together(first)
    together(reader, *(lambda number=number: writer(number) for number in range(WRITERS)))
    together(compare)
