"""A writer that is killed again and again hurts no file (short; the long drill is run by hand)."""

import pytest

from tests.drills.rating import is_good, run_drill


@pytest.mark.slow
@pytest.mark.promise("S2-051", "S2-052")
def test_kill_9_at_random_moments_leaves_every_file_old_or_new(tmp_path):
    outcome = run_drill(60, 6, seed=5, folder=tmp_path)
    assert sum(outcome["kills"].values()) == 6
    assert is_good(outcome), outcome
