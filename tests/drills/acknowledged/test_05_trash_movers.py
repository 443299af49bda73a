"""Point 5: whoever moves files of the trash is known by name; what others decide meanwhile, a late one does not change."""

import os
import shutil
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.files import trash_files, trash_leases
from catalog.files.trash import restore_items, settle, trash_photos
from catalog.files.trash_empty import empty_what_is_due, start_emptying
from catalog.models import Photo, TrashItem
from catalog.roots import trash_folder
from operations.models import State
from operations.running import execute
from tests.catalog.importing.test_imports import files_of
from tests.catalog.scanning.test_rebuild import library  # noqa: F401

pytestmark = pytest.mark.django_db
HIDDEN = (".photolala.trash", ".photolala-")


def all_photos(library):  # noqa: F811
    return list(Photo.objects.filter(library=library).order_by("directory", "filename"))


def require_whole(library):  # noqa: F811
    """Each file of the trash has its row and each row its file; a photo is there, or in the trash, and never both."""
    root = Path(library.root)
    trash = root / trash_folder.FOLDER
    there = {path.parent.name: path.name for path in trash.rglob("*.jpg")}
    assert sorted(path.name for path in trash.iterdir()) == sorted(there) if trash.is_dir() else not there
    rows = {str(item.pk): item.filename for item in TrashItem.objects.all()}
    assert set(TrashItem.objects.values_list("state", flat=True)) <= {"trashed"}
    assert there == rows
    for photo in all_photos(library):
        is_there = (root / photo.path).is_file()
        assert is_there == (photo.state == "ready")
        assert is_there != TrashItem.objects.filter(photo=photo).exists()
    left = [path for path in root.rglob("*") if path.name.startswith(".photolala-")]
    assert not left


def once(monkeypatch, name, before=None, after=None):
    """Let somebody else do something right before or after the first call of a function of `trash_files`."""
    real, calls = getattr(trash_files, name), []

    def interrupted(*arguments, **named):
        calls.append(1)
        if len(calls) == 1 and before:
            before()
        result = real(*arguments, **named)
        if len(calls) == 1 and after:
            after()
        return result

    monkeypatch.setattr(trash_files, name, interrupted)


def test_what_a_living_process_deletes_on_a_slow_share_is_never_called_abandoned(library, monkeypatch):  # noqa: F811
    photos = all_photos(library)

    def two_minutes_later():
        TrashItem.objects.update(trashed_at=timezone.now() - timedelta(minutes=10))
        empty_what_is_due()

    once(monkeypatch, "move_between", before=two_minutes_later)
    done = trash_photos(library.owner, [photo.pk for photo in photos])
    assert (done.count, done.errors) == (6, [])
    require_whole(library)
    assert restore_items(library.owner, library, [uuid.UUID(item["id"]) for item in done.items]).count == 6
    require_whole(library)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_frozen_deletion_whose_photos_another_process_saw_to_stops(library, monkeypatch, when):  # noqa: F811
    before = files_of(library)

    def take_over():
        settle(library, before=timezone.now())

    once(monkeypatch, "move_between", **{when: take_over})
    done = trash_photos(library.owner, [photo.pk for photo in all_photos(library)])
    assert done.count == (1 if when == "after" else 0)  # what the other one found in the trash it left there
    assert len(done.errors) == 6 - done.count and "another process" in done.errors[0]["error"]
    require_whole(library)
    assert TrashItem.objects.count() == done.count
    restore_items(library.owner, library, list(TrashItem.objects.values_list("pk", flat=True)))
    assert files_of(library) == before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["take", "move_between", "sidecars_back"])
def test_a_frozen_restore_whose_photo_another_process_saw_to_changes_nothing(
    library,  # noqa: F811
    monkeypatch,
    step,
    when,
):
    before = files_of(library)
    trash_photos(library.owner, [all_photos(library)[0].pk])
    item = TrashItem.objects.get()
    once(monkeypatch, step, **{when: lambda: settle(library, before=timezone.now())})
    done = restore_items(library.owner, library, [item.pk])
    assert (done.count, len(done.errors)) == (0, 1)
    if step == "take" and when == "before":  # it has taken the name anew, in the folder of the trash: harmless
        assert (Path(library.root) / trash_folder.FOLDER / str(item.pk)).is_dir()
    else:
        require_whole(library)
    monkeypatch.undo()
    if TrashItem.objects.exists():
        assert restore_items(library.owner, library, [item.pk]).count == 1
    require_whole(library)
    assert files_of(library) == before


