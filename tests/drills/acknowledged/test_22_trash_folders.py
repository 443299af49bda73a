"""Also: a disk that fails in passing leaves no folder in the trash that no row knows, and nothing in one."""

import errno
import os
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.files import trash_files, trash_leases
from catalog.files.filing import start_filing
from catalog.files.trash import restore_items, trash_photos
from catalog.files.trash_empty import start_emptying
from catalog.files.trash_settling import settle
from catalog.models import Photo, TrashItem
from catalog.roots import trash_folder
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.test_imports import files_of
from tests.catalog.scanning.test_rebuild import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan

pytestmark = pytest.mark.django_db


def photos_of(library):  # noqa: F811
    return list(Photo.objects.filter(library=library).order_by("directory", "filename"))


def folders(library):  # noqa: F811
    return list((Path(library.root) / trash_folder.FOLDER).glob("*"))


def failing(monkeypatch, owner, name, calls, only=lambda *arguments: True):
    """Let the first calls of a function fail, as those of a disk that is ill for a moment."""
    real, left = getattr(owner, name), [OSError(errno.EIO, os.strerror(errno.EIO)) for _ in range(calls)]

    def ill(*arguments, **named):
        if left and only(*arguments):
            raise left.pop()
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, ill)
    return left


def file_all(library):  # noqa: F811
    Photo.objects.filter(library=library).update(taken_source="person", taken_held=True)
    keys = [photo.pk for photo in photos_of(library)]
    return execute(start_filing(library, library.owner, keys, "day", enqueue=False).pk)


def test_folders_that_could_not_be_removed_go_at_the_end_of_the_filing(library, monkeypatch):  # noqa: F811
    left = failing(monkeypatch, os, "rmdir", 3)
    done = file_all(library)
    assert (done.state, done.result["moved"], left) == (State.COMPLETED, 6, [])
    assert not TrashItem.objects.exists() and folders(library) == []


def test_or_with_the_next_scan(library, monkeypatch):  # noqa: F811
    photo = photos_of(library)[0]
    with monkeypatch.context() as patch:
        failing(patch, os, "rmdir", 9)
        trash_photos(library.owner, [photo.pk])
        restore_items(library.owner, library, [TrashItem.objects.get().pk])
    assert len(folders(library)) == 1 and not TrashItem.objects.exists()
    execute(Operation.objects.get(state=State.PENDING).pk)
    assert folders(library) == []


def test_or_when_the_trash_is_emptied_and_one_that_a_row_knows_stays(library, monkeypatch):  # noqa: F811
    first, second = photos_of(library)[:2]
    trash_photos(library.owner, [first.pk])
    with monkeypatch.context() as patch:
        failing(patch, os, "rmdir", 1)
        assert execute(start_emptying(library, library.owner, 1, enqueue=False).pk).state == State.COMPLETED
    assert folders(library) == []
    trash_photos(library.owner, [second.pk])
    scan(library)
    assert [path.name for path in folders(library)] == [str(TrashItem.objects.get().pk)]


@pytest.mark.parametrize("is_filed", [False, True])
def test_what_a_mover_that_wakes_could_still_use_keeps_its_row(library, monkeypatch, is_filed):  # noqa: F811
    photo = photos_of(library)[0]
    before = files_of(library)
    seen = []

    def taken_over_on_an_ill_disk(mover, item, real=trash_leases.Mover.require, **changes):
        real(mover, item, **changes)
        if not seen:
            seen.append(item)
            with monkeypatch.context() as patch:
                failing(patch, os, "rmdir", 9)
                settle(library, before=timezone.now())
            assert TrashItem.objects.filter(pk=item.pk).exists()  # else the photo would go where no row knows it

    with monkeypatch.context() as patch:
        patch.setattr(trash_leases.Mover, "require", taken_over_on_an_ill_disk)
        if is_filed:
            file_all(library)
        else:
            trash_photos(library.owner, [photo.pk])
    settle(library, before=timezone.now())
    assert len(files_of(library)) == len(before)
    known = set(map(str, TrashItem.objects.values_list("pk", flat=True)))
    assert {path.name for path in folders(library)} == known


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_photo_is_filed_with_its_sidecar_or_not_at_all(library, monkeypatch, way, calls):  # noqa: F811
    photo = photos_of(library)[0]
    (Path(library.root) / f"{photo.path}.xmp").write_text("<x/>")
    before = files_of(library)
    from_trash = {"in": False, "out": True}[way]

    def is_it(source, name, target, new_name, **named):
        into_trash = trash_folder.FOLDER in os.readlink(f"/proc/self/fd/{target}")
        return name.endswith(b".xmp") and into_trash != from_trash

    with monkeypatch.context() as patch:
        left = failing(patch, trash_files, "move_between", calls, is_it)
        file_all(library)
    assert len(left) < calls
    settle(library, before=timezone.now())
    lies = next(path for path in Path(library.root).rglob(photo.filename))
    assert lies.with_name(f"{photo.filename}.xmp").is_file()
    assert len(files_of(library)) == len(before) and folders(library) == [] and not TrashItem.objects.exists()
    photo.refresh_from_db()
    assert Path(library.root) / photo.path == lies


def test_a_photo_that_comes_back_leaves_no_sidecar_in_the_trash(library, monkeypatch):  # noqa: F811
    photo = photos_of(library)[0]
    (Path(library.root) / f"{photo.path}.xmp").write_text("<x/>")
    before = files_of(library)
    trash_photos(library.owner, [photo.pk])
    item = TrashItem.objects.get()
    with monkeypatch.context() as patch:
        failing(patch, trash_files, "move_between", 2, lambda source, name, *rest: name.endswith(b".xmp"))
        restore_items(library.owner, library, [item.pk])
    settle(library, before=timezone.now())
    assert files_of(library) == before and folders(library) == [] and not TrashItem.objects.exists()
