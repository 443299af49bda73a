"""After a restore, files that the catalog does not have yet are called that, cannot be purged, and are looked for at once."""

import os
from pathlib import Path

import pytest
from django.test import Client

from catalog.edits.ratings import set_ratings
from catalog.files.purge import CountDiffers, start_purge
from catalog.history.after_restore import ScanNeeded
from catalog.history.copies import places
from catalog.history.restore import start_restore
from catalog.models import Library, Photo
from catalog.scanning.schedule import start_due_scans
from catalog.snapshots.schema import snapshot_name
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db
PAST = 1_600_000_000


def put(library: Library, *names: str) -> None:
    for name in names:
        file = Path(library.root) / name
        file.write_bytes(make_jpeg(seed=int(name[0])))
        os.utime(file, (PAST, PAST))


@pytest.fixture
def library(alice, tmp_path) -> Library:
    """Three photos in a first snapshot, and two more, one of them with stars, in a second."""
    library = make_library(alice, tmp_path / "photos")
    Library.objects.filter(pk=library.pk).update(ratings="database")
    put(library, "0.jpg", "1.jpg", "2.jpg")
    scan(library)
    put(library, "3.jpg", "4.jpg")
    scan(library)
    set_ratings(alice, [Photo.objects.get(filename="4.jpg").pk], 5)
    return library


def restored(library: Library, md5: str) -> Operation:
    operation = execute(start_restore(library, library.owner, md5, enqueue=False).pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    library.refresh_from_db()
    return operation


def oldest(library: Library) -> str:
    return library.snapshots.order_by("published_at").first().md5


def problems(library: Library) -> str:
    client = Client()
    client.force_login(library.owner)
    return client.get(f"/libraries/{library.pk}/problems/?state=missing").content.decode()


def test_they_are_named_for_what_they_are_and_cannot_be_purged_before_the_scan(library):
    ids = dict(Photo.objects.values_list("filename", "pk"))
    restored(library, oldest(library))
    page = problems(library)
    assert (
        "2 photos not in the restored catalog yet" in page and page.count("Not in the catalog that was restored") == 2
    )
    assert "First missing" not in page and "gone from the folder" not in page and "Purge" not in page
    with pytest.raises(ScanNeeded, match="2 photos are not in it"):
        start_purge(library, library.owner, 2, enqueue=False)
    assert start_due_scans() == 1  # by itself
    (operation,) = Operation.objects.filter(kind="scan", state=State.PENDING)
    assert execute(operation.pk).state == State.COMPLETED
    present = Photo.objects.exclude(state=Photo.State.MISSING)
    assert dict(present.values_list("filename", "pk")) == ids
    with pytest.raises(CountDiffers, match="0 photos"):
        start_purge(library, library.owner, 2, enqueue=False)


def test_what_the_scan_does_not_find_is_gone_and_can_be_purged(library):
    restored(library, oldest(library))
    (Path(library.root) / "3.jpg").unlink()
    scan(library)
    page = problems(library)
    assert "First missing" in page and "Purge 1 photo" in page and "Not in the catalog" not in page
    operation = execute(start_purge(library, library.owner, 1, enqueue=False).pk)
    assert operation.result["purged"] == 1


def test_what_was_given_since_the_last_scan_is_in_the_snapshot_that_undoes_the_restore(library):
    assert library.snapshot_revision != Library.objects.get().revision
    first = oldest(library)
    restored(library, first)
    undo = library.snapshots.exclude(md5=first).order_by("-published_at").first().md5
    restored(library, undo)
    photo = Photo.objects.get(filename="4.jpg")
    assert (photo.rating, photo.rating_held, photo.state) == (5, True, Photo.State.READY)


def test_where_nothing_can_be_restored_no_button_is_shown(library):
    client = Client()
    client.force_login(library.owner)
    address = f"/libraries/{library.pk}/snapshots/{oldest(library)}/"
    page = client.get(address).content.decode()
    assert "Restore this snapshot" in page and "2 photos are not in it and wait for the scan" in page
    for place in places(library):
        place.delete(snapshot_name(oldest(library)))
    assert "Restore this snapshot" not in client.get(address).content.decode()
