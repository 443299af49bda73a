"""A process that was frozen past its lease and wakes leaves the row of its operation to who took over."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.drills.scanning import PROJECT, Installation, kill
from tests.drills.stopping import stopping
from tests.photos import make_library

PATIENCE_SECONDS = 60
ROW = (
    "SELECT state, token, lease_until, worker, done, result, finished_at FROM operations_operation WHERE kind = 'scan'"
)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def wait_until_frozen(process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if state_of(process.pid) == "T":
            return
        time.sleep(0.02)
    raise AssertionError("It was never frozen.")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "when"), [("Run.checkpoint", "before"), ("Run.finish", "before")])
def test_a_frozen_scan_that_wakes_changes_nothing_of_its_successor(tmp_path: Path, step: str, when: str) -> None:
    installation = Installation(
        tmp_path / "data", make_library(tmp_path / "photos", 3), extra={"PHOTOLALA_LEASE_SECONDS": "5"}
    )
    installation.prepare()
    command = stopping(f"operations.running:{step}", when, "freeze", 1, "scan", installation.library, "--json")
    frozen = subprocess.Popen(
        command, cwd=PROJECT, env=installation.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_until_frozen(frozen)
        end = time.monotonic() + PATIENCE_SECONDS
        while (done := successor(installation)).returncode and time.monotonic() < end:
            assert b"already" in done.stderr  # its lease still holds
        assert done.returncode == 0
        before = installation.ask(ROW)
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.communicate(timeout=PATIENCE_SECONDS)
    finally:
        kill(frozen.pid)
    assert before is not None and before[:2] == ("completed", 2)
    assert installation.ask(ROW) == before


def successor(installation: Installation) -> "subprocess.CompletedProcess[bytes]":
    command = installation.manage("scan", installation.library, "--json")
    return subprocess.run(command, env=installation.environment, capture_output=True, check=False)
