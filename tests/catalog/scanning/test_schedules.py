"""Scans that nobody asks for: by the library's schedule, and when something changes in a watched folder."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.models import FileWrite, Library, Photo
from catalog.scanning import schedule, watch
from catalog.tasks import scan_what_is_due
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_jpeg, make_library, make_photo, make_user

NOW = timezone.now()


@pytest.fixture
def library(db, tmp_path, settings):
    settings.PHOTO_ROOTS = [str(tmp_path)]
    library = make_library(make_user("alice"), tmp_path / "photos")
    Library.objects.update(created_at=NOW - timedelta(days=400))
    return library


def change(**fields):
    Library.objects.update(**fields)


def scans():
    return list(Operation.objects.filter(kind="scan").order_by("created_at"))


def end_all(state=State.COMPLETED, hours_ago=0.0, **fields):
    Operation.objects.update(state=state, created_at=NOW - timedelta(hours=hours_ago), finished_at=NOW, **fields)


@pytest.mark.parametrize(
    ("every", "hours_ago", "expected"), [(1, 0.9, 0), (1, 1.1, 1), (24, 23, 0), (24, 25, 1), (0, 9999, 0)]
)
def test_a_scan_is_due_when_the_last_was_asked_for_long_enough_ago(library, every, hours_ago, expected):
    change(scan_every_hours=every)
    assert schedule.start_due_scans(NOW) == (1 if every else 0)
    end_all(hours_ago=hours_ago)
    assert schedule.start_due_scans(NOW) == expected


def test_the_scheduled_scan_runs_in_its_owners_name_and_finds_what_is_new(library):
    (Path(library.root) / "new.jpg").write_bytes(make_jpeg())
    assert scan_what_is_due() == 1
    (operation,) = scans()
    assert operation.owner == library.owner
    assert execute(operation.pk).state == State.COMPLETED
    assert Photo.objects.get().filename == "new.jpg"
    assert scan_what_is_due() == 0


def test_a_folder_that_cannot_be_reached_is_tried_again_but_not_every_minute(library):
    schedule.start_due_scans(NOW)
    end_all(State.FAILED, hours_ago=1, error_code="root_unavailable")
    assert schedule.start_due_scans(NOW) == 0
    assert schedule.start_due_scans(NOW + timedelta(hours=24)) == 1


def test_a_scan_under_way_is_not_doubled(library):
    assert schedule.start_due_scans(NOW) == 1
    assert schedule.start_due_scans(NOW + timedelta(days=3)) == 0
    assert len(scans()) == 1


def test_nobody_scans_for_people_who_may_not_sign_in_any_more(library):
    library.owner.is_active = False
    library.owner.save()
    assert schedule.start_due_scans(NOW) == 0


def test_hidden_edits_are_looked_for_when_it_is_time(library):
    photo = Path(library.root) / "edited.jpg"
    photo.write_bytes(make_jpeg(seed=1))
    old = (1_600_000_000_000_000_000, 1_600_000_000_000_000_000)
    os.utime(photo, ns=old)
    change(scan_every_hours=0, verify_every_days=30, created_at=NOW)
    assert schedule.start_due_scans(NOW + timedelta(days=29)) == 0
    assert schedule.start_due_scans(NOW + timedelta(days=31)) == 1
    execute(scans()[-1].pk)
    assert Library.objects.get().verified_at == scans()[-1].created_at
    before = Photo.objects.get().photo_md5

    photo.write_bytes(make_jpeg(seed=2))
    os.utime(photo, ns=old)
    Operation.objects.update(created_at=NOW - timedelta(days=30), finished_at=NOW)
    change(verified_at=NOW - timedelta(days=31))
    assert schedule.start_due_scans(NOW) == 1
    assert scans()[-1].params["verify_heads"] is True
    execute(scans()[-1].pk)
    assert Photo.objects.get().photo_md5 != before
    assert schedule.start_due_scans(NOW + timedelta(hours=1)) == 0


def test_a_comparison_that_failed_waits_for_the_next_day(library):
    change(scan_every_hours=0, verify_every_days=7)
    assert schedule.start_due_scans(NOW) == 1
    end_all(State.FAILED, hours_ago=2)
    assert schedule.start_due_scans(NOW) == 0
    assert schedule.start_due_scans(NOW + timedelta(days=1)) == 1


# -- watching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def watcher(library):
    change(is_watched=True)
    return watch.Watcher(threading.Event())


def test_only_watched_libraries_that_are_there_are_watched(library, tmp_path):
    assert watch.watched_roots() == {}
    change(is_watched=True)
    assert watch.watched_roots() == {Path(library.root): library}
    Path(library.root).rmdir()
    assert watch.watched_roots() == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.jpg", 1), ("2024/a.jpg", 1), (".photolala.md5", 0), ("2024/.photolala-write-1.jpg", 0), (".hidden/a.jpg", 0)],
)
def test_what_photolala_writes_beside_the_photos_starts_no_scan(watcher, library, path, expected):
    roots = watch.watched_roots()
    watcher.note(roots, [f"{library.root}/{path}"])
    assert watcher.scan_what_waits(roots) == expected
    assert watcher.scan_what_waits(roots) == 0


def test_a_file_that_the_catalog_knows_as_it_is_starts_no_scan(watcher, library):
    """Photolala's own writes are such changes."""
    roots = watch.watched_roots()
    photo = make_photo(library, "2024/a.jpg", mtime_ns=0)
    file = Path(library.root) / "2024" / "a.jpg"
    Photo.objects.update(mtime_ns=file.stat().st_mtime_ns)
    watcher.note(roots, [str(file)])
    assert (watcher.scan_what_waits(roots), watcher.waiting) == (0, {})

    write = FileWrite.objects.create(
        library=library, photo=photo, kind="rating", wanted={"rating": 5}, state="writing", try_at=NOW
    )
    file.write_bytes(make_jpeg(seed=9))
    watcher.note(roots, [str(file)])
    assert watcher.scan_what_waits(roots) == 0  # the writer will tell the catalog in a moment
    Photo.objects.update(mtime_ns=file.stat().st_mtime_ns, size_bytes=file.stat().st_size)
    FileWrite.objects.filter(pk=write.pk).update(state="done")
    assert (watcher.scan_what_waits(roots), watcher.waiting) == (0, {})

    watcher.note(roots, [str(file), f"{library.root}/new.jpg"])
    assert watcher.scan_what_waits(roots) == 1


