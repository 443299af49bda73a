"""An import that is killed -9 again and again brings every file in once, whole, and leaves nothing else behind."""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.drills.scanning import Installation
from tests.photos import make_jpeg

COUNT = 150
KILLS = 8


def digests(folder: Path) -> list[str]:
    return sorted(hashlib.md5(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.promise("S2-051", "S2-052")
def test_killed_again_and_again(tmp_path):
    card = tmp_path / "roots" / "card"
    for number in range(COUNT):
        taken = f"20{10 + number % 9}:0{number % 9 + 1}:11 10:00:{number % 60:02}"
        make_jpeg(card / f"{number // 50}" / f"IMG_{number % 50}.JPG", seed=number, size=(640, 480), taken=taken)
    root = tmp_path / "roots" / "library"
    root.mkdir()
    drill = Installation(tmp_path / "data", root)
    drill.prepare()
    environment = {**drill.environment, "PHOTOLALA_ROOTS": str(tmp_path / "roots")}
    command = drill.manage("import_folder", str(card), "--library", drill.library, "--json")
    subprocess.run(drill.manage("scan", drill.library), env=environment, check=True, capture_output=True)
    random.seed(7)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        drill.wait_until_running(process)
        time.sleep(random.uniform(0.05, 0.8))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed, "every import ended before it could be killed; make it longer"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["rejected"] == 0
    visible = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert sorted(hashlib.md5(path.read_bytes()).hexdigest() for path in visible) == digests(card)
    assert not list(root.rglob(".photolala-write*"))
    scan = subprocess.run(
        drill.manage("scan", drill.library, "--json"), env=environment, capture_output=True, text=True
    )
    counts = json.loads(scan.stdout.splitlines()[-1])
    assert (counts["found"], counts["added"], counts["changed"], counts["failed"]) == (COUNT, 0, 0, 0)
    assert drill.ask("SELECT count(*) FROM catalog_importitem WHERE state = 'imported'") == (COUNT,)
