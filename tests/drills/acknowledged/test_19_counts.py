"""A request that is killed between moving photos into the trash and counting: rows and counts change together, or not yet."""

import subprocess
from pathlib import Path

from tests.drills.scanning import Installation
from tests.drills.stopping import stopping
from tests.photos import make_library

TRASH = (
    "from accounts.models import User; from catalog.models import Photo; from catalog.files.trash import trash_photos; "
    "trash_photos(User.objects.get(), list(Photo.objects.values_list('pk', flat=True)[:2]))"
)
COUNTS = "SELECT photo_count, missing_count FROM catalog_library"


SETTLE = "from catalog.models import Library; from catalog.files.trash import settle; settle(Library.objects.get())"


def test_what_a_killed_request_did_not_count_is_counted_when_it_is_settled(tmp_path: Path) -> None:
    drill = Installation(tmp_path / "data", make_library(tmp_path / "photos", 5))
    drill.prepare()
    drill.finish()
    killed = stopping("catalog.entries.counts:refresh_counts", "before", "kill", 1, "shell", "-v0", "-c", TRASH)
    subprocess.run(killed, env=drill.environment, capture_output=True, check=False)
    in_state = "SELECT count(*) FROM catalog_trashitem WHERE state = '{}'"
    assert (drill.ask(in_state.format("moving")), drill.ask(COUNTS)) == ((2,), (5, 0))
    subprocess.run(drill.manage("shell", "-v0", "-c", SETTLE), env=drill.environment, check=True, capture_output=True)
    assert (drill.ask(in_state.format("trashed")), drill.ask(COUNTS)) == ((2,), (3, 0))
    drill.finish()
    assert drill.ask(COUNTS) == (3, 0)
