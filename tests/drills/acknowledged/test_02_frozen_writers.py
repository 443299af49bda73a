"""Writers in real processes that are frozen at steps of their threads: before, while and after they prepare or recover."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.drills.acknowledged.writers import stars_in
from tests.drills.scanning import LIBRARY_ID, Installation, kill
from tests.drills.stopping import stopping
from tests.photos import make_library

pytestmark = pytest.mark.slow
RUN = ("writes", "run", "--library", LIBRARY_ID, "--all", "--json")
STEPS = {
    "prepared": ("catalog.files.writer:FileWriter.prepare", "after"),
    "about to prepare": ("catalog.files.writer:FileWriter.prepare", "before"),
    "about to exchange": ("catalog.sources.renaming:exchange", "before"),
    "exchanged": ("catalog.sources.renaming:exchange", "after"),
}
RECOVERING = {
    "about to recover": ("catalog.files.recovery:take_aside", "before"),
    "taken aside": ("catalog.files.recovery:take_aside", "after"),
    "recovered": ("catalog.files.write:recover", "after"),
}


class Writers:
    """One library with two photos."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.installation = Installation(folder / "data", make_library(folder / "photos", 2))
        self.installation.prepare()
        self.installation.finish()
        self.do(f"UPDATE catalog_library SET ratings = '{policy}'")
        self.files = sorted(self.installation.root.rglob("*.JPG"))
        self.files += sorted(self.installation.root.rglob("*.jpg"))
        self.bytes = [file.read_bytes() for file in self.files]
        self.policy = policy

    def do(self, sql: str) -> None:
        with sqlite3.connect(self.installation.data / "photolala.sqlite3", timeout=30) as database:
            database.execute(sql)

    def run(self, *command: str) -> str:
        ended = subprocess.run(command, env=self.installation.environment, capture_output=True, check=False)
        assert ended.returncode in (0, 1), ended.stderr.decode()[-2000:]
        return ended.stdout.decode()

    def rate(self, stars: int) -> None:
        code = (
            "from catalog.edits import ratings; from catalog.models import Photo; from operations import wake_up; "
            "from accounts.models import User; wake_up.enqueue = lambda operation: 0; "
            f"ratings.set_ratings(User.objects.get(), list(Photo.objects.values_list('pk', flat=True)), {stars})"
        )
        self.run(*self.installation.manage("shell", "-v0", "-c", code))

    def start(self, step: tuple[str, str], how: str) -> "subprocess.Popen[bytes]":
        self.do(
            "UPDATE operations_operation SET lease_until = '2000-01-01 00:00:00', worker = '' WHERE state = 'running'"
        )
        return subprocess.Popen(
            stopping(*step, how, 1, *RUN),
            env=self.installation.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def freeze(self, step: tuple[str, str]) -> "subprocess.Popen[bytes]":
        process = self.start(step, "freeze")
        until = time.monotonic() + 90
        while process.poll() is None and state_of(process.pid) != "T":
            assert time.monotonic() < until, "the step was not reached"
            time.sleep(0.02)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        return process

    def succeed(self) -> None:
        self.do(
            "UPDATE operations_operation SET lease_until = '2000-01-01 00:00:00', worker = '' WHERE state = 'running'"
        )
        said = json.loads(self.run(*self.installation.manage(*RUN)).splitlines()[-1])
        assert not said["problems"], said

    def thaw(self, process: "subprocess.Popen[bytes]") -> None:
        os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=90)

    def check(self, stars: int) -> None:
        """Files and catalog say so, nothing is open, nothing is left behind."""
        places = [Path(f"{file}.xmp") if self.policy == "sidecar" else file for file in self.files]
        assert [stars_in(place) for place in places] == [stars] * len(self.files)
        assert list(self.installation.root.rglob(".photolala-write-*")) == []
        open_ones = "SELECT count(*) FROM catalog_filewrite WHERE state IN ('pending', 'writing', 'failed')"
        assert self.installation.ask(open_ones) == (0,)
        others = f"SELECT count(*) FROM catalog_photo WHERE coalesce(rating, 0) <> {stars} OR rating_held"
        assert self.installation.ask(others) == (0,)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


@pytest.fixture(params=["file", "sidecar"])
def writers(tmp_path, request) -> Writers:
    return Writers(tmp_path, request.param)


def test_the_last_stars_stand_after_a_frozen_writer_wakes(writers):
    stars = 0
    steps = (
        dict(STEPS) if writers.policy == "file" else {name: STEPS[name] for name in ("prepared", "about to prepare")}
    )
    for number, step in enumerate(steps.values()):
        writers.rate(number % 4 + 1)
        late = writers.freeze(step)
        stars = (number + 2) % 4 + 1
        writers.rate(stars)
        writers.succeed()
        writers.check(stars)
        writers.thaw(late)
        writers.check(stars)
    assert writers.installation.finish()["changed"] == 0
    if writers.policy == "file":
        writers.rate(0)
        writers.succeed()
        assert [file.read_bytes() for file in writers.files] == writers.bytes


def test_the_last_stars_stand_after_a_frozen_successor_of_a_killed_writer_wakes(writers):
    for number, step in enumerate(RECOVERING.values()):
        writers.rate(number % 4 + 1)
        killed = writers.start(("catalog.files.landing:Landing._tell", "before"), "kill")
        killed.communicate(timeout=90)
        assert killed.returncode == -signal.SIGKILL
        late = writers.freeze(step)
        stars = (number + 2) % 4 + 1
        writers.rate(stars)
        writers.succeed()
        writers.check(stars)
        writers.thaw(late)
        writers.check(stars)
    assert writers.installation.finish()["changed"] == 0
    if writers.policy == "file":
        writers.rate(0)
        writers.succeed()
        assert [file.read_bytes() for file in writers.files] == writers.bytes


def test_a_frozen_writer_that_is_killed_at_last_leaves_all_to_its_successor(writers):
    writers.rate(5)
    late = writers.freeze(("catalog.files.landing:Landing._tell", "before"))
    writers.rate(2)
    kill(late.pid)
    late.communicate(timeout=90)
    writers.succeed()
    writers.check(2)