def test_what_a_process_that_died_left_is_settled_at_once(library, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die():
        raise Killed

    dead = f"{trash_leases.identity().partition('|')[0]}|999999:1|x"
    photos = all_photos(library)
    once(monkeypatch, "move_between", after=die)
    with pytest.raises(Killed):
        trash_photos(library.owner, [photo.pk for photo in photos])
    TrashItem.objects.update(mover=dead)
    done = trash_photos(library.owner, [photo.pk for photo in photos])
    assert (done.count, len(done.errors)) == (5, 1)  # the one that was in the trash already
    require_whole(library)
    assert TrashItem.objects.count() == 6


def test_a_deletion_that_comes_twice_leaves_the_photo_of_the_first_alone(library, monkeypatch):  # noqa: F811
    photo = all_photos(library)[0]
    real = Photo.objects.filter(pk=photo.pk)
    once(monkeypatch, "move_between", after=lambda: None)
    assert trash_photos(library.owner, [photo.pk]).count == 1
    assert real.get().state == "missing"

    class Stale:
        """The photo as the second request read it, before the first was done."""

        def __call__(self, held_library):
            settle(held_library)
            Photo.objects.filter(pk=photo.pk).update(state="missing")

    monkeypatch.setattr("catalog.files.trash.settle", Stale())
    Photo.objects.filter(pk=photo.pk).update(state="ready")
    done = trash_photos(library.owner, [photo.pk])
    assert [error["error"] for error in done.errors] == ["Its file is not there."]
    assert TrashItem.objects.get().photo_id == photo.pk


def test_an_error_leaves_nothing_that_anybody_has_to_wait_for(library, monkeypatch):  # noqa: F811
    def fail():
        raise RuntimeError

    once(monkeypatch, "move_between", after=fail)
    with pytest.raises(RuntimeError):
        trash_photos(library.owner, [photo.pk for photo in all_photos(library)])
    settle(library)
    require_whole(library)
    assert not TrashItem.objects.exists()  # nobody was told that it was deleted


def test_a_share_that_fails_after_the_file_was_moved_loses_no_row(library, monkeypatch):  # noqa: F811
    def fail():
        raise OSError(5, "Input/output error")

    once(monkeypatch, "move_between", after=fail)
    done = trash_photos(library.owner, [all_photos(library)[0].pk])
    assert (done.count, done.errors) == (1, [])
    require_whole(library)


def test_what_is_brought_back_while_the_trash_is_emptied_is_not_deleted(library, monkeypatch):  # noqa: F811
    before = files_of(library)
    trash_photos(library.owner, [photo.pk for photo in all_photos(library)[:2]])
    items = list(TrashItem.objects.order_by("pk"))
    operation = start_emptying(library, library.owner, 2, enqueue=False)
    # One is on its way back when the batch was chosen, and frozen there.
    real = TrashItem.objects.filter(pk=items[0].pk)
    choose = type(real).update

    def update(queryset, **values):
        if values.get("state") == "deleting":
            real.filter(state="trashed").update(
                state="restoring", mover="elsewhere|1:1|x", mover_seen_at=timezone.now()
            )
        return choose(queryset, **values)

    with monkeypatch.context() as patch:
        patch.setattr(type(real), "update", update)
        assert execute(operation.pk).result["deleted"] == 1
    lies = Path(library.root) / trash_folder.FOLDER / str(items[0].pk) / items[0].filename
    assert lies.is_file() and TrashItem.objects.get().pk == items[0].pk
    settle(library, before=timezone.now())
    assert restore_items(library.owner, library, [items[0].pk]).count == 1
    assert set(before) - set(files_of(library)) == {items[1].path}
    require_whole(library)


def test_undo_says_why_something_does_not_come_back(library):  # noqa: F811
    trash_photos(library.owner, [photo.pk for photo in all_photos(library)[:2]])
    first, second = TrashItem.objects.order_by("pk")
    TrashItem.objects.filter(pk=first.pk).update(state="deleting")
    TrashItem.objects.filter(pk=second.pk).update(state="moving", mover="elsewhere|1:1|x", mover_seen_at=timezone.now())
    done = restore_items(library.owner, library, [first.pk, second.pk, uuid.uuid4()])
    words = [error["error"] for error in done.errors]
    assert done.count == 0 and len(words) == 3
    assert "for good" in words[0] and "in a moment" in words[1] and "no such photo" in words[2]


def test_a_deletion_that_another_process_finished_meanwhile_leaves_no_count_below_zero(library, monkeypatch):  # noqa: F811
    from catalog.entries import counts

    trash_photos(library.owner, [photo.pk for photo in all_photos(library)[:3]])
    counted = Photo.objects.filter(library=library).with_problems().count()
    assert counted == 3
    library.refresh_from_db()
    assert library.missing_count == 0
    # What the counts are made of changes between the queries: they are computed, not subtracted.
    real = type(Photo.objects.all()).shown

    def shown(queryset):
        Photo.objects.filter(library=library, state="missing").update(state="missing", missing_since=timezone.now())
        return real(queryset)

    monkeypatch.setattr(type(Photo.objects.all()), "shown", shown)
    counts.refresh_counts(library)
    library.refresh_from_db()
    assert library.missing_count == 0


def test_a_folder_that_goes_away_in_mid_deletion_gets_no_file_of_the_trash(library, monkeypatch):  # noqa: F811
    root = Path(library.root)
    away = root.with_name("away")
    before = files_of(library)

    def unmount():
        os.rename(root, away)
        root.mkdir()
        (root / "of the system's disk").touch()

    once(monkeypatch, "move_between", before=unmount)
    photos = all_photos(library)
    done = trash_photos(library.owner, [photo.pk for photo in photos])
    assert done.count == 0 and len(done.errors) == 6 and "Mount it" in done.errors[0]["error"]
    assert [path.name for path in root.iterdir()] == ["of the system's disk"]
    settle(library)
    assert TrashItem.objects.count() == 6  # nobody can tell while it is away
    shutil.rmtree(root)
    os.rename(away, root)
    settle(library)
    require_whole(library)
    assert not TrashItem.objects.exists() and files_of(library) == before  # as people were told


def test_a_folder_that_goes_away_in_mid_restore_gets_no_file(library, monkeypatch):  # noqa: F811
    root = Path(library.root)
    away = root.with_name("away")
    before = files_of(library)
    trash_photos(library.owner, [photo.pk for photo in all_photos(library)])

    def unmount():
        os.rename(root, away)
        root.mkdir()

    once(monkeypatch, "move_between", before=unmount)
    keys = list(TrashItem.objects.values_list("pk", flat=True))
    done = restore_items(library.owner, library, keys)
    assert done.count == 0 and len(done.errors) == 6
    assert not list(root.iterdir())
    root.rmdir()
    os.rename(away, root)
    settle(library)
    restore_items(library.owner, library, list(TrashItem.objects.values_list("pk", flat=True)))
    require_whole(library)
    assert files_of(library) == before


def test_a_folder_that_goes_away_while_the_trash_is_emptied_keeps_its_rows(library, monkeypatch):  # noqa: F811
    root = Path(library.root)
    trash_photos(library.owner, [photo.pk for photo in all_photos(library)[:2]])
    operation = start_emptying(library, library.owner, 2, enqueue=False)

    def unmount():
        os.rename(root, root.with_name("away"))
        root.mkdir()

    once(monkeypatch, "delete_files", after=unmount)
    done = execute(operation.pk)
    assert (done.state, done.error_code) == (State.FAILED, "root_unavailable")
    assert TrashItem.objects.filter(state="deleting").count() == 2
    assert Photo.objects.filter(library=library).count() == 6
