"""Two people import into one library: what one of them cancels, or what fails for one, never leaves the other's files unseen."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from catalog.importing.requests import retry, start_all_waiting, start_folder_import
from catalog.libraries.adding import add_library
from catalog.libraries.members import set_member
from catalog.models import Import, ImportItem, Library, Photo
from catalog.sources.local import LocalSource
from operations.control import cancel
from operations.models import Operation
from operations.running import execute
from tests.factories import make_jpeg, make_user

pytestmark = pytest.mark.django_db


class Two:
    """alice's library and ed, who may change it; each of them has a folder to import."""

    def __init__(self, tmp_path: Path) -> None:
        self.alice, self.ed = make_user("alice"), make_user("ed")
        (tmp_path / "library").mkdir()
        self.library: Library = add_library(self.alice, str(tmp_path / "library"))
        set_member(self.library, self.ed, "editor")
        self.folders = {user.pk: tmp_path / user.username for user in (self.alice, self.ed)}
        for number, folder in enumerate(self.folders.values()):
            folder.mkdir()
            (folder / f"{folder.name}.jpg").write_bytes(make_jpeg(seed=number))

    def wish(self, user: User) -> Import:
        return start_folder_import(self.library, user, str(self.folders[user.pk]), "month")

    def run(self) -> Operation:
        finished = execute(Operation.objects.get(kind="import", state="pending").pk)
        assert finished is not None
        return finished

    def names(self) -> set[str]:
        return set(Photo.objects.values_list("filename", flat=True))


@pytest.fixture
def two(tmp_path: Path, settings: Any) -> Two:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    return Two(tmp_path)


@pytest.mark.parametrize("first", ["ed", "alice"])
def test_what_the_other_waits_for_goes_on_when_one_cancels(two: Two, first: str) -> None:
    canceller, other = (two.ed, two.alice) if first == "ed" else (two.alice, two.ed)
    own, waiting = two.wish(canceller), two.wish(other)
    running = Operation.objects.get(kind="import")
    assert running.owner_id == canceller.pk
    cancel(running)
    assert start_all_waiting() == 1
    assert Operation.objects.get(kind="import", state="pending").owner_id == other.pk
    assert two.run().state == "completed"
    assert two.names() == {f"{other.username}.jpg"}
    own.refresh_from_db()
    waiting.refresh_from_db()
    assert waiting.finished_at is not None and own.error  # who cancelled is told that it was stopped
    assert start_all_waiting() == 0
    retry(own, canceller)
    Operation.objects.filter(kind="import", state="pending").exists() or start_all_waiting()
    assert two.run().state == "completed"
    assert two.names() == {"ed.jpg", "alice.jpg"}


def test_cancelled_in_the_middle_of_listing_the_other_goes_on(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.wish(two.ed)
    two.wish(two.alice)
    running = Operation.objects.get(kind="import")
    walk = LocalSource.walk

    def cancelled(source: LocalSource) -> Any:
        cancel(Operation.objects.get(pk=running.pk))
        return walk(source)

    with monkeypatch.context() as patched:
        patched.setattr(LocalSource, "walk", cancelled)
        assert two.run().state == "cancelled"
    assert two.names() == set()
    assert start_all_waiting() == 1
    assert two.run().state == "completed"
    assert two.names() == {"alice.jpg"}
    left = ImportItem.objects.filter(import_run__user=two.ed).values_list("state", "code")
    assert list(left) == [("rejected", "stopped")]


def test_what_only_one_waits_for_waits_for_that_person(two: Two) -> None:
    two.wish(two.ed)
    cancel(Operation.objects.get(kind="import"))
    assert start_all_waiting() == 0
    assert Operation.objects.get(kind="import").can_resume


def test_what_fails_for_one_is_told_to_the_other_once(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.wish(two.ed)
    two.wish(two.alice)
    monkeypatch.setattr(LocalSource, "root_is_writable", lambda self: False)
    assert two.run().error_code == "read_only"
    assert start_all_waiting() == 1
    told = two.run()
    assert (told.owner_id, told.error_code) == (two.alice.pk, "read_only")
    assert start_all_waiting() == 0  # both know by now


def test_more_files_of_the_other_do_not_undo_a_cancellation(two: Two) -> None:
    own = two.wish(two.ed)
    cancel(Operation.objects.get(kind="import"))
    two.wish(two.alice)  # starts an importer at once
    assert two.run().state == "completed"
    own.refresh_from_db()
    assert two.names() == {"alice.jpg"} and own.error
