"""The trash: files move there and back with all that hangs on their photos; nothing goes without being meant, or half."""

import errno
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.files import trash_empty, trash_files, trash_rows
from catalog.files.purge import CountDiffers, start_purge
from catalog.files.trash import restore_items, settle, trash_photos
from catalog.files.trash_empty import start_emptying
from catalog.models import Favourite, FileWrite, Library, Photo, TrashItem
from catalog.roots import trash_folder
from catalog.scanning.rebuild import start_rebuild
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.test_imports import files_of, rescan
from tests.catalog.scanning.test_rebuild import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


def row_of(one):
    """Return a photo's row as it is now, without the number of its claims."""
    row = Photo.objects.filter(pk=one.pk).values().get()
    del row["claim_token"]
    return row


def photo(library, name):  # noqa: F811
    return Photo.objects.get(library=library, filename=name)


def test_into_the_trash_and_back_with_all_that_hangs_on_it(library):  # noqa: F811
    one = photo(library, "1.jpg")
    Favourite.objects.create(user=library.owner, photo=one, rating=3)
    file = Path(library.root) / one.path
    data, facts = file.read_bytes(), file.stat()
    (file.parent / "1.jpg.xmp").write_text("<x/>")
    before = row_of(one)
    done = trash_photos(library.owner, [one.pk])
    assert (done.count, done.errors) == (1, [])
    item = TrashItem.objects.get()
    assert (item.state, item.sidecars, item.path) == ("trashed", ["1.jpg.xmp"], one.path)
    assert not file.exists() and not (file.parent / "1.jpg.xmp").exists()
    lies = Path(library.root) / trash_folder.FOLDER / str(item.pk) / "1.jpg"
    assert lies.read_bytes() == data
    library.refresh_from_db()
    assert (library.photo_count, library.missing_count) == (5, 0)  # it is no problem that somebody deleted it
    again = scan(library)
    assert (again.result["gone"], again.result["added"]) == (0, 0)
    assert library.missing_count == 0
    done = restore_items(library.owner, library, [item.pk])
    assert (done.count, done.errors) == (1, [])
    assert file.read_bytes() == data and file.stat().st_mtime_ns == facts.st_mtime_ns
    assert (file.parent / "1.jpg.xmp").read_text() == "<x/>"
    assert not TrashItem.objects.exists() and not lies.parent.exists()
    after = row_of(one)
    assert after == before
    assert Favourite.objects.filter(photo=one).count() == 1
    Path(file.parent / "1.jpg.xmp").unlink()
    assert rescan(library).result["added"] == 0


