"""Stars and dates that only the catalog holds come back with its snapshot, and stay when the files are read again."""

import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.ratings import set_ratings
from catalog.history import publish
from catalog.history.copies import opened
from catalog.history.restore import start_restore
from catalog.libraries import adding, forget
from catalog.models import Favourite, Library, Photo
from catalog.roots import buckets
from catalog.scanning.rebuild import start_rebuild
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db
PAST = 1_600_000_000
GIVEN = datetime(2001, 2, 3, 4, 5, 6)


@pytest.fixture
def root(tmp_path, settings) -> Path:
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    root = tmp_path / "photos" / "attic"
    root.mkdir(parents=True)
    for number in range(10):
        file = root / f"{number}.jpg"
        file.write_bytes(make_jpeg(seed=number))
        os.utime(file, (PAST, PAST))
    return root


def give(library: Library, *, stars: bool) -> None:
    """Give each photo stars (but one, whose stars are taken away again), and six of them a date."""
    photos = list(Photo.objects.filter(library=library).order_by("filename"))
    if stars:
        for number, photo in enumerate(photos):
            set_ratings(library.owner, [photo.pk], number % 5 + 1)
        set_ratings(library.owner, [photos[0].pk], 0)
    set_dates(library.owner, plan(photos[:6], Setting(GIVEN, 120)))
    assert scan(library).state == State.COMPLETED


def given(library: Library) -> dict:
    names = (
        "filename",
        "pk",
        "rating",
        "rating_held",
        "taken_local",
        "taken_offset_minutes",
        "taken_source",
        "taken_held",
    )
    return {
        row[0]: row[1:] for row in Photo.objects.filter(library=library).exclude(state="missing").values_list(*names)
    }


def favourites(library: Library) -> dict:
    own = Favourite.objects.filter(user=library.owner, photo__library=library)
    return dict(own.values_list("photo__filename", "rating"))


def move_to_new_server(library: Library, settings, **fields) -> Library:
    """Forget the library, the operations and the cache, and add its root again."""
    owner, root = library.owner, library.root
    forget.forget_library(library)
    Operation.objects.all().delete()
    cache = settings.STORAGES["cache"]
    options = {**cache["OPTIONS"], "location": f"{cache['OPTIONS']['location']}-of-another-server"}
    settings.STORAGES = {**settings.STORAGES, "cache": {**cache, "OPTIONS": options}}
    return adding.add_library(owner, root, **fields)


def marks_in(library: Library) -> int:
    library.refresh_from_db()
    with opened(library, library.snapshot_md5) as (snapshot,):
        return len(list(snapshot.given()))


@pytest.mark.parametrize("policy", ["database", "sidecar"])
def test_a_new_server_keeps_them_whatever_its_scans_read(alice, root, settings, policy):
    library = adding.add_library(alice, str(root), ratings=policy)
    scan(library)
    give(library, stars=policy == "database")
    before, liked = given(library), favourites(library)
    assert sum(row[-1] for row in before.values()) == 6
    library = move_to_new_server(library, settings, ratings=policy)
    for _ in range(2):
        assert scan(library).state == State.COMPLETED
        assert given(library) == before and favourites(library) == liked
    assert marks_in(library) == (10 if policy == "database" else 6)


def test_a_new_server_that_writes_into_files_loses_none_of_a_catalog_that_did_not(alice, root, settings):
    library = adding.add_library(alice, str(root), ratings="database")
    scan(library)
    give(library, stars=True)
    before = given(library)
    library = move_to_new_server(library, settings)  # the policy of whoever adds a folder without a word on it
    scan(library)
    scan(library)
    assert given(library) == before


@pytest.mark.parametrize("policy", ["database", "sidecar", "file"])
def test_rows_that_were_lost_come_back_with_them(alice, root, policy):
    library = adding.add_library(alice, str(root), ratings=policy)
    scan(library)
    give(library, stars=policy != "sidecar")  # in files they wait to be written
    before, liked = given(library), favourites(library)
    Favourite.objects.all().delete()
    Photo.objects.filter(library=library).delete()
    operation = execute(start_restore(library, library.owner, enqueue=False).pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    assert given(library) == before and favourites(library) == liked
    for _ in range(2):
        assert scan(library).state == State.COMPLETED
        assert given(library) == before and favourites(library) == liked


@pytest.mark.parametrize("policy", ["database", "sidecar"])
def test_rows_that_were_lost_are_rebuilt_with_them(alice, root, policy):
    library = adding.add_library(alice, str(root), ratings=policy)
    scan(library)
    give(library, stars=policy == "database")
    before, liked = given(library), favourites(library)
    Favourite.objects.all().delete()
    Photo.objects.filter(library=library, filename__in=["0.jpg", "1.jpg", "2.jpg"]).delete()
    operation = execute(start_rebuild(library, library.owner, full=True, enqueue=False).pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    assert given(library) == before
    assert {name: liked[name] for name in ("1.jpg", "2.jpg") if name in liked} == favourites(library)


@pytest.mark.parametrize("policy", ["database", "sidecar"])
def test_a_snapshot_of_before_there_were_marks_keeps_what_no_file_says(alice, root, settings, monkeypatch, policy):
    library = adding.add_library(alice, str(root), ratings=policy)
    scan(library)
    monkeypatch.setattr(publish, "marks_of", lambda library: iter(()))
    give(library, stars=policy == "database")
    before = given(library)
    monkeypatch.undo()
    settings.PHOTO_ROOTS = [str(root.parent)]
    library = move_to_new_server(library, settings, ratings=policy)
    scan(library)
    scan(library)
    after = given(library)
    # That stars were taken away from a photo whose file has none is nothing that had to be remembered.
    assert {name: row[1:2] + row[3:] for name, row in after.items()} == {
        name: row[1:2] + row[3:] for name, row in before.items()
    }


@pytest.mark.servers
def test_a_bucket_on_a_new_server_keeps_them(alice, root, settings, s3_settings, s3_bucket):
    settings.PHOTO_ROOTS = [f"s3://{s3_bucket}/{{username}}"]
    client = buckets.bucket_client()
    for path in root.iterdir():
        client.upload_file(str(path), s3_bucket, f"alice/trip/{path.name}")
    shutil.rmtree(root)
    library = adding.add_library(alice, f"s3://{s3_bucket}/alice/trip")
    scan(library)
    give(library, stars=True)
    before, liked = given(library), favourites(library)
    library = move_to_new_server(library, settings)
    for _ in range(2):
        assert scan(library).state == State.COMPLETED
        assert given(library) == before and favourites(library) == liked
