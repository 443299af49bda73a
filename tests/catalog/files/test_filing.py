"""Photos that got another date move into its folder, with what belongs to them, whole, and never over another file."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits import dates
from catalog.edits.dates import file_all
from catalog.entries.pending_writes import start_writing
from catalog.files import filing
from catalog.files.filing import start_filing
from catalog.models import FileWrite, Library, Photo
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.conftest import library  # noqa: F401
from tests.catalog.importing.test_imports import files_of
from tests.catalog.scanning.test_scan import counts, scan
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(library):  # noqa: F811
    return Photo.objects.get(library=library)


def set_date(library, *moment):  # noqa: F811
    planned = dates.plan(
        Photo.objects.filter(library=library).select_related("library"), dates.Setting(datetime(*moment))
    )
    dates.set_dates(library.owner, planned)
    file_all(library.owner, planned, "month")
    return Operation.objects.get(kind="filing", state=State.PENDING)


@pytest.mark.promise("S2-061")
def test_the_file_goes_into_the_folder_of_its_new_date_and_the_emptied_folder_goes(library, photo):  # noqa: F811
    root = Path(library.root)
    (root / "2020" / "old.jpg.xmp").write_text("<x/>")
    operation = execute(set_date(library, 2011, 7, 9, 12).pk)
    assert (operation.state, operation.result["moved"]) == (State.COMPLETED, 1)
    after = Photo.objects.get(library=library)
    assert (after.pk, after.path) == (photo.pk, "2011/07/old.jpg")
    assert set(files_of(library)) == {"2011/07/old.jpg", "2011/07/old.jpg.xmp"}
    assert not (root / "2020").exists()
    execute(start_writing(library, library.owner).pk)  # what was to be written finds it there
    assert FileWrite.objects.get().state == "done"
    done = counts(scan(library))
    assert (done["added"], done["moved"], done["gone"], done["changed"]) == (0, 0, 0, 1)  # changed: the XMP file came
    assert Photo.objects.get(library=library).taken_local.year == 2011


def test_names_that_are_taken_get_numbers_and_what_lies_right_stays(library, photo):  # noqa: F811
    root = Path(library.root)
    there = make_jpeg(root / "2011" / "07" / "old.jpg", seed=3, taken="2011:07:01 10:00:00").read_bytes()
    make_jpeg(root / "2020" / "keeps the folder.jpg", seed=4)
    scan(library)
    keys = list(Photo.objects.filter(library=library, filename="old.jpg").values_list("pk", flat=True))
    planned = dates.plan(
        [Photo.objects.select_related("library").get(pk=photo.pk)], dates.Setting(datetime(2011, 7, 9))
    )
    dates.set_dates(library.owner, planned)
    operation = execute(start_filing(library, library.owner, keys, "month", enqueue=False).pk)
    assert operation.result["moved"] == 1
    assert Photo.objects.get(pk=photo.pk).path == "2011/07/old (2).jpg"
    assert (root / "2011" / "07" / "old.jpg").read_bytes() == there
    assert (root / "2020").is_dir()


def test_killed_between_file_and_row_the_next_scan_follows(library, photo, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    make_jpeg(Path(library.root) / "other.jpg", seed=9)
    scan(library)
    planned = dates.plan([photo], dates.Setting(datetime(2011, 7, 9)))
    dates.set_dates(library.owner, planned)
    operation = start_filing(library, library.owner, [photo.pk], "month", enqueue=False)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(filing, "write_filed", die)
        execute(operation.pk)
    done = counts(scan(library, confirm_gone=True))
    assert (done["moved"], done["added"], done["gone"]) == (1, 0, 0)
    assert Photo.objects.get(pk=photo.pk).path == "2011/07/old.jpg"
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert execute(operation.pk).result["moved"] == 0


def test_not_under_an_unplugged_disk_and_not_by_who_lost_the_right(library, photo, bob, tmp_path):  # noqa: F811
    operation = start_filing(library, bob, [photo.pk], "month", enqueue=False)
    assert execute(operation.pk).error_code == "not_allowed"
    away = shutil.move(library.root, tmp_path / "away")
    Path(library.root).mkdir()
    operation = start_filing(library, library.owner, [photo.pk], "month", enqueue=False)
    assert execute(operation.pk).error_code == "root_unavailable"
    assert not list(Path(library.root).iterdir()) and Path(away).is_dir()


def test_only_photos_of_that_library(library, photo, alice, tmp_path):  # noqa: F811
    other = Library.objects.create(owner=alice, name="Other", root=str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    assert execute(start_filing(other, alice, [photo.pk], "month", enqueue=False).pk).result["moved"] == 0
    assert Photo.objects.get(pk=photo.pk).path == photo.path
