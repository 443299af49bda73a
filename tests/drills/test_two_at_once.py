"""Two commands, two workers at one library at the same time: one result, nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.drills.scanning import LIBRARY_ID, PROJECT, Installation, contents, descendants, differences, kill
from tests.photos import make_library

PHOTOS = 150
START = (
    "from accounts.models import User; from catalog.models import Library; from catalog.scanning.requests import start_scan; "
    f"print(start_scan(Library.objects.get(pk='{LIBRARY_ID}'), User.objects.get(), **{{}}).pk)"
)

PROBE = "from accounts.models import User; from operations.running import start; start('probe', User.objects.get())"
"""No worker knows such work, so one that is ready gives it up at once."""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Installation, Installation]:
    """One installation for an undisturbed scan, and one for two at once, over equal folders with one path each."""
    photos = make_library(tmp_path / "photos", PHOTOS)
    alone, together = Installation(tmp_path / "alone", photos), Installation(tmp_path / "together", photos)
    alone.prepare()
    together.prepare()
    return alone, together


def undisturbed(installation: Installation) -> dict[str, object]:
    """Scan alone; return what that leaves, and take its catalog out of the folder again."""
    assert installation.finish()["added"] == PHOTOS
    found = contents(installation)
    for name in installation.root.glob(".photolala.*"):
        name.unlink()
    return found


@pytest.mark.slow
def test_of_two_scan_commands_one_scans_and_the_other_says_so(pair: tuple[Installation, Installation]) -> None:
    alone, together = pair
    expected = undisturbed(alone)
    processes = [together.scan() for _ in range(2)]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    results = [json.loads(out.splitlines()[-1]) for out, _, code in ended if code == 0]
    added = [result.get("added", 0) for result in results]
    assert sum(added) == PHOTOS, ended
    for out, err, code in ended:
        assert b"Traceback" not in out + err
        assert code == 0 or b"being" in out + err or b"under way" in out + err, (out, err, code)
    assert differences(expected, contents(together)) == []


@pytest.mark.slow
def test_of_two_workers_at_one_operation_one_does_it_once(pair: tuple[Installation, Installation]) -> None:
    alone, together = pair
    expected = undisturbed(alone)
    words = together.manage("shell", "-v0", "-c", START)
    said = subprocess.run(words, env=together.environment, check=True, capture_output=True).stdout
    operation = said.decode().split()[-1]
    code = (
        "import catalog.scanning.scan; from operations.running import execute; "
        f"done = execute('{operation}'); print(done.state if done else 'not mine')"
    )
    workers = [
        subprocess.Popen(
            together.manage("shell", "-v0", "-c", code),
            env=together.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert sorted(out.decode().split()[-1] for out, _ in ended) == ["completed", "mine"], ended
    (token,) = together.ask("SELECT token FROM operations_operation") or (0,)
    assert token == 1
    (read,) = together.ask("SELECT json_extract(metrics, '$.files_read') FROM operations_operation") or (0,)
    assert read == PHOTOS
    assert differences(expected, contents(together)) == []


def wait_for_the_other(installation: Installation, leader: "subprocess.Popen[bytes]") -> None:
    """Hold the leader up, so that it does not read everything alone, until another worker has claimed photos."""
    reading = "SELECT 1 FROM operations_operation WHERE kind = 'scan' AND phase LIKE 'Reading photos%'"
    held = "SELECT 1 FROM catalog_photo WHERE needs_digest AND length(claimed_for) > 45 AND claimed_until IS NOT NULL"
    while leader.poll() is None and not installation.ask(reading):
        time.sleep(0.01)
    while leader.poll() is None and not installation.ask(held):
        os.kill(leader.pid, signal.SIGSTOP)  # not for long: it may hold the database's lock, and its lease runs on
        until = time.monotonic() + 3.0
        while time.monotonic() < until and not installation.ask(held):
            time.sleep(0.02)
        os.kill(leader.pid, signal.SIGCONT)
        time.sleep(0.1)


def scan_with_a_worker(installation: Installation, *, kills: bool) -> dict[str, object]:
    """Scan while another worker may help; with `kills` that one dies in the middle. Return the scan's result and figures."""
    installation.extra = {"PHOTOLALA_SCAN_WORKERS": "2", "PHOTOLALA_DECODERS": "1", "PHOTOLALA_LEASE_SECONDS": "5"}
    words = [sys.executable, "-m", "celery", "-A", "photolala", "worker", "-Q", "scan,files", "-c", "1"]
    worker = subprocess.Popen(
        words,
        env=installation.environment,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        subprocess.run(
            installation.manage("shell", "-v0", "-c", PROBE),
            env=installation.environment,
            check=True,
            capture_output=True,
        )
        while not installation.ask("SELECT 1 FROM operations_operation WHERE kind = 'probe' AND state = 'failed'"):
            assert worker.poll() is None, "the worker ended"
            time.sleep(0.05)
        leader = installation.scan()
        wait_for_the_other(installation, leader)
        if kills:
            os.killpg(worker.pid, signal.SIGKILL)
            for pid in descendants(worker.pid):
                kill(pid)
        out, err = leader.communicate(timeout=300)
        assert leader.returncode == 0, err
    finally:
        for pid in [*descendants(worker.pid), worker.pid]:
            kill(pid)
        worker.wait()
    (figures,) = installation.ask("SELECT metrics FROM operations_operation WHERE kind = 'scan'") or ("{}",)
    return {**json.loads(out.splitlines()[-1]), **json.loads(figures)}


@pytest.mark.slow
@pytest.mark.parametrize("kills", [False, True], ids=["alive", "killed"])
def test_another_worker_reads_a_share_and_may_die_over_it(tmp_path: Path, kills: bool) -> None:
    photos = make_library(tmp_path / "photos", 700)
    alone, together = Installation(tmp_path / "alone", photos), Installation(tmp_path / "together", photos)
    alone.prepare()
    together.prepare()
    assert alone.finish()["added"] == 700
    expected = contents(alone)
    for name in photos.glob(".photolala.*"):
        name.unlink()
    result = scan_with_a_worker(together, kills=kills)
    assert result["added"] == 700 and result["failed"] == 0
    helped = int(str(result["files_read_by_assistants"]))
    assert helped + int(str(result["files_read"])) == 700
    assert kills or helped > 0
    assert differences(expected, contents(together)) == []
