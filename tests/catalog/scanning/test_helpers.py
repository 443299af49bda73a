"""Other workers at one scan: each photo read once, the same result, and whoever dies or lags behind costs only time."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from catalog.entries import known
from catalog.entries import rows as entries_rows
from catalog.entries.decoders import scan_decoders
from catalog.media.pool import DecoderPool
from catalog.models import Library, Photo
from catalog.scanning import digest, helpers, queue
from catalog.scanning.requests import start_scan
from catalog.sources.local import LocalSource
from operations.control import cancel
from operations.kinds import KINDS
from operations.models import Operation, State
from operations.running import execute
from photolala.celery import app
from photolala.lib.paths import escape_path
from photolala.lib.process import identity
from tests.catalog.scanning.test_scan import counts, facts, scan
from tests.photos import make_library

pytestmark = pytest.mark.django_db
PHOTOS = 12


@pytest.fixture
def root(tmp_path) -> Path:
    return make_library(tmp_path / "photos", PHOTOS)


@pytest.fixture
def library(alice, root) -> Library:
    return Library.objects.create(owner=alice, name="Family", root=escape_path(os.fsencode(root)), time_zone="UTC")


@pytest.fixture
def called(settings, monkeypatch):
    """Let two workers be at every scan; the returned list holds what the second does when it is called."""
    settings.SCAN_WORKERS = 2
    monkeypatch.setattr(helpers, "LEAST_PHOTOS", 2)
    does = []

    def ring(operation_id, token, zone):
        assert zone == "UTC"
        for one in does:
            one(operation_id, token)
        return True

    monkeypatch.setattr(helpers, "_enqueue_helper", ring)
    return does


def claim_as_other(library: Library, operation_id, token: int, until: timedelta, count: int = 5) -> None:
    """Claim photos as an assistant does, and go away."""
    operation = Operation.objects.get(pk=operation_id)
    name = queue.claim_prefix(operation) + "other"
    assert len(queue.claim_digests(library, name, count, until)) == count


def test_what_an_assistant_reads_is_as_if_the_leader_had(library, root, called, settings):
    settings.SCAN_WORKERS = 1
    operation = scan(library)
    alone, result, read_alone = facts(library), counts(operation), operation.metrics["bytes_read"]
    assert read_alone == sum(path.stat().st_size for path in root.rglob("*.JPG"))
    assert "files_read_by_assistants" not in operation.metrics
    Photo.objects.all().delete()
    for name in root.glob(".photolala.*"):
        name.unlink()
    Library.objects.update(root_has_pointer=False)
    library.refresh_from_db()
    settings.SCAN_WORKERS = 2
    read = []
    called.append(lambda operation_id, token: read.append(helpers.run_helper(operation_id, token, "UTC")))
    operation = scan(library)
    assert read == [PHOTOS]
    assert operation.metrics["files_read_by_assistants"] == PHOTOS
    assert operation.metrics.get("files_read", 0) == 0
    assert operation.metrics["bytes_read"] == read_alone
    assert counts(operation) == result
    assert facts(library) == alone


def test_who_is_called_for_a_run_that_is_over_does_nothing(library, called):
    operation = scan(library)
    assert helpers.run_helper(operation.pk, operation.token, "UTC") == 0
    Photo.objects.update(needs_digest=True)
    Operation.objects.update(state=State.RUNNING, token=7)
    assert helpers.run_helper(operation.pk, 6, "UTC") == 0
    assert not Photo.objects.exclude(claimed_for="").exists()
    Operation.objects.update(cancel_requested=True)
    assert helpers.run_helper(operation.pk, 7, "UTC") == 0


def test_the_leader_waits_for_an_assistant_and_takes_over_when_its_claim_runs_out(library, called):
    held = []

    def die(operation_id, token):
        claim_as_other(library, operation_id, token, timedelta(seconds=1.5))
        held.append(timezone.now())

    called.append(die)
    operation = scan(library)
    assert counts(operation)["found"] == PHOTOS
    assert not Photo.objects.filter(needs_digest=True).exists()
    assert operation.finished_at > held[0] + timedelta(seconds=1.5)
    assert operation.metrics["files_read"] == PHOTOS


def test_the_half_written_thumbnail_of_an_assistant_that_died_goes_before_the_scan_ends(library, called, folder_cache):
    aside = folder_cache / ".writing"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = identity(process.pid)
    drafts = []

    def die_while_writing(operation_id, token):
        claim_as_other(library, operation_id, token, timedelta(seconds=0.5))
        aside.mkdir(parents=True, exist_ok=True)
        (aside / f"{dead}=1").write_bytes(b"half a thumb")
        process.communicate(b"\n")
        drafts.extend(aside.iterdir())

    called.append(die_while_writing)
    assert counts(scan(library))["found"] == PHOTOS
    assert [draft.name for draft in drafts] == [f"{dead}=1"]
    assert list(aside.iterdir()) == []


def test_a_scan_can_be_cancelled_while_it_waits(library, called):
    def hang(operation_id, token):
        claim_as_other(library, operation_id, token, timedelta(minutes=10), PHOTOS)
        cancel(Operation.objects.get(pk=operation_id))

    called.append(hang)
    operation = scan(library)
    assert operation.state == State.CANCELLED
    called.clear()
    Library.objects.filter(pk=library.pk).update(revision=99)
    assert counts(scan(library))["found"] == PHOTOS  # the next run takes what the assistant of the old one held at once
    assert not Photo.objects.filter(needs_digest=True).exists()


def test_an_assistant_whose_share_is_not_mounted_spoils_nothing(library, root, called, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()  # an empty mount point, as on another machine
    real = helpers.source_for
    read = []

    def help_without_the_share(operation_id, token):
        with monkeypatch.context() as patch:
            moved = Library(pk=library.pk, owner=library.owner, root=escape_path(os.fsencode(elsewhere)))
            patch.setattr(helpers, "source_for", lambda _: real(moved))
            read.append(helpers.run_helper(operation_id, token, "UTC"))

    called.append(help_without_the_share)
    operation = scan(library)
    assert read == [0]
    assert counts(operation)["failed"] == 0
    assert operation.metrics["files_read"] == PHOTOS


def test_files_that_go_away_meanwhile_hold_nobody_up(library, root, called):
    def lose_one(operation_id, token):
        sorted(root.rglob("*.JPG"))[0].unlink()
        helpers.run_helper(operation_id, token, "UTC")

    called.append(lose_one)
    operation = scan(library)
    assert operation.state == State.COMPLETED
    assert Photo.objects.filter(needs_digest=True).count() == 1
    called.clear()
    assert counts(scan(library))["gone"] == 1


def test_after_a_minute_an_assistant_asks_to_be_called_again(library, called, monkeypatch):
    rings = []
    scan(library)
    operation = Operation.objects.get()
    Operation.objects.update(state=State.RUNNING)
    Photo.objects.update(needs_digest=True)
    monkeypatch.setattr(helpers, "TURN_SECONDS", -1.0)
    monkeypatch.setattr(helpers, "_enqueue_helper", lambda *words: rings.append(words))
    assert helpers.run_helper(operation.pk, operation.token, "UTC") == 0
    assert rings == [(operation.pk, operation.token, "UTC")]


def test_what_is_gone_meanwhile_is_not_brought_back_by_who_still_reads_it(library, called, monkeypatch):
    real, gone = entries_rows.apply_digests, []

    def lose_one_first(of_library, rows):
        photo = Photo.objects.get(pk=rows[0]["id"])
        gone.append(photo.pk)
        known.mark_missing(of_library, photo.directory, [photo.filename], timezone.now())
        return real(of_library, rows)

    def help_late(operation_id, token):
        with monkeypatch.context() as patch:
            patch.setattr(entries_rows, "apply_digests", lose_one_first)
            assert helpers.run_helper(operation_id, token, "UTC") == PHOTOS - 1

    called.append(help_late)
    scan(library)
    assert Photo.objects.get(pk=gone[0]).state == Photo.State.MISSING


def test_what_a_dismissed_assistant_has_read_is_not_written(library, called, monkeypatch):
    real = queue.claim_digests
    before = {}

    def claim_and_be_overtaken(*words):
        claimed = real(*words)
        before.update(Photo.objects.values_list("pk", "state"))
        Operation.objects.update(token=F("token") + 1)
        return claimed

    scan(library)
    Photo.objects.update(needs_digest=True, state=Photo.State.SURVEYED)
    operation = Operation.objects.get()
    Operation.objects.update(state=State.RUNNING)
    monkeypatch.setattr(queue, "claim_digests", claim_and_be_overtaken)
    assert helpers.run_helper(operation.pk, operation.token, "UTC") == 0
    assert dict(Photo.objects.values_list("pk", "state")) == before
    assert not Photo.objects.filter(claimed_until__isnull=False).exists()  # given back


def test_a_turn_ends_between_two_files_not_after_all_it_had_claimed(library, called, monkeypatch):
    called.append(lambda operation_id, token: read.append(helpers.run_helper(operation_id, token, "UTC")))
    read, clock = [], [0.0]

    def pass_time(*words, **more):
        clock[0] += 15.0
        return real(*words, **more)

    real = digest.job_for
    monkeypatch.setattr(digest, "job_for", pass_time)
    monkeypatch.setattr(helpers.time, "monotonic", lambda: clock[0])
    operation = scan(library)
    assert 0 < read[0] < PHOTOS
    assert counts(operation)["failed"] == 0 and not Photo.objects.filter(needs_digest=True).exists()


@pytest.mark.promise("S4-057")
def test_scans_run_in_the_background_with_as_many_decoders_as_are_set(library, settings, monkeypatch):
    settings.DECODER_PROCESSES = 3
    with scan_decoders() as pool:
        assert len(pool._decoders) == 3
    assert KINDS["scan"].queue == "scan"  # a worker's, never a request's
    settings.DECODER_PROCESSES = 2
    heads: list[int] = []
    survey = DecoderPool.survey
    monkeypatch.setattr(
        DecoderPool, "survey", lambda self, jobs: (heads.append(len(self._decoders)), survey(self, jobs))[1]
    )
    with monkeypatch.context() as asking:
        asking.setattr(LocalSource, "list_directory", lambda *_: pytest.fail("who asks for a scan lists nothing"))
        asking.setattr(LocalSource, "open", lambda *_: pytest.fail("who asks for a scan reads nothing"))
        asking.setattr("operations.wake_up.enqueue", lambda operation: 0)
        operation = start_scan(library, library.owner)
    assert operation.state == State.PENDING and not Photo.objects.exists()
    done = execute(operation.pk)
    assert counts(done)["added"] == PHOTOS
    assert heads == [2]


def test_who_hangs_keeps_its_claims_no_longer(monkeypatch):
    activity = helpers._LastActivity()
    assert activity.is_recent()
    monkeypatch.setattr(queue, "CLAIM_LENGTH", timedelta(0))
    assert not activity.is_recent()


def test_nobody_is_called_for_a_few_photos_or_where_one_worker_is_set(library, settings, monkeypatch):
    monkeypatch.setattr(helpers, "_enqueue_helper", lambda *_: pytest.fail("called"))
    operation = Operation(owner=library.owner, kind="scan")
    settings.SCAN_WORKERS = 1
    assert helpers.request_helpers(operation, 1_000_000, "UTC") == 0
    settings.SCAN_WORKERS = 4
    assert helpers.request_helpers(operation, helpers.LEAST_PHOTOS - 1, "UTC") == 0


def test_a_broker_that_is_away_leaves_it_all_to_the_leader(library, settings, monkeypatch):
    def refuse(*_, **__):
        raise OSError("Connection refused")

    monkeypatch.setattr(app, "send_task", refuse)
    settings.SCAN_WORKERS = 3
    assert helpers.request_helpers(Operation(owner=library.owner, kind="scan"), 10_000, "UTC") == 0


def test_no_more_is_claimed_than_asked_for_whatever_the_database_plans(library, called, settings):
    settings.SCAN_WORKERS = 1
    scan(library)
    Photo.objects.update(needs_digest=True)
    with connection.cursor() as cursor:
        for way in (
            ("hashjoin", "mergejoin", "hashagg", "sort", "material") if connection.vendor == "postgresql" else ()
        ):
            cursor.execute(f"SET LOCAL enable_{way} = off")  # a subquery is run for each row then
    name = f"{library.pk}:1:one"
    assert [len(queue.claim_digests(library, name, 5)) for _ in range(4)] == [5, 5, 2, 0]
