"""A wall clock that is wrong for a while, in real processes: nothing is deleted for good, and no star waits for it."""

import subprocess
from pathlib import Path

import pytest

from tests.drills.acknowledged.workers import (
    RATE,
    SWEEPS,
    at_work,
    shell,
    stars_done,
    supervised_worker,
    wait_until,
)
from tests.drills.clockwork import PROJECT, at_another_time
from tests.drills.scanning import Installation
from tests.photos import make_library

YEAR = 365 * 86_400
TRASH = (
    "from catalog.files.trash import trash_photos; from catalog.models import Photo; from accounts.models import User; "
    "assert trash_photos(User.objects.get(), [Photo.objects.order_by('-pk').first().pk]).count == 1"
)
SCHEDULE = (
    "import operations.tasks as o; from operations import wake_up; from catalog import tasks as c; "
    "wake_up.enqueue = lambda operation: 0; "
    "print([o.sweep(), c.empty_trash(), c.forget_old_uploads(), o.purge()]); "
)
SILENT_STAR = "from operations import wake_up; wake_up.enqueue = lambda operation: 0; " + RATE
WRITE = "from catalog.tasks import write_what_is_due; write_what_is_due.apply_async(queue='files')"


@pytest.fixture
def scanned(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path / "data", make_library(tmp_path / "photos", 3))
    installation.prepare()
    installation.finish()
    return installation


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [YEAR, -86_400], ids=["a year ahead", "a day back"])
def test_nothing_is_deleted_and_no_star_waits(scanned: Installation, tmp_path: Path, seconds: int) -> None:
    shell(scanned, TRASH)

    def elsewhen(code: str) -> None:
        command = at_another_time(seconds, "shell", "-v0", "-c", code)
        subprocess.run(command, cwd=PROJECT, env=scanned.environment, check=True, capture_output=True)

    if seconds > 0:
        elsewhen(SCHEDULE + SILENT_STAR.format(stars=4))  # given while the clock was ahead, written when it is right
    else:
        shell(scanned, SILENT_STAR.format(stars=4))  # given while it was right, written while it is back
    assert scanned.ask("SELECT count(*) FROM catalog_trashitem WHERE state = 'trashed'") == (1,)

    def rung() -> bool:
        shell(scanned, SWEEPS.format(count=1) + "\n" + WRITE)  # as the schedule does every minute
        return stars_done(scanned, 4)

    worker = (
        supervised_worker()
        if seconds > 0
        else at_another_time(seconds, "worker", "-Q", "files", "-c", "1", "-l", "ERROR")
    )
    with at_work(worker, scanned, tmp_path / "worker.log"):
        wait_until(rung, "the star is in its file")
    assert scanned.ask("SELECT count(*) FROM catalog_trashitem WHERE state = 'trashed'") == (1,)
    (jumps,) = scanned.ask("SELECT json_array_length(jumps) FROM operations_clockreading") or (0,)
    assert jumps >= 1
