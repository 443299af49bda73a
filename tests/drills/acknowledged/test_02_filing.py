"""Points 2 and 3 for moving files into the folders of their dates: a late process, and one that died, change and lose nothing."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.ratings import set_rating
from catalog.entries.pending_writes import start_writing
from catalog.files import filing as files_filing
from catalog.files import trash_files
from catalog.files.filing import start_filing
from catalog.files.trash import trash_photos
from catalog.files.trash_settling import settle
from catalog.models import FileWrite, HashCache, Photo, TrashItem
from catalog.roots import trash_folder
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.test_imports import files_of
from tests.catalog.scanning.test_rebuild import library  # noqa: F401
from tests.catalog.scanning.test_scan import counts, scan

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process is gone."""


def filing_to(library, year):  # noqa: F811
    """Return the filing of a photo, with a sidecar, that got another date."""
    Photo.objects.filter(library=library, filename="0.jpg").update(
        taken_local=datetime(year, 7, 9, tzinfo=UTC), taken_source="person", taken_held=True
    )
    photo = Photo.objects.get(library=library, filename="0.jpg")
    return start_filing(library, library.owner, [photo.pk], "month", enqueue=False)


@pytest.fixture
def operation(library):  # noqa: F811
    (Path(library.root) / "0" / "0.jpg.xmp").write_text("<x/>")
    return filing_to(library, 2011)


def require_whole(library, *paths):  # noqa: F811
    """The photo, and its sidecar, lie at one of the paths, its row says so, and nothing is left anywhere else."""
    photo = Photo.objects.get(library=library, filename__startswith="0")
    assert photo.path in paths and photo.state == "ready"
    assert (Path(library.root) / photo.path).is_file() and (Path(library.root) / f"{photo.path}.xmp").is_file()
    assert len(files_of(library)) == 7 and not TrashItem.objects.exists()
    assert not list((Path(library.root) / trash_folder.FOLDER).glob("*"))
    assert HashCache.objects.filter(library=library, path=photo.path).exists()


def require_nothing_for_a_scan(library):  # noqa: F811
    done = counts(scan(library))
    assert (done["added"], done["moved"], done["gone"]) == (0, 0, 0)


def at_call(monkeypatch, name, number, when, what):
    """Do something right before or after the n-th call of a function of `trash_files`."""
    real, calls = getattr(trash_files, name), []

    def interrupted(*arguments, **named):
        calls.append(1)
        is_it = len(calls) == number
        if is_it and when == "before":
            what()
        result = real(*arguments, **named)
        if is_it and when == "after":
            what()
        return result

    monkeypatch.setattr(trash_files, name, interrupted)


# Of the moves of the file and its sidecar into the trash's folder and out of it.
POINTS = [(number, when) for number in (1, 2, 3, 4) for when in ("before", "after")]


@pytest.mark.parametrize("is_undone", [False, True])
def test_a_frozen_process_that_wakes_after_another_took_over_changes_nothing(
    library,  # noqa: F811
    operation,
    monkeypatch,
    is_undone,
):
    for year, (number, when) in enumerate(POINTS, start=2001):
        operation = filing_to(library, year)
        before = Photo.objects.get(library=library, filename="0.jpg").directory
        seen = []

        def take_over(operation=operation, before=before, seen=seen):
            Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(days=1))
            with monkeypatch.context() as patch:
                if is_undone:  # the person thought better of it meanwhile
                    patch.setattr(files_filing, "target_of", lambda photo, layout: before)
                again = execute(operation.pk)
            assert again.state == State.COMPLETED, again.error
            seen.append(files_of(library))

        with monkeypatch.context() as patch:
            at_call(patch, "move_between", number, when, take_over)
            execute(operation.pk)
        assert seen == [files_of(library)]
        require_whole(library, f"{before}/0.jpg" if is_undone else f"{year}/07/0.jpg")
    require_nothing_for_a_scan(library)


