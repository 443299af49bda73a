"""People who leave."""

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext


def test_the_row_of_the_person_is_locked_before_all_that_is_theirs(alice: Any) -> None:
    """Whoever reserves room for a person locks that row first, too, and then waits for rows that leaving deletes."""
    with CaptureQueriesContext(connection) as queries:
        alice.delete()
    asked = [one["sql"] for one in queries if "SAVEPOINT" not in one["sql"]]
    assert asked[0].startswith("SELECT") and 'FROM "accounts_user"' in asked[0]
    assert connection.vendor == "sqlite" or "FOR NO KEY UPDATE" in asked[0]
