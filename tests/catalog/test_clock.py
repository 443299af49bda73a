"""What a clock that was set does to stars that wait, to the trash, to uploads and to scans by the schedule."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from catalog.edits.ratings import set_rating
from catalog.entries import pending_writes
from catalog.files import queue, trash_empty
from catalog.files.trash import trash_photos
from catalog.files.trash_leases import is_abandoned
from catalog.importing import cleanup, uploads
from catalog.importing.requests import open_batch
from catalog.models import FileWrite, Library, TrashItem, Upload
from catalog.scanning import schedule
from catalog.scanning.queue import claim_digests
from operations.models import Operation
from operations.running import execute
from tests.catalog.files.test_trash import (
    library,  # noqa: F401
    photo,
)

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)


def test_a_year_ahead_for_a_moment_empties_no_trash(library):  # noqa: F811
    trash_photos(library.owner, [photo(library, "1.jpg").pk])
    with time_machine.travel(timezone.now() + YEAR):
        assert trash_empty.empty_what_is_due() == 0
    assert trash_empty.empty_what_is_due() == 0
    assert TrashItem.objects.count() == 1


def test_a_year_ahead_for_a_moment_removes_no_upload(library):  # noqa: F811
    upload = uploads.begin(library.owner, open_batch(library, library.owner), "new.jpg", 10)
    with time_machine.travel(timezone.now() + YEAR):
        assert cleanup.forget_old_uploads() == 0
    assert Upload.objects.filter(pk=upload.pk).exists()


@pytest.mark.parametrize("back", [timedelta(minutes=2), timedelta(hours=1), timedelta(days=1), YEAR])
def test_a_star_given_before_the_clock_was_set_back_is_written(library, back, monkeypatch):  # noqa: F811
    set_rating(library.owner, photo(library, "1.jpg").pk, 4)
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() - back)  # of Photolala alone: buckets refuse who is so late
    assert queue.start_all_due() == 1
    execute(Operation.objects.get(kind="write").pk)
    assert FileWrite.objects.get().state == FileWrite.State.DONE


@pytest.mark.parametrize("attempts", [1, 2, 3, 4, 5, 9])
def test_a_retry_waits_for_its_time_and_never_for_longer(library, attempts):  # noqa: F811
    set_rating(library.owner, photo(library, "1.jpg").pk, 4)
    wait = pending_writes.wait_before(attempts)
    FileWrite.objects.update(attempts=attempts, try_at=timezone.now() + wait)
    assert not FileWrite.objects.filter(pending_writes.is_due()).exists()
    with time_machine.travel(timezone.now() + wait + timedelta(seconds=1)):
        assert FileWrite.objects.filter(pending_writes.is_due()).exists()
    with time_machine.travel(timezone.now() - timedelta(minutes=1)):
        assert FileWrite.objects.filter(pending_writes.is_due()).exists()


def test_scans_by_the_schedule_go_on_after_the_clock_was_a_year_ahead(library, monkeypatch):  # noqa: F811
    Library.objects.update(scan_every_hours=1)
    Operation.objects.all().delete()
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + YEAR)
    assert schedule.start_due_scans() == 1
    operation = Operation.objects.get()
    execute(operation.pk)
    Library.objects.update(scan_wanted_at=timezone.now())
    monkeypatch.setattr(timezone, "now", right)
    assert schedule.start_due_scans() == 1
    execute(Operation.objects.exclude(pk=operation.pk).get().pk)
    assert schedule.start_due_scans() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert schedule.start_due_scans() == 1


def test_photos_claimed_before_the_clock_was_set_back_are_read(library):  # noqa: F811
    row = photo(library, "1.jpg")
    type(row).objects.filter(pk=row.pk).update(needs_digest=True)
    assert len(claim_digests(library, "run:1:a", 10)) == 1
    assert claim_digests(library, "run:1:b", 10) == []
    with time_machine.travel(timezone.now() - timedelta(days=1)):
        assert len(claim_digests(library, "run:1:b", 10)) == 1


def test_a_mover_of_the_trash_seen_in_the_future_is_not_waited_for(library):  # noqa: F811
    row = photo(library, "1.jpg")
    item = TrashItem(library=library, photo=row, mover="other|1:2", trashed_at=timezone.now())
    item.mover_seen_at = timezone.now()
    assert not is_abandoned(item)
    item.mover_seen_at = timezone.now() + timedelta(hours=1)
    assert is_abandoned(item)
