"""A worker's death is not the photo's fault: only deaths at a file that was tried alone count against it."""

from pathlib import Path

import pytest

from catalog.edits.ratings import set_ratings
from catalog.entries import pending_writes
from catalog.files.claims import MOST_CRASHES
from catalog.files.landing import Landing
from catalog.files.write import Writing
from catalog.files.writer import FileWriter
from catalog.models import FileWrite, Library, Photo
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.edits.test_ratings import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import rate, stars_in, write_all, write_and_die
from tests.factories import make_jpeg, make_photo

pytestmark = pytest.mark.django_db


def test_many_kills_of_many_files_in_hand_blame_none_of_them(library):  # noqa: F811
    for number in range(9):
        make_photo(library, f"more/{number}.jpg", data=make_jpeg(seed=500 + number))
    scan(library)
    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 4)
    for _ in range(
        2 * MOST_CRASHES
    ):  # each time it dies at another file, which was claimed alone from the second time on
        write_and_die(library, FileWriter, "prepare", "before")
    assert not FileWrite.objects.filter(state="failed").exists()
    assert FileWrite.objects.order_by("-crash_count").values_list("crash_count", flat=True)[0] == 1
    assert write_all(library)["written"] == 12
    assert FileWrite.objects.filter(state="done", crash_count=0).count() == 12


def test_who_dies_with_others_in_hand_is_not_counted(library):  # noqa: F811
    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 4)
    write_and_die(library, Landing, "land", "before")
    assert set(FileWrite.objects.values_list("state", "crash_count", "attempts")) == {("writing", 0, 0)}


def test_kills_make_no_later_try_wait_longer(library, monkeypatch):  # noqa: F811
    """How long a try waits counts the tries that ended with a reason, not those whose writers were killed."""
    from catalog.sources import hidden

    rate(library, 5)
    for _ in range(MOST_CRASHES - 1):
        write_and_die(library, Landing, "land", "before")
    monkeypatch.setattr(hidden, "_ROOM_BYTES", 1 << 60)
    execute(pending_writes.start_writing(library, library.owner).pk)
    waiting = FileWrite.objects.get()
    assert (waiting.state, waiting.code, waiting.attempts, waiting.crash_count) == ("pending", "no_space", 1, 0)


def test_a_new_wish_is_tried_anew(library):  # noqa: F811
    rate(library, 5)
    for _ in range(MOST_CRASHES):
        write_and_die(library, FileWriter, "prepare", "before")
    rate(library, 3)
    assert write_all(library)["written"] == 1
    assert stars_in(Path(library.root) / "0.jpg") == 3


def test_a_file_whose_writer_dies_alone_does_not_keep_others_waiting(library):  # noqa: F811
    original = FileWriter.prepare

    class Killed(BaseException):
        pass

    def die(self, task):
        if task.filename == "0.jpg":
            raise Killed
        return original(self, task)

    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileWriter, "prepare", die)
        patch.setattr(Writing, "_release", lambda self: None)
        for run in range(3):
            with pytest.raises(Killed):
                execute(pending_writes.start_writing(library, library.owner).pk)
            Operation.objects.update(state=State.FAILED)
            if run == 2:
                assert FileWrite.objects.filter(state="done").count() == 2
    assert write_all(library)["written"] == 1


def test_an_outcome_needs_no_person(library, bob):  # noqa: F811
    """The editor who gave the stars is deleted while they wait."""
    library.memberships.create(user=bob, role="editor")
    keys = list(Photo.objects.filter(library=library).values_list("pk", flat=True))
    set_ratings(bob, keys, 4)
    Operation.objects.update(state=State.COMPLETED)
    bob.delete()
    assert write_all(library)["written"] == 3
    assert set(FileWrite.objects.values_list("state", "user")) == {("done", None)}
    assert Library.objects.get().pk == library.pk


def test_an_editor_deleted_while_a_writer_has_their_files_in_hand(library, bob):  # noqa: F811
    library.memberships.create(user=bob, role="editor")
    set_ratings(bob, list(Photo.objects.filter(library=library).values_list("pk", flat=True)), 4)
    operation = pending_writes.start_writing(library, bob)
    original = Landing._announced

    def leave(self, ready):
        if operation.pk and Operation.objects.filter(pk=operation.pk).exists():
            bob.delete()  # their operation goes on in the owner's name
        return original(self, ready)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Landing, "_announced", leave)
        execute(operation.pk)
    write_all(library)
    assert list(FileWrite.objects.values_list("state", "user")) == [("done", None)] * 3
    assert stars_in(Path(library.root) / "0.jpg") == 4
