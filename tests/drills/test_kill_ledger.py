"""A writer of export records that is killed again and again loses none (short; the long drill is run by hand)."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.promise("S0-032")
def test_kill_9_at_random_moments_loses_no_acknowledged_record(tmp_path: Path) -> None:
    drill = [sys.executable, "-m", "tests.drills.ledger", "--points", "25", "--only-random", "--folder", str(tmp_path)]
    ended = subprocess.run(drill, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "killed at 25 random moments" in ended.stdout
    assert "none lost" in ended.stdout
