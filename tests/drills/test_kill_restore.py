"""A restore that is killed leaves a working folder, and the next one removes it."""

import subprocess
from pathlib import Path

from tests.drills.scanning import Installation
from tests.drills.stopping import stopping
from tests.photos import make_library


def test_what_a_killed_restore_left_is_removed_by_the_next(tmp_path: Path) -> None:
    drill = Installation(tmp_path / "data", make_library(tmp_path / "photos", 3))
    drill.prepare()
    drill.finish()
    words = ("snapshots", "restore", drill.library)
    killed = stopping("catalog.history.restore:switch_to", "before", "kill", 1, *words)
    subprocess.run(killed, env=drill.environment, capture_output=True, check=False)
    working = drill.data / "working"
    assert [path.name.startswith("restore-") for path in working.iterdir()] == [True]
    subprocess.run(drill.manage(*words), env=drill.environment, check=True, capture_output=True)
    assert list(working.iterdir()) == []
