"""Missing photos stay until the owner purges them; what is back by then stays, and a kill in the middle harms nothing."""

from pathlib import Path

import pytest

from catalog.edits.ratings import set_rating
from catalog.files.purge import CountDiffers, start_purge
from catalog.history.restore import start_restore
from catalog.models import Favourite, FileWrite, HashCache, Photo
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_rebuild import (
    library,  # noqa: F401
    put,
)
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db


def lose(library, *names):  # noqa: F811
    for name in names:
        next(Path(library.root).rglob(name)).unlink()
    scan(library, confirm_gone=True)


def purge(library, count):  # noqa: F811
    return execute(start_purge(library, library.owner, count, enqueue=False).pk)


def test_they_go_with_all_that_hangs_on_them_and_come_back_with_their_ids(library):  # noqa: F811
    ids = {photo.filename: photo.pk for photo in Photo.objects.all()}
    set_rating(library.owner, ids["1.jpg"], 5)
    before = library.snapshot_md5
    lose(library, "1.jpg", "2.jpg")
    operation = purge(library, 2)
    assert (operation.state, operation.result["purged"]) == (State.COMPLETED, 2)
    assert Photo.objects.count() == HashCache.objects.count() == 4
    assert not Favourite.objects.exists() and not FileWrite.objects.exists()
    library.refresh_from_db()
    assert (library.missing_count, library.photo_count) == (0, 4)
    put(library, "1/1.jpg", make_jpeg(seed=1))
    scan(library)
    assert Photo.objects.get(filename="1.jpg").pk == ids["1.jpg"]
    assert execute(start_restore(library, library.owner, before, enqueue=False).pk).state == State.COMPLETED
    assert Photo.objects.get(filename="2.jpg").pk == ids["2.jpg"]


def test_no_more_than_was_shown_and_nothing_that_is_back(library):  # noqa: F811
    lose(library, "1.jpg")
    with pytest.raises(CountDiffers):
        start_purge(library, library.owner, 2, enqueue=False)
    operation = start_purge(library, library.owner, 1, enqueue=False)
    Photo.objects.filter(filename="1.jpg").update(state="ready", is_shown=True, missing_since=None)
    assert execute(operation.pk).result["purged"] == 0
    assert Photo.objects.count() == 6


def test_killed_between_batches_it_goes_on(library, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    lose(library, "1.jpg", "2.jpg", "3.jpg")
    monkeypatch.setattr("catalog.files.purge.BATCH", 1)
    operation = start_purge(library, library.owner, 3, enqueue=False)
    with monkeypatch.context() as patch:
        calls = []

        def die(*_: object) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise Killed

        patch.setattr("catalog.entries.counts.bump_revision", die)
        with pytest.raises(Killed):
            execute(operation.pk)
    assert Photo.objects.filter(state="missing").count() == 2
    Operation.objects.filter(pk=operation.pk).update(lease_until=None, worker="")
    assert execute(operation.pk).result["purged"] == 3
    assert not Photo.objects.filter(state="missing").exists()
