"""Point 5: the doctor looks into the trash, staging, working folders and hidden names, and repairs without deleting."""

import os
import shutil
import time
import uuid
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from catalog.edits.ratings import set_rating
from catalog.examinations import leftovers
from catalog.examinations.leftovers import examine_leftovers
from catalog.examinations.trash import examine_trash
from catalog.files import trash_leases
from catalog.files.trash import restore_items, trash_photos
from catalog.importing.requests import open_batch
from catalog.importing.staging import staged_path
from catalog.models import Favourite, Photo, TrashItem, Upload
from catalog.roots import trash_folder
from tests.catalog.importing.test_imports import files_of, rescan
from tests.catalog.scanning.test_rebuild import library  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def soon(monkeypatch):
    """Let what is a moment old be old enough."""
    monkeypatch.setattr(leftovers, "QUIET_SECONDS", -5.0)


def first(library):  # noqa: F811
    return Photo.objects.filter(library=library).order_by("directory", "filename").first()


def codes(findings):
    return [finding.code for finding in findings]


def test_a_healthy_trash_has_no_findings(library, soon):  # noqa: F811
    trash_photos(library.owner, [first(library).pk])
    assert codes(examine_trash()) == codes(examine_leftovers()) == []


def test_files_of_the_trash_without_rows_get_rows_again_and_come_back_with_all_that_hung_on_them(library):  # noqa: F811
    before = files_of(library)
    photo = first(library)
    set_rating(library.owner, photo, 5)
    (Path(library.root) / photo.directory / f"{photo.filename}.xmp").write_text("<x/>")
    trash_photos(library.owner, [photo.pk])
    TrashItem.objects.all().delete()
    (finding,) = examine_trash()
    assert finding.code == "trash.without_row" and finding.sentence.startswith("2 files") and not finding.healed
    assert not TrashItem.objects.exists()  # only looking changes nothing
    (healed,) = examine_trash(heal=True)
    assert healed.healed
    assert codes(examine_trash()) == []
    item = TrashItem.objects.get()
    assert (item.photo_id, item.path, item.state) == (photo.pk, photo.path, "trashed")
    done = restore_items(library.owner, library, [item.pk])
    assert (done.count, done.errors) == (1, [])
    back = Photo.objects.get(pk=photo.pk)
    assert (back.path, back.state, back.rating) == (photo.path, "ready", 5)
    assert Favourite.objects.filter(photo=photo).exists()
    assert set(files_of(library)) - set(before) == {f"{photo.path}.xmp"}
    assert files_of(library)[photo.path] == before[photo.path]
    assert not list((Path(library.root) / trash_folder.FOLDER).iterdir())


def test_what_no_photo_is_known_of_comes_back_into_the_top_folder(library):  # noqa: F811
    photo = first(library)
    trash = Path(library.root) / trash_folder.FOLDER
    folder = trash / "somebody's"
    folder.mkdir(parents=True)
    shutil.move(Path(library.root) / photo.path, folder / "lost.jpg")
    (folder / "note.txt").write_text("mine")
    (trash / str(uuid.uuid4())).mkdir()
    photo.delete()
    assert codes(examine_trash(heal=True)) == ["trash.without_row"]
    assert {item.path for item in TrashItem.objects.all()} == {"lost.jpg", "note.txt"}
    assert codes(examine_trash(heal=True)) == []
    assert sorted(path.name for path in trash.iterdir()) == sorted(str(item.pk) for item in TrashItem.objects.all())
    assert restore_items(library.owner, library, [item.pk for item in TrashItem.objects.all()]).count == 2
    assert (Path(library.root) / "lost.jpg").is_file() and (Path(library.root) / "note.txt").read_text() == "mine"
    rescan(library)
    assert Photo.objects.filter(library=library, filename="lost.jpg", state="ready").exists()


