"""Reads that take too long are stopped, on SQLite and PostgreSQL, and the connection is as it was."""

import time

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.expressions import RawSQL

from accounts.models import User
from catalog.words import indexing
from photolala.web.query_limits import TooSlow, at_most, in_time
from tests.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.repeated]
ENDLESS = "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted) SELECT count(*) FROM counted"
SOME_SECONDS = ENDLESS.replace("FROM counted)", "FROM counted WHERE n < {})")


def ask(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def timeout() -> str:
    if connection.vendor == "sqlite":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.django_db(transaction=True)
def test_a_long_read_is_stopped_and_leaves_a_clean_connection(in_transaction: bool) -> None:
    before = timeout()
    if in_transaction:
        with transaction.atomic():
            kept = make_user("kept")
            with pytest.raises(TooSlow), at_most(0.05):
                ask(ENDLESS)
            assert timeout() == before
    else:
        kept = make_user("kept")
        with pytest.raises(TooSlow), at_most(0.05):
            ask(ENDLESS)
        assert not connection.in_atomic_block
    assert timeout() == before
    assert ask(SOME_SECONDS.format(500_000)) == 500_000  # more than the limit gave
    assert User.objects.filter(pk=kept.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_what_ends_in_time_leaves_a_clean_connection() -> None:
    before = timeout()
    with transaction.atomic():
        with at_most(30):
            assert ask("SELECT 3") == 3
        assert timeout() == before
    assert timeout() == before
    assert ask(SOME_SECONDS.format(500_000)) == 500_000


def test_the_time_is_for_all_reads_together() -> None:
    asked = 0
    with pytest.raises(TooSlow), at_most(0.2):
        while True:
            ask("SELECT 1")
            asked += 1
            time.sleep(0.01)
    assert 0 < asked < 30


@pytest.mark.django_db(transaction=True)
def test_so_is_it_for_the_pieces_of_one_long_answer() -> None:
    for number in range(60):
        make_user(f"user-{number}")
    slow = RawSQL(f"({SOME_SECONDS.format('100000 + length(username)')})", [])
    read = 0
    with pytest.raises(TooSlow), at_most(0.3):
        for _ in in_time(User.objects.annotate(slow=slow).values_list("slow").iterator(1)):
            read += 1
    assert read < 40


@pytest.mark.one_database  # nobody waits for others on PostgreSQL
@pytest.mark.django_db(transaction=True)
def test_a_limit_that_ends_while_the_index_is_brought_up_to_date_leaves_the_usual_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = ask("PRAGMA busy_timeout")
    monkeypatch.setattr(indexing, "catch_up", lambda: time.sleep(0.1))
    with at_most(0.05):
        indexing.catch_up_before_a_search()
    assert ask("PRAGMA busy_timeout") == before > indexing.LONGEST_WAIT_MS


def test_within_another_limit_that_one_counts() -> None:
    with pytest.raises(TooSlow), at_most(0.05):
        with at_most(600):
            ask(ENDLESS)
        pytest.fail("It went on.")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(OperationalError if connection.vendor == "sqlite" else Exception, match="nowhere"), at_most(30):
        ask("SELECT 1 FROM nowhere")
    make_user("twice")
    with pytest.raises(IntegrityError), transaction.atomic(), at_most(30):
        make_user("twice")
