"""Working folders: of the living they stay, of the dead they go with the next one."""

from pathlib import Path

import pytest
from django.conf import settings

from catalog.cache import working
from catalog.cache.working import remove_abandoned, working_folder


@pytest.fixture
def folder():
    path = Path(settings.DATA_DIR) / "working"
    path.mkdir(parents=True)
    return path


def test_what_a_killed_process_left_goes_when_the_next_one_begins(folder):
    (folder / "restore-3-abc").mkdir()
    (folder / "restore-3-abc" / "plan.sqlite").write_bytes(b"x")
    (folder / "rebuild-of-1").mkdir()
    (folder / "somebody's file").write_bytes(b"x")
    with working_folder("restore-4") as own:
        assert own.parent == folder and own.name.startswith("restore-4-")
        assert {path.name for path in folder.iterdir()} == {own.name, "rebuild-of-1", "somebody's file"}
    assert {path.name for path in folder.iterdir()} == {"rebuild-of-1", "somebody's file"}


def test_what_is_in_use_stays(folder):
    with working_folder("history") as first, working_folder("history") as second:
        remove_abandoned()
        assert first.is_dir() and second.is_dir() and first != second


def test_a_folder_that_was_taken_for_abandoned_before_it_was_locked_is_made_anew(folder, monkeypatch):
    lock = working._lock

    def quicker(descriptor):
        monkeypatch.setattr(working, "_lock", lock)
        remove_abandoned()
        return lock(descriptor)

    monkeypatch.setattr(working, "_lock", quicker)
    with working_folder("repair") as own:
        assert own.is_dir() and list(folder.iterdir()) == [own]


def test_without_locks_nothing_is_removed_and_work_goes_on(folder, monkeypatch):
    monkeypatch.setattr(working, "_lock", lambda descriptor: False)
    (folder / "seed-1-abc").mkdir()
    with working_folder("seed-2") as own:
        assert own.is_dir()
    assert [path.name for path in folder.iterdir()] == ["seed-1-abc"]
