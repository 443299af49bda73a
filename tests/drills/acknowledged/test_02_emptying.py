"""Point 2 for emptying the trash: a process that wakes after another took over deletes and forgets nothing more."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.files import trash_files
from catalog.files.trash import restore_items, trash_photos
from catalog.files.trash_empty import start_emptying
from catalog.models import Photo, TrashItem
from catalog.roots import trash_folder
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.test_imports import files_of
from tests.catalog.scanning.test_rebuild import library  # noqa: F401

pytestmark = pytest.mark.django_db


def trashed(library, count):  # noqa: F811
    photos = list(Photo.objects.filter(library=library).exclude(state="missing").order_by("directory", "filename"))
    done = trash_photos(library.owner, [photo.pk for photo in photos[:count]])
    assert (done.count, done.errors) == (count, [])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_frozen_emptying_that_wakes_deletes_nothing_more(library, monkeypatch, number, when):  # noqa: F811
    trashed(library, 2)
    operation = start_emptying(library, library.owner, 2, enqueue=False)
    real, calls, seen = trash_files.delete_files, [], []

    def take_over():
        Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(days=1))
        again = execute(operation.pk)
        assert (again.state, again.result["deleted"]) == (State.COMPLETED, 2)
        trashed(library, 2)  # people go on
        seen.append(files_of(library))

    def delete(root, item):
        calls.append(1)
        if len(calls) == number and when == "before":
            take_over()
        freed = real(root, item)
        if len(calls) == number and when == "after":
            take_over()
        return freed

    monkeypatch.setattr(trash_files, "delete_files", delete)
    execute(operation.pk)
    assert seen == [files_of(library)]
    assert TrashItem.objects.filter(state="trashed").count() == 2
    assert Photo.objects.filter(library=library).count() == 4
    lies = list((Path(library.root) / trash_folder.FOLDER).glob("*/*.jpg"))
    assert len(lies) == 2
    assert restore_items(library.owner, library, list(TrashItem.objects.values_list("pk", flat=True))).count == 2
    assert len(files_of(library)) == 4
