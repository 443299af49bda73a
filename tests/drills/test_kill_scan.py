"""A scan that is killed again and again ends with what an undisturbed one gives (short; the long drill is run by hand)."""

import pytest

from tests.drills.scanning import run_drill


@pytest.mark.slow
@pytest.mark.promise("S2-051", "S2-066", "S2-X01", "S2-X03")
@pytest.mark.parametrize("everything", [False, True], ids=["the scan or a decoder", "everything"])
def test_kill_9_at_random_moments_changes_nothing_of_the_result(tmp_path, everything):
    outcome = run_drill(300, 6, seed=11 + everything, folder=tmp_path, everything=everything)
    assert sum(outcome["kills"].values()) == 6
    assert outcome["kills"]["digest"] + outcome["kills"]["survey"] > 0
    assert outcome["differences"] == []
    assert outcome["same_snapshot"]
