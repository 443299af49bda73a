"""Scans and imports that give way again and again come to the same end, each a little further in every turn."""

import hashlib
from pathlib import Path

import pytest

from catalog.imports import start_folder_import, start_importing
from catalog.libraries import add_library, start_scan
from catalog.models import ImportItem, Photo
from catalog.rebuilding import start_rebuild
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
    wanted = start_folder_import(library, library.owner, str(tmp_path / "card"), "month", ring=False)
    done, turns = run_in_turns(start_importing(library, library.owner))
    assert done.state == State.COMPLETED and turns > 3 and done.attempts == 0
    assert set(wanted.items.values_list("state", flat=True)) == {ImportItem.State.IMPORTED}
    assert done.result["imported"] == wanted.items.count() == 12
    there = {hashlib.md5(path.read_bytes()).hexdigest() for path in Path(library.root).rglob("*.JPG")}
    assert there >= {hashlib.md5(path.read_bytes()).hexdigest() for path in (tmp_path / "card").rglob("*.JPG")}
