"""Scans and imports that give way again and again come to the same end, each a little further in every turn."""

import hashlib
from pathlib import Path

import pytest

from catalog.importing import outcomes
from catalog.importing import turns as importing_turns
from catalog.importing.requests import start_folder_import, start_importing
from catalog.libraries.adding import add_library
from catalog.models import ImportItem, Membership, Photo
from catalog.scanning.rebuild import start_rebuild
from catalog.scanning.requests import start_scan
from operations.models import State
from operations.running import execute
from tests.photos import make_library

pytestmark = pytest.mark.django_db


class Impatient:
    """Lets a claim go on for a few looks only."""

    def __init__(self, looks):
        self.looks = looks

    def is_over(self, run):
        self.looks -= 1
        return self.looks < 0


def run_in_turns(operation):
    """Run to the end with ever longer turns; return the operation and how many turns it took."""
    for turn in range(1, 200):
        done = execute(operation.pk, turn=Impatient(turn))
        if done.state != State.PENDING:
            return done, turn
    raise AssertionError("This never ends.")


@pytest.fixture
def library(alice, tmp_path, settings):
    make_library(tmp_path / "library", 6, per_folder=3)
    settings.PHOTO_ROOTS = [str(tmp_path)]
    return add_library(alice, str(tmp_path / "library"))


def test_a_scan_in_turns(library):
    done, turns = run_in_turns(start_scan(library, library.owner))
    assert done.state == State.COMPLETED and turns > 3 and done.attempts == 0
    assert (done.result["added"], Photo.objects.filter(state="ready").count()) == (6, 6)
    done, _ = run_in_turns(start_rebuild(library, library.owner))
    assert done.state == State.COMPLETED and Photo.objects.filter(state="ready").count() == 6


def test_an_import_in_turns(library, tmp_path):
    make_library(tmp_path / "card", 12, per_folder=3, size=(32, 24))
    wanted = start_folder_import(library, library.owner, str(tmp_path / "card"), "month", enqueue=False)
    done, turns = run_in_turns(start_importing(library, library.owner))
    assert done.state == State.COMPLETED and turns > 3 and done.attempts == 0
    assert set(wanted.items.values_list("state", flat=True)) == {ImportItem.State.IMPORTED}
    assert done.result["imported"] == wanted.items.count() == 12
    there = {hashlib.md5(path.read_bytes()).hexdigest() for path in Path(library.root).rglob("*.JPG")}
    assert there >= {hashlib.md5(path.read_bytes()).hexdigest() for path in (tmp_path / "card").rglob("*.JPG")}


def test_files_of_two_people_come_into_one_library_by_turns(library, bob, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(importing_turns, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(importing_turns, "LEAST_SECONDS", 0.0)
    execute(start_scan(library, library.owner).pk)
    Membership.objects.create(library=library, user=bob, role=Membership.Role.EDITOR)
    make_library(tmp_path / "many", 35, per_folder=40, size=(32, 24))
    make_library(tmp_path / "few", 2, size=(24, 16))
    hers = start_folder_import(library, library.owner, str(tmp_path / "many"), "month", enqueue=False)
    his = start_folder_import(library, bob, str(tmp_path / "few"), "month", enqueue=False)
    ends = []
    write = outcomes.write_items

    def note(items, columns):
        ends.extend(item.import_run_id for item in items if item.state == ImportItem.State.IMPORTED)
        write(items, columns)

    monkeypatch.setattr(outcomes, "write_items", note)
    done = execute(start_importing(library, library.owner).pk)
    assert done.state == State.COMPLETED and done.result["imported"] == len(ends) == 37
    assert ends.index(his.pk) < 20 and ends[-1] == hers.pk


def test_looking_through_files_is_no_progress_for_it_begins_anew(library, tmp_path):
    make_library(tmp_path / "card", 3)
    start_folder_import(library, library.owner, str(tmp_path / "card"), "month", enqueue=False)
    operation = start_importing(library, library.owner)
    progress = []

    class Listed:
        def is_over(self, run):
            progress.append((run.operation.phase, run.operation.done, run.progress_at))
            return run.operation.done > 0

    execute(operation.pk, turn=Listed())
    assert progress[-1] == ("Looking through the files", 3, None)