def test_rows_without_files_and_what_stopped_half_way_are_told(library):  # noqa: F811
    photos = list(Photo.objects.filter(library=library).order_by("directory", "filename"))
    trash_photos(library.owner, [photo.pk for photo in photos[:3]])
    gone, dead, doomed = TrashItem.objects.order_by("directory", "filename")
    shutil.rmtree(Path(library.root) / trash_folder.FOLDER / str(gone.pk))
    mover = f"{trash_leases.identity().partition('|')[0]}|999999:1|x"
    TrashItem.objects.filter(pk=dead.pk).update(state="moving", mover=mover, mover_seen_at=timezone.now())
    TrashItem.objects.filter(pk=doomed.pk).update(state="deleting")
    findings = {finding.code: finding for finding in examine_trash()}
    assert set(findings) == {"trash.unfinished", "trash.deleting", "trash.without_file"}
    assert gone.path in findings["trash.without_file"].sentence
    healed = {finding.code: finding.healed for finding in examine_trash(heal=True)}
    assert healed["trash.unfinished"] and not healed["trash.without_file"]
    assert TrashItem.objects.get(pk=dead.pk).state == "trashed" and TrashItem.objects.count() == 3


def test_hidden_files_are_removed_only_if_the_same_bytes_are_elsewhere(library, soon):  # noqa: F811
    root = Path(library.root)
    photo = first(library)
    copy = root / photo.directory / ".photolala-write-0123-1.jpg"
    shutil.copy2(root / photo.path, copy)
    only = root / photo.directory / ".photolala-write-4567-1.jpg"
    only.write_bytes(b"the only copy")
    (root / ".photolala.md5.0123456789abcdef.tmp").write_text("half")
    (root / "0" / ".hidden by a person").write_text("mine")
    (finding,) = examine_leftovers()
    assert finding.code == "leftover.hidden" and finding.sentence.startswith("3 hidden files")
    assert copy.exists() and only.exists()
    assert codes(examine_leftovers(heal=True)) == ["leftover.hidden"]
    assert not copy.exists() and not only.exists()
    assert codes(examine_leftovers()) == [] and (root / "0" / ".hidden by a person").exists()
    item = TrashItem.objects.get()
    lies = root / trash_folder.FOLDER / str(item.pk) / item.filename
    assert lies.read_bytes() == b"the only copy"
    assert restore_items(library.owner, library, [item.pk]).count == 1
    assert (root / photo.directory / item.filename).read_bytes() == b"the only copy"
    assert not item.filename.startswith(".")


def test_what_somebody_works_on_is_no_leftover(library):  # noqa: F811
    hidden = Path(library.root) / ".photolala-write-4567-1.jpg"
    hidden.write_bytes(b"young")
    assert codes(examine_leftovers(heal=True)) == [] and hidden.exists()


def test_working_folders_of_work_that_broke_off_are_removed(library):  # noqa: F811
    working = Path(settings.DATA_DIR) / "working"
    left = working / "restore-3-abc"
    left.mkdir(parents=True)
    (left / "plan.sqlite").write_bytes(b"x" * 1000)
    (working / "snapshot-1-def").mkdir()
    for path in (left / "plan.sqlite", left):
        os.utime(path, (time.time() - 90_000,) * 2)
    (finding,) = examine_leftovers()
    assert finding.code == "leftover.working" and finding.sentence.startswith("1 working folder")
    assert [bool(one.healed) for one in examine_leftovers(heal=True)] == [True]
    assert [path.name for path in working.iterdir()] == ["snapshot-1-def"]


def test_files_that_were_sent_and_their_rows_are_compared(library):  # noqa: F811
    wanted = open_batch(library, library.owner)
    rows = [
        Upload.objects.create(
            user=library.owner,
            import_run=wanted,
            filename=f"{n}.jpg",
            size_bytes=3,
            mtime_ns=0,
            expires_at=timezone.now(),
        )
        for n in range(2)
    ]
    Upload.objects.update(created_at=timezone.now() - timezone.timedelta(hours=1))
    arrived = staged_path(library.owner.pk, rows[0].pk)
    stray = staged_path(library.owner.pk, uuid.uuid4())
    arrived.parent.mkdir(parents=True)
    for path in (arrived, stray):
        path.write_bytes(b"abc")
        os.utime(path, (time.time() - 90_000,) * 2)
    assert codes(examine_leftovers(heal=True)) == ["upload.arrived", "upload.lost", "upload.without_row"]
    assert arrived.exists() and stray.exists()