def test_killed_anywhere_it_is_settled_by_where_the_file_lies(library, operation, monkeypatch):  # noqa: F811
    def die():
        raise Killed

    points = [("move_between", *point) for point in POINTS]
    points += [("remove_folder", 1, "before"), ("remove_folder", 1, "after")]
    for year, (name, number, when) in enumerate(points, start=2001):
        operation = filing_to(library, year)
        before = Photo.objects.get(library=library, filename="0.jpg").path
        with monkeypatch.context() as patch, pytest.raises(Killed):
            at_call(patch, name, number, when, die)
            execute(operation.pk)
        settle(library, before=timezone.now())
        require_whole(library, before, f"{year}/07/0.jpg")
        Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(days=1))
        assert execute(operation.pk).state == State.COMPLETED
        require_whole(library, f"{year}/07/0.jpg")
    require_nothing_for_a_scan(library)


def test_a_disk_that_fails_in_between_leaves_the_file_where_it_lay(library, operation, monkeypatch):  # noqa: F811
    def fail():
        raise OSError(28, "No space left on device")

    at_call(monkeypatch, "move_between", 3, "before", fail)
    done = execute(operation.pk)
    assert (done.state, done.result["moved"], done.result["problem_count"]) == (State.COMPLETED, 0, 1)
    require_whole(library, "0/0.jpg")


def test_a_folder_that_goes_away_gets_no_file_and_nothing_is_acknowledged(library, operation, monkeypatch):  # noqa: F811
    root = Path(library.root)

    def unmount():
        os.rename(root, root.with_name("away"))
        root.mkdir()

    at_call(monkeypatch, "move_between", 1, "before", unmount)
    done = execute(operation.pk)
    assert (done.state, done.error_code) == (State.FAILED, "root_unavailable") and "Mount it" in done.error
    assert not list(root.iterdir())
    root.rmdir()
    os.rename(root.with_name("away"), root)
    settle(library)
    require_whole(library, "0/0.jpg", "2011/07/0.jpg")


def test_what_is_deleted_just_now_is_not_filed_and_the_other_way_round(library, operation, monkeypatch):  # noqa: F811
    photo = Photo.objects.get(library=library, filename="0.jpg")
    errors = []

    def delete():
        errors.extend(trash_photos(library.owner, [photo.pk]).errors)

    at_call(monkeypatch, "move_between", 1, "before", delete)
    assert execute(operation.pk).result["moved"] == 1
    assert "just now" in errors[0]["error"]
    require_whole(library, "2011/07/0.jpg")


def test_what_is_being_written_is_filed_after_that_and_what_is_being_filed_is_written_after_that(
    library,  # noqa: F811
    operation,
    monkeypatch,
):
    photo = Photo.objects.get(library=library, filename="0.jpg")
    set_rating(library.owner, photo, 4)
    FileWrite.objects.update(state="writing", claimed_for="another writer")
    waited = []

    def wait(filing, keys):
        waited.extend(keys)
        require_whole(library, "0/0.jpg")
        FileWrite.objects.update(state="pending", claimed_for="")

    monkeypatch.setattr(files_filing.Filing, "_wait_for_writers", wait)

    def write():
        execute(start_writing(library, library.owner).pk)
        assert FileWrite.objects.get().state == "pending"

    at_call(monkeypatch, "move_between", 3, "before", write)
    done = execute(operation.pk)
    assert (done.result["moved"], done.result["problems"], waited) == (1, [], [photo.pk])
    FileWrite.objects.update(try_at=timezone.now())
    execute(start_writing(library, library.owner).pk)
    assert FileWrite.objects.get().state == "done"
    require_whole(library, "2011/07/0.jpg")


def test_each_photo_that_is_filed_is_progress(library, operation, monkeypatch):  # noqa: F811
    keys = list(Photo.objects.filter(library=library).values_list("pk", flat=True))
    Photo.objects.filter(library=library).update(taken_source="person", taken_held=True)
    operation = start_filing(library, library.owner, keys, "day", enqueue=False)
    Operation.objects.filter(pk=operation.pk).update(attempts=4)

    def die():
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        at_call(patch, "remove_folder", 3, "before", die)
        execute(operation.pk)
    assert Operation.objects.get(pk=operation.pk).attempts == 0
