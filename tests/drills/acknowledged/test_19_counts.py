"""A request that is killed between moving photos into the trash and counting: the next scan counts them."""

import subprocess
from pathlib import Path

from tests.drills.scanning import Installation
from tests.drills.stopping import stopping
from tests.photos import make_library

TRASH = (
    "from accounts.models import User; from catalog.models import Photo; from catalog.trash import trash_photos; "
    "trash_photos(User.objects.get(), list(Photo.objects.values_list('pk', flat=True)[:2]))"
)
COUNTS = "SELECT photo_count, missing_count FROM catalog_library"


def test_what_a_killed_request_did_not_count_is_counted_by_the_next_scan(tmp_path: Path) -> None:
    drill = Installation(tmp_path / "data", make_library(tmp_path / "photos", 5))
    drill.prepare()
    drill.finish()
    killed = stopping("catalog.publishing:refresh_counts", "before", "kill", 1, "shell", "-v0", "-c", TRASH)
    subprocess.run(killed, env=drill.environment, capture_output=True, check=False)
    assert drill.ask("SELECT count(*) FROM catalog_trashitem WHERE state = 'trashed'") == (2,)
    assert drill.ask(COUNTS) == (5, 0)
    drill.finish()
    assert drill.ask(COUNTS) == (3, 0)
