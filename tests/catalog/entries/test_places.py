"""Who is who under a name that a deleted or missing photo had: only equal content, or the same picture, is the same photo."""

import os
import shutil
from pathlib import Path

import pytest
from django.db import connection

from catalog.edits.ratings import set_rating
from catalog.entries.path_owners import free_places
from catalog.files.trash import restore_items, trash_photos
from catalog.media.sidecar_files import new_sidecar
from catalog.models import Favourite, Library, Photo, TrashItem
from catalog.scanning.rebuild import start_rebuild
from operations.models import State
from operations.running import execute
from tests.catalog.importing.conftest import card, library  # noqa: F401
from tests.catalog.importing.test_imports import rescan, take
from tests.catalog.scanning.test_scan import scan
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(library):  # noqa: F811
    return Path(library.root)


@pytest.fixture
def old(library, root):  # noqa: F811
    """Return a photo with five stars, kept in the database, and an XMP file beside it."""
    Library.objects.update(ratings=Library.Ratings.DATABASE)
    library.refresh_from_db()
    make_jpeg(root / "d" / "a.jpg", seed=1)
    (root / "d" / "a.jpg.xmp").write_bytes(new_sidecar(3))
    scan(library)
    photo = Photo.objects.get(library=library, filename="a.jpg")
    set_rating(library.owner, photo, 5)
    return photo


def newcomer(library, old):  # noqa: F811
    return Photo.objects.exclude(pk=old.pk).get(library=library, directory="d", filename="a.jpg")


def restored(library):  # noqa: F811
    done = restore_items(library.owner, library, [TrashItem.objects.get().pk])
    assert (done.count, done.errors) == (1, [])


def test_another_photo_under_the_name_of_a_deleted_one_is_a_new_photo(library, root, old):  # noqa: F811
    trash_photos(library.owner, [old.pk])
    make_jpeg(root / "d" / "a.jpg", seed=99)
    result = scan(library).result
    assert (result["added"], result["moved"]) == (1, 0)
    new = newcomer(library, old)
    assert (new.rating, new.state) == (None, "ready") and not Favourite.objects.filter(photo=new).exists()
    restored(library)
    back = Photo.objects.get(pk=old.pk)
    assert (back.path, back.state, back.rating) == ("d/a (2).jpg", "ready", 5)
    assert (root / "d" / "a (2).jpg.xmp").is_file() and not (root / "d" / "a.jpg.xmp").exists()
    assert rescan(library).state == State.COMPLETED
    back, new = Photo.objects.get(pk=old.pk), newcomer(library, old)
    assert (back.path, back.rating, new.rating) == ("d/a (2).jpg", 5, None)
    assert Photo.objects.filter(library=library).count() == 3  # with that of the fixture


def test_the_same_where_the_scan_comes_while_the_photo_is_on_its_way_into_the_trash(library, root, old):  # noqa: F811
    trash_photos(library.owner, [old.pk])
    Photo.objects.filter(pk=old.pk).update(state="ready", is_shown=True, missing_since=None)  # not yet written
    TrashItem.objects.update(state="moving")
    make_jpeg(root / "d" / "a.jpg", seed=99)
    scan(library)
    assert newcomer(library, old).rating is None
    assert Photo.objects.get(pk=old.pk).state == "missing"


@pytest.mark.parametrize("is_deleted", [True, False])
def test_the_same_of_an_import_whether_the_photo_was_deleted_or_is_missing(
    library,  # noqa: F811
    root,
    old,
    card,  # noqa: F811
    is_deleted,
):
    if is_deleted:
        trash_photos(library.owner, [old.pk])
    else:
        (root / "d" / "a.jpg").unlink()
        scan(library, confirm_gone=True)
    make_jpeg(card / "d" / "a.jpg", seed=99)
    take(library, card, "keep")
    new = newcomer(library, old)
    assert new.rating is None and not Favourite.objects.filter(photo=new).exists()
    assert Photo.objects.get(pk=old.pk).rating == 5
    if is_deleted:
        restored(library)
        assert Photo.objects.get(pk=old.pk).path == "d/a (2).jpg"


def test_a_missing_photo_that_comes_back_is_itself_however_its_time_changed(library, root, old):  # noqa: F811
    kept = shutil.copy2(root / "d" / "a.jpg", root.parent / "kept.jpg")
    for is_touched in (False, True):
        (root / "d" / "a.jpg").unlink()
        scan(library, confirm_gone=True)
        shutil.copy2(kept, root / "d" / "a.jpg")
        if is_touched:
            os.utime(root / "d" / "a.jpg", (1_600_000_000, 1_600_000_000))
        scan(library)
        back = Photo.objects.get(library=library, filename="a.jpg")
        assert (back.pk, back.state, back.rating) == (old.pk, "ready", 5)
        assert Photo.objects.filter(library=library).count() == 2


def test_a_missing_photo_that_comes_back_with_other_words_is_itself(library, root, old):  # noqa: F811
    file = root / "d" / "a.jpg"
    data = file.read_bytes()
    file.unlink()
    scan(library, confirm_gone=True)
    file.write_bytes(data[:2] + b"\xff\xfe\x00\x09words!!" + data[2:])
    scan(library)
    back = Photo.objects.get(library=library, filename="a.jpg")
    assert (back.pk, back.rating) == (old.pk, 5)


def test_a_rebuild_gives_no_stranger_the_id_of_a_deleted_photo(library, root, old):  # noqa: F811
    trash_photos(library.owner, [old.pk])
    make_jpeg(root / "d" / "a.jpg", seed=99)
    assert execute(start_rebuild(library, library.owner, enqueue=False).pk).state == State.COMPLETED
    assert newcomer(library, old).rating is None
    restored(library)
    assert Photo.objects.get(pk=old.pk).rating == 5
    assert (root / "d" / "a (2).jpg").is_file()


def test_whether_a_place_may_be_given_up_is_one_question_to_the_index_of_the_few(
    library,  # noqa: F811
    django_assert_num_queries,
):
    row = {"library_id": library.pk, "directory": "", "filename": "a.jpg"}
    with django_assert_num_queries(1) as asked:
        free_places([row])
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked.captured_queries[0]['sql']}")
            plan = "\n".join(str(step[3]) for step in cursor.fetchall())
        assert "INDEX photo_problems (library_id=? AND state=?)" in plan