def test_what_a_scan_surveyed_while_it_was_deleted_is_read_again_when_it_is_back(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    write = trash_rows.write_trashed

    def surveyed(*arguments):
        row = Photo.objects.filter(pk=one.pk)
        row.update(photo_md5="", replaced_md5=one.photo_md5, state=Photo.State.SURVEYED, needs_digest=True)
        return write(*arguments)

    monkeypatch.setattr(trash_rows, "write_trashed", surveyed)
    assert trash_photos(library.owner, [one.pk]).count == 1
    assert restore_items(library.owner, library, [TrashItem.objects.get().pk]).count == 1
    one.refresh_from_db()
    assert (one.state, one.needs_digest) == (Photo.State.SURVEYED, True)
    rescan(library)
    one.refresh_from_db()
    assert (one.state, one.photo_md5 != "") == (Photo.State.READY, True)


def test_only_when_meant_by_who_may(library, bob):  # noqa: F811
    one = photo(library, "1.jpg")
    done = trash_photos(bob, [one.pk])
    assert done.count == 0 and "may change" in done.errors[0]["error"]
    assert trash_photos(library.owner, [one.pk, one.pk]).count == 1
    assert trash_photos(library.owner, [one.pk]).errors[0]["error"] == "Its file is not there."
    with pytest.raises(CountDiffers):
        start_emptying(library, library.owner, 2, enqueue=False)
    with pytest.raises(CountDiffers):
        start_purge(library, library.owner, 1, enqueue=False)  # what is in the trash is not purged with what is missing


def test_emptying_frees_the_disk_and_forgets_the_photos(library):  # noqa: F811
    keys = [photo(library, f"{n}.jpg").pk for n in (1, 2)]
    trash_photos(library.owner, keys)
    operation = execute(start_emptying(library, library.owner, 2, enqueue=False).pk)
    assert operation.state == State.COMPLETED and operation.result["deleted"] == 2
    assert operation.result["freed_bytes"] > 0
    assert not TrashItem.objects.exists() and not Photo.objects.filter(pk__in=keys).exists()
    assert not list((Path(library.root) / trash_folder.FOLDER).iterdir())
    assert Photo.objects.filter(library=library).count() == 4
    assert rescan(library).result["gone"] == 0


def test_by_the_schedule_after_as_many_days_as_the_library_says(library):  # noqa: F811
    trash_photos(library.owner, [photo(library, "1.jpg").pk])
    assert trash_empty.empty_what_is_due(timezone.now() + timedelta(days=29)) == 0
    Library.objects.update(trash_days=0)
    assert trash_empty.empty_what_is_due(timezone.now() + timedelta(days=900)) == 0
    Library.objects.update(trash_days=30)
    assert trash_empty.empty_what_is_due(timezone.now() + timedelta(days=31)) == 1
    assert trash_empty.empty_what_is_due(timezone.now() + timedelta(days=31)) == 0  # under way
    execute(Operation.objects.get(kind="empty_trash").pk)
    assert not TrashItem.objects.filter(trashed_at__lte=timezone.now() - timedelta(days=30)).exists()


def test_a_name_that_is_taken_by_now_gets_a_number(library):  # noqa: F811
    one = photo(library, "1.jpg")
    trash_photos(library.owner, [one.pk])
    other = make_jpeg(Path(library.root) / one.path, seed=99)
    data = other.read_bytes()
    scan(library)
    restore_items(library.owner, library, [TrashItem.objects.get().pk])
    assert other.read_bytes() == data
    assert (other.parent / "1 (2).jpg").is_file()
    rescan(library)
    assert Photo.objects.filter(library=library, state="ready").count() == 7
    assert not Photo.objects.filter(library=library, state="missing").exists()


def test_the_same_content_coming_back_is_the_photo_again(library):  # noqa: F811
    one = photo(library, "1.jpg")
    kept = shutil.copy2(Path(library.root) / one.path, Path(library.root).parent / "kept.jpg")
    trash_photos(library.owner, [one.pk])
    shutil.copy2(kept, Path(library.root) / "back.jpg")
    scan(library)
    one.refresh_from_db()
    assert (one.state, one.path) == ("ready", "back.jpg")
    assert trash_photos(library.owner, [one.pk]).count == 1  # once more: the older copy stays in the trash
    assert TrashItem.objects.filter(state="trashed").count() == 2
    assert execute(start_emptying(library, library.owner, 2, enqueue=False).pk).state == State.COMPLETED
    assert not Photo.objects.filter(pk=one.pk).exists()


def test_a_sidecar_of_two_stays_with_the_other(library):  # noqa: F811
    root = Path(library.root)
    make_jpeg(root / "IMG.jpg", seed=50)
    shutil.copy2(root / "IMG.jpg", root / "IMG.dng")
    (root / "IMG.xmp").write_text("<x/>")
    scan(library)
    trash_photos(library.owner, [photo(library, "IMG.jpg").pk])
    assert (root / "IMG.xmp").is_file() and (root / "IMG.dng").is_file()
    restore_items(library.owner, library, [TrashItem.objects.get().pk])
    trash_photos(library.owner, [photo(library, name).pk for name in ("IMG.jpg", "IMG.dng")])
    assert not list(root.glob("IMG*"))  # both together take it along
    assert restore_items(library.owner, library, list(TrashItem.objects.values_list("pk", flat=True))).count == 2
    assert {path.name for path in root.glob("IMG*")} == {"IMG.jpg", "IMG.dng", "IMG.xmp"}


@pytest.mark.parametrize("moment", ["written down", "moved", "going back", "back"])
def test_killed_in_the_middle_it_is_settled_by_where_the_file_lies(library, monkeypatch, moment):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    one = photo(library, "1.jpg")
    before = row_of(one)
    is_restoring = moment in ("going back", "back")
    if is_restoring:
        trash_photos(library.owner, [one.pk])
    where = {
        "written down": (trash_files, "move_in"),
        "moved": (trash_rows, "write_trashed"),
        "going back": (trash_files, "put_back"),
        "back": (trash_rows, "write_restored"),
    }[moment]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(*where, die)
        if is_restoring:
            restore_items(library.owner, library, [TrashItem.objects.get().pk])
        else:
            trash_photos(library.owner, [one.pk])
    settle(library)
    assert TrashItem.objects.exists()  # it may be at work: too early to settle
    settle(library, before=timezone.now())
    lies_there = (Path(library.root) / one.path).exists()
    if lies_there:
        assert not TrashItem.objects.exists()
        assert row_of(one) == before
    else:
        assert TrashItem.objects.get().state == "trashed"
        assert Photo.objects.get(pk=one.pk).state == "missing"
        restore_items(library.owner, library, [TrashItem.objects.get().pk])
        assert row_of(one) == before
    assert lies_there == (moment in ("written down", "back"))
    assert sum(name.endswith("1.jpg") for name in files_of(library)) == 1


def test_a_file_that_came_back_under_a_number_before_a_kill_is_found_there(library, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    one = photo(library, "1.jpg")
    file = Path(library.root) / one.path
    data = file.read_bytes()
    trash_photos(library.owner, [one.pk])
    make_jpeg(file, seed=77, mtime=1_500_000_000)  # another file takes its place
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(trash_rows, "write_restored", die)
        restore_items(library.owner, library, [TrashItem.objects.get().pk])
    settle(library, before=timezone.now())
    back = Photo.objects.get(pk=one.pk)
    assert (back.filename, back.state) == ("1 (2).jpg", "ready")
    assert (file.parent / back.filename).read_bytes() == data
    again = rescan(library)
    assert (again.result["added"], again.result["gone"], again.result["changed"]) == (1, 0, 0)
    assert Photo.objects.get(library=library, filename="1.jpg").pk != one.pk


def test_a_file_that_came_back_and_went_before_anybody_looked_stays_missing(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    trash_photos(library.owner, [one.pk])
    item = TrashItem.objects.get()
    shutil.rmtree(Path(library.root) / trash_folder.FOLDER / str(item.pk))
    TrashItem.objects.update(state="restoring")
    settle(library, before=timezone.now())
    assert not TrashItem.objects.exists()
    assert Photo.objects.get(pk=one.pk).state == "missing"


def test_a_disk_that_fails_after_the_file_went_back_leaves_no_empty_item(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    before = row_of(one)
    trash_photos(library.owner, [one.pk])
    real = trash_files.move_between

    def fail_afterwards(*places, **options):
        real(*places, **options)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(trash_files, "move_between", fail_afterwards)
    done = restore_items(library.owner, library, [TrashItem.objects.get().pk])
    assert (done.count, done.errors) == (1, [])
    assert not TrashItem.objects.exists()
    assert row_of(one) == before


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_share_that_drops_while_a_photo_goes_back_loses_no_item(library, monkeypatch, number):  # noqa: F811
    one = photo(library, "1.jpg")
    before = row_of(one)
    trash_photos(library.owner, [one.pk])
    item = TrashItem.objects.get()

    def drop(*args, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(trash_files, "move_between", drop)
        patch.setattr(trash_files, "lies_in_trash", drop)
        done = restore_items(library.owner, library, [item.pk])
        assert (done.count, len(done.errors)) == (0, 1)
        settle(library, before=timezone.now())
    assert TrashItem.objects.get().state == "restoring"  # nobody could tell
    settle(library, before=timezone.now())
    assert TrashItem.objects.get().state == "trashed"
    assert restore_items(library.owner, library, [item.pk]).count == 1
    assert row_of(one) == before


def test_on_a_root_that_became_read_only_the_photo_stays_in_the_trash(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    trash_photos(library.owner, [one.pk])
    item = TrashItem.objects.get()

    def refuse(*args, **options):
        monkeypatch.setattr("catalog.sources.local.LocalSource.root_is_writable", lambda _: False)
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(trash_files, "move_between", refuse)
    done = restore_items(library.owner, library, [item.pk])
    assert (done.count, len(done.errors)) == (0, 1)
    assert TrashItem.objects.get().state == "trashed"  # to be tried again


def test_a_file_that_is_nowhere_is_no_photo_that_came_back(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    trash_photos(library.owner, [one.pk])
    item = TrashItem.objects.get()
    shutil.rmtree(Path(library.root) / trash_folder.FOLDER / str(item.pk))
    done = restore_items(library.owner, library, [item.pk])
    assert (done.count, len(done.errors)) == (0, 1)
    assert not TrashItem.objects.exists()
    assert Photo.objects.get(pk=one.pk).state == "missing"


def test_another_file_of_the_same_size_and_time_is_not_taken_for_the_one_that_came_back(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    file = Path(library.root) / one.path
    facts, data = file.stat(), file.read_bytes()
    trash_photos(library.owner, [one.pk])
    file.write_bytes(data[:-3] + b"\x00" + data[-2:])
    os.utime(file, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    (Path(library.root) / trash_folder.FOLDER / str(TrashItem.objects.get().pk) / "1.jpg").rename(
        file.with_name("1 (2).jpg")
    )
    TrashItem.objects.update(state="restoring")  # killed before that was written down
    settle(library, before=timezone.now())
    assert Photo.objects.get(pk=one.pk).filename == "1 (2).jpg"


def test_what_went_along_comes_back_even_if_the_disk_fails_in_between(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    file = Path(library.root) / one.path
    (file.parent / "1.jpg.xmp").write_text("<x/>")
    trash_photos(library.owner, [one.pk])
    real, calls = trash_files.move_between, []

    def fail_once(*places, **options):
        real(*places, **options)
        calls.append(1)
        if len(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(trash_files, "move_between", fail_once)
    assert restore_items(library.owner, library, [TrashItem.objects.get().pk]).count == 1
    assert (file.parent / "1.jpg.xmp").read_text() == "<x/>" and file.exists()
    assert not list((Path(library.root) / trash_folder.FOLDER).iterdir())


def test_killed_while_emptying_it_goes_on(library, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    trash_photos(library.owner, [photo(library, f"{n}.jpg").pk for n in (1, 2, 3)])
    real, calls = trash_files.delete_files, []

    def delete(root, item):
        if calls:
            raise Killed
        calls.append(1)
        return real(root, item)

    operation = start_emptying(library, library.owner, 3, enqueue=False)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(trash_files, "delete_files", delete)
        execute(operation.pk)
    Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert execute(operation.pk).result["deleted"] == 3
    assert not TrashItem.objects.exists() and Photo.objects.filter(library=library).count() == 3


def test_never_on_a_root_that_cannot_be_written_or_is_not_there(library, monkeypatch):  # noqa: F811
    one = photo(library, "1.jpg")
    monkeypatch.setattr("catalog.sources.local.LocalSource.root_is_writable", lambda _: False)
    assert "read-only" in trash_photos(library.owner, [one.pk]).errors[0]["error"]
    monkeypatch.undo()
    away = Path(library.root).with_name("away")
    os.rename(library.root, away)
    Path(library.root).mkdir()
    assert "is empty all at once" in trash_photos(library.owner, [one.pk]).errors[0]["error"]
    (Path(library.root) / "of another disk").mkdir()
    assert ".photolala.md5" in trash_photos(library.owner, [one.pk]).errors[0]["error"]
    (Path(library.root) / "of another disk").rmdir()
    assert not list(Path(library.root).iterdir()) and not TrashItem.objects.exists()
    Library.objects.filter(pk=library.pk).update(source="s3")
    assert "bucket" in trash_photos(library.owner, [one.pk]).errors[0]["error"]


def test_the_trash_survives_a_rebuild(library):  # noqa: F811
    one = photo(library, "1.jpg")
    trash_photos(library.owner, [one.pk])
    assert execute(start_rebuild(library, library.owner, enqueue=False).pk).state == State.COMPLETED
    item = TrashItem.objects.get()
    restore_items(library.owner, library, [item.pk])
    rescan(library)
    assert photo(library, "1.jpg").pk == one.pk and photo(library, "1.jpg").state == "ready"


def test_stars_that_were_on_their_way_wait_for_the_photo(library):  # noqa: F811
    from catalog.edits.ratings import set_rating
    from catalog.entries.pending_writes import start_writing

    one = photo(library, "1.jpg")
    set_rating(library.owner, one, 4)
    trash_photos(library.owner, [one.pk])
    execute(start_writing(library, library.owner).pk)
    restore_items(library.owner, library, [TrashItem.objects.get().pk])
    write = FileWrite.objects.get()
    assert write.state in ("pending", "failed") and photo(library, "1.jpg").rating == 4
    FileWrite.objects.update(state="pending", try_at=timezone.now())
    execute(start_writing(library, library.owner).pk)
    assert FileWrite.objects.get().state == "done"
