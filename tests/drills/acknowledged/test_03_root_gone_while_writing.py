"""The library's disk is unplugged while stars are written: the writer says so, and what it was to write waits for the disk."""

from pathlib import Path

import pytest

from catalog.entries import pending_writes
from catalog.files.landing import Landing
from catalog.files.writer import FileWriter
from catalog.models import FileWrite, Library
from catalog.sources.replacing import Replacement
from operations.models import State
from operations.running import execute
from tests.catalog.edits.test_ratings import library  # noqa: F401
from tests.drills.acknowledged.writers import frozen_at, hidden_in, photo, rate, stars_in, write_all

pytestmark = pytest.mark.django_db
STEPS = {
    "before it reads": (FileWriter, "prepare", "before"),
    "before the exchange": (Replacement, "swap", "before"),
    "exchanged": (Replacement, "swap", "after"),
    "before it tells": (Landing, "_announced", "before"),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_was_to_be_written_waits_for_the_disk(library: Library, name: str) -> None:  # noqa: F811
    root, away = Path(library.root), Path(library.root).with_name("away")
    before = (root / "0.jpg").read_bytes()
    rate(library, 5)

    def unplug() -> None:
        root.rename(away)
        root.mkdir()

    operation = pending_writes.start_writing(library, library.owner)
    with frozen_at(*STEPS[name], unplug) as calls:
        ended = execute(operation.pk)
    assert calls and (ended.state, ended.error_code) == (State.FAILED, "root_unavailable"), ended.error_detail
    assert list(root.iterdir()) == [] and (away / "0.jpg").read_bytes() == before
    assert FileWrite.objects.get(photo=photo(library)).state in FileWrite.OPEN
    root.rmdir()
    away.rename(root)
    assert hidden_in(library) == []
    write_all(library)
    assert stars_in(root / "0.jpg") == photo(library).rating == 5