def test_so_many_changes_are_news_without_asking(watcher, library, monkeypatch):
    monkeypatch.setattr(watch, "MOST_REMEMBERED", 3)
    roots = watch.watched_roots()
    for number in range(6):
        photo = make_photo(library, f"{number}.jpg")
        Photo.objects.filter(pk=photo.pk).update(mtime_ns=(Path(library.root) / photo.filename).stat().st_mtime_ns)
    watcher.note(roots, [f"{library.root}/{number}.jpg" for number in range(6)])
    assert watcher.scan_what_waits(roots) == 1


def test_a_change_during_a_scan_is_scanned_when_that_one_has_ended(watcher, library):
    roots = watch.watched_roots()
    watcher.note(roots, [f"{library.root}/a.jpg"])
    assert watcher.scan_what_waits(roots) == 1
    watcher.note(roots, [f"{library.root}/b.jpg"])
    assert watcher.scan_what_waits(roots) == 0
    Operation.objects.update(state=State.COMPLETED, finished_at=timezone.now(), started_at=timezone.now())
    assert watcher.scan_what_waits(roots) == 1


def test_a_long_scan_is_not_followed_by_another_one_at_once(watcher, library):
    roots = watch.watched_roots()
    watcher.note(roots, [f"{library.root}/a.jpg"])
    watcher.scan_what_waits(roots)
    now = timezone.now()
    Operation.objects.update(state=State.COMPLETED, started_at=now - timedelta(seconds=100), finished_at=now)
    watcher.note(roots, [f"{library.root}/b.jpg"])
    assert watcher.scan_what_waits(roots) == 0
    began = time.monotonic()
    watcher.clock = lambda: began + 395
    Operation.objects.update(started_at=now - timedelta(seconds=495), finished_at=now - timedelta(seconds=395))
    assert watcher.scan_what_waits(roots) == 0
    watcher.clock = lambda: began + 405
    Operation.objects.update(started_at=now - timedelta(seconds=505), finished_at=now - timedelta(seconds=405))
    assert watcher.scan_what_waits(roots) == 1


def test_a_person_who_is_being_asked_is_not_asked_again(watcher, library):
    roots = watch.watched_roots()
    watcher.note(roots, [f"{library.root}/a.jpg"])
    watcher.scan_what_waits(roots)
    Operation.objects.update(state=State.FAILED, error_code="confirm_gone", finished_at=NOW - timedelta(days=1))
    watcher.note(roots, [f"{library.root}/b.jpg"])
    assert watcher.scan_what_waits(roots) == 0


@pytest.mark.django_db(transaction=True)
def test_a_file_that_appears_in_a_watched_folder_starts_a_scan(library, monkeypatch):
    """The real notification of the system, in the real loop."""
    change(is_watched=True)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.2)
    watcher = watch.Watcher(threading.Event())
    noted = []
    # The loop runs here, in the thread of the test's database; another thread only drops files until it is noticed.
    done = threading.Event()

    def drop_files():
        for number in range(600):
            (Path(library.root) / f"{number}.jpg").write_bytes(b"new")
            if done.wait(0.1):
                return
        watcher.stop.set()

    real = watcher.scan_what_waits

    def scan_and_stop(roots):
        started = real(roots)
        if started:
            noted.append(started)
            watcher.stop.set()
        return started

    monkeypatch.setattr(watcher, "scan_what_waits", scan_and_stop)
    dropping = threading.Thread(target=drop_files)
    dropping.start()
    try:
        watcher.run()
    finally:
        done.set()
        dropping.join()
    assert noted == [1]
    assert [operation.state for operation in scans()] == [State.PENDING]


@pytest.mark.django_db(transaction=True)
def test_folders_that_cannot_be_watched_are_said_and_tried_again(watcher, library, monkeypatch, caplog):
    tries = []

    def no_watches_left(*roots, **options):
        tries.append(roots)
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr(watch.watchfiles, "watch", no_watches_left)
    monkeypatch.setattr(watcher.stop, "wait", lambda seconds: len(tries) > 1 and watcher.stop.set())
    watcher.run()
    assert tries == [(Path(library.root),)] * 2
    assert "max_user_watches" in caplog.text
