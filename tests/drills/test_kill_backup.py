"""A backup of a whole server goes to a fresh one and comes out the same: killed on the way, and over PostgreSQL and back."""

from pathlib import Path

import pytest

from tests.drills.backup_trip import BACKUP_STEPS, RESTORE_STEPS, travel
from tests.exports.restore.bundles import comparable

COUNT = 60


@pytest.mark.once
def test_killed_at_each_step_it_is_all_or_nothing_and_the_same_in_the_end(tmp_path: Path) -> None:
    (first, second), (_, figures) = travel(tmp_path, ["", ""], COUNT)
    assert comparable(second) == comparable(first)
    assert figures["joined"] == COUNT + COUNT // 5, "what alice said of each, and bob's favourites"
    assert (figures["restore"]["killed"], figures["backup"]["killed"]) == (len(RESTORE_STEPS), len(BACKUP_STEPS))


@pytest.mark.servers
def test_from_sqlite_to_postgresql_and_back(tmp_path: Path, postgres_url: str) -> None:
    (first, *others), _ = travel(tmp_path, ["", postgres_url, ""], COUNT, kills=0)
    assert [comparable(made) == comparable(first) for made in others] == [True, True]
