"""A writer dies, the person wishes something else, the next writer comes: the last wish stands in file and catalog."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from catalog.edits import undo
from catalog.files import queue
from catalog.files.claims import Claims
from catalog.files.landing import Landing
from catalog.media.delta import apply_delta
from catalog.media.not_written import NotWritten
from catalog.models import FileWrite, Library
from catalog.sources.replacing import Replacement
from tests.catalog.edits.test_ratings import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import (
    EVENING,
    NOON,
    date,
    date_in,
    hidden_in,
    photo,
    rate,
    stars_in,
    write_all,
    write_and_die,
)

pytestmark = pytest.mark.django_db
STEPS = {
    "before the exchange": (Replacement, "swap", "before"),
    "after the exchange": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
}


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def agrees(library: Library, file: Path, stars: int) -> None:  # noqa: F811
    """File and catalog say so, and a scan finds nothing to do."""
    row = photo(library)
    assert (stars_in(file), row.rating or 0, row.rating_held) == (stars, stars, False)
    assert hidden_in(library) == []
    assert scan(library).result["changed"] == 0
    assert photo(library).rating == (stars or None)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("second", [3, 0, 5])
def test_other_stars_after_a_kill(library, file, step, second):  # noqa: F811
    before = file.read_bytes()
    rate(library, 5)
    write_and_die(library, *STEPS[step])
    rate(library, second)
    write_all(library)
    agrees(library, file, second)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before  # the way back led through the version of the writer that died
    agrees(library, file, 0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("second", [NOON, EVENING])
def test_another_date_after_a_kill(library, file, step, second):  # noqa: F811
    before = file.read_bytes()
    date(library, NOON)
    write_and_die(library, *STEPS[step])
    date(library, second)
    write_all(library)
    row = photo(library)
    assert date_in(file) == f"{second:%Y:%m:%d %H:%M:%S}"
    assert (row.taken_text, row.taken_held) == (second.isoformat(), False)
    assert scan(library).result["changed"] == 0
    last = FileWrite.objects.filter(state="done").exclude(new_md5="").order_by("-finished_at")[0]
    assert b"".join(apply_delta(file.read_bytes(), bytes(last.undo_delta))) == before


@pytest.mark.parametrize("deaths", [2, 4])
def test_writer_after_writer_dies_and_each_time_something_else_is_wanted(library, file, deaths):  # noqa: F811
    before = file.read_bytes()
    for number in range(deaths):
        rate(library, number % 5 + 1)
        write_and_die(library, *STEPS["after the exchange"])
    rate(library, 1)
    write_all(library)
    agrees(library, file, 1)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before


def test_the_stars_are_taken_away_after_the_way_back_was_interrupted(library, file):  # noqa: F811
    before = file.read_bytes()
    rate(library, 5)
    write_all(library)
    rate(library, 0)
    write_and_die(library, *STEPS["after the exchange"])
    assert file.read_bytes() == before
    rate(library, 4)
    write_all(library)
    agrees(library, file, 4)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before


def test_the_second_wish_is_to_take_the_last_write_back(library, file):  # noqa: F811
    rate(library, 2)
    write_all(library)
    two = file.read_bytes()
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    assert undo.undo_rating(photo(library), library.owner) == 0  # the last one that was told of: two stars
    write_all(library)
    agrees(library, file, 0)
    assert file.read_bytes() != two


def test_a_rating_after_a_date_that_was_interrupted(library, file):  # noqa: F811
    """Both lie in one file: what became of the date is found out before the stars are written."""
    date(library, NOON)
    write_and_die(library, *STEPS["after the exchange"])
    rate(library, 4)
    date(library, EVENING)
    write_all(library)
    agrees(library, file, 4)
    assert date_in(file) == f"{EVENING:%Y:%m:%d %H:%M:%S}"
    assert not photo(library).taken_held


def test_what_was_wanted_before_is_told_as_what_was_there(library, file):  # noqa: F811
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    rate(library, 3)
    write_all(library)
    done = FileWrite.objects.get()
    assert (done.state, done.wanted, done.previous) == ("done", {"rating": 3}, {"rating": 5})
    assert (done.new_md5, done.base) == (photo(library).photo_md5, {"rating": 0})
    assert undo.undo_rating(photo(library), library.owner) == 5
    write_all(library)
    agrees(library, file, 5)


def test_a_wish_while_the_file_is_written_keeps_the_way_back(library, file, monkeypatch):  # noqa: F811
    before, wished = file.read_bytes(), []
    original = Landing._announced

    def wish(self, ready):
        if not wished:
            wished.append(1)
            rate(library, 2)
        return original(self, ready)

    monkeypatch.setattr(Landing, "_announced", wish)
    rate(library, 5)
    write_all(library)
    agrees(library, file, 2)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before


def test_why_the_first_wish_failed_says_nothing_of_the_second(library, file, monkeypatch):  # noqa: F811
    """The first wish cannot be written, which comes out while the second is given: that is tried nevertheless."""
    from catalog.files.writer import FileWriter

    original, settle = FileWriter.prepare, Claims.settle

    def refuse(self, task):
        if task.change.stars == 5:
            raise NotWritten("It cannot hold five stars.", "unsupported", is_lasting=True)
        return original(self, task)

    def wish(self, write, reason):
        rate(library, 3)
        settle(self, write, reason)

    monkeypatch.setattr(FileWriter, "prepare", refuse)
    monkeypatch.setattr(Claims, "settle", wish)
    rate(library, 5)
    write_all(library)
    agrees(library, file, 3)


def test_what_cannot_be_found_out_now_is_found_out_later(library, file, monkeypatch):  # noqa: F811
    """The next writer meets an I/O error: what the dead one noted and left stays for the one after it."""
    from catalog.files import recovery

    before = file.read_bytes()
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(5, os.strerror(5))

        patch.setattr(recovery, "take_aside", fail)
        with pytest.raises(AssertionError):
            write_all(library)
    write = FileWrite.objects.get()
    assert (write.state, write.code, bool(write.new_md5)) == ("pending", "io_error", True)
    assert len(hidden_in(library)) == 1
    rate(library, 3)
    write_all(library)
    agrees(library, file, 3)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before


def test_a_write_that_is_given_up_before_that_is_found_out_leaves_nothing_behind(library, file, monkeypatch):  # noqa: F811
    from catalog.files import recovery

    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(5, os.strerror(5))

        patch.setattr(recovery, "take_aside", fail)
        with pytest.raises(AssertionError):
            write_all(library)
    assert queue.give_up(FileWrite.objects.get())
    scan(library)
    write_all(library)
    assert (stars_in(file), photo(library).rating) == (5, 5)


@pytest.mark.parametrize("policy", ["database", "sidecar"])
def test_an_open_wish_from_before_the_policy_was_changed_does_not_overrule_the_next(library, file, policy):  # noqa: F811
    rate(library, 5)
    date(library, NOON)
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    rate(library, 3)
    date(library, EVENING)
    write_all(library)
    assert (photo(library).rating, photo(library).taken_text) == (3, EVENING.isoformat())
    scan(library)
    assert (photo(library).rating, photo(library).taken_text) == (3, EVENING.isoformat())
    assert datetime.fromisoformat(photo(library).taken_text) == EVENING
