"""Work that failed for a reason that passes goes on by itself, the older the more seldom."""

from datetime import timedelta

import pytest
from django.utils import timezone

from operations import tasks
from operations.models import Operation, State
from operations.retry_failed import resume_what_may_go_on
from photolala.celery import app

pytestmark = pytest.mark.django_db


def failed(alice, code, minutes_ago=0.0, age=None, **fields):
    now = timezone.now()
    ended = now - timedelta(minutes=minutes_ago)
    return Operation.objects.create(
        owner=alice,
        kind="scan",
        state=State.FAILED,
        error_code=code,
        finished_at=ended,
        created_at=now - (age or timedelta(minutes=minutes_ago + 1)),
        **fields,
    )


def test_what_failed_for_a_full_disk_goes_on_after_a_while(alice, django_capture_on_commit_callbacks, monkeypatch):
    rung = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: rung.append(args[0]))
    early, due = failed(alice, "no_space", 4), failed(alice, "no_space", 6)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()
    early.refresh_from_db()
    due.refresh_from_db()
    assert (early.state, due.state) == (State.FAILED, State.PENDING)
    assert set(rung) == {str(due.pk)}


def test_work_whose_workers_were_killed_goes_on(alice):
    failed(alice, "worker_died", 50)
    due = failed(alice, "worker_died", 70)
    assert resume_what_may_go_on() == 1
    due.refresh_from_db()
    assert due.state == State.PENDING and due.attempts == 0


def test_the_older_it_is_the_longer_it_waits(alice):
    failed(alice, "io_error", 60, age=timedelta(days=1))
    assert resume_what_may_go_on() == 0
    failed(alice, "io_error", 60 * 7, age=timedelta(days=20))
    assert resume_what_may_go_on() == 1
    failed(alice, "io_error", 60 * 7, age=timedelta(days=31))
    assert resume_what_may_go_on() == 0


def test_a_failure_of_before_the_clock_was_set_back_does_not_wait(alice):
    failed(alice, "database_unavailable", -600)
    assert resume_what_may_go_on() == 1


def test_what_a_person_must_decide_stays(alice):
    failed(alice, "confirm_gone", 600)
    failed(alice, "unexpected", 600)
    failed(alice, "no_space", 600, superseded=True)
    Operation.objects.create(owner=alice, kind="scan", state=State.RUNNING, active_key="scan:1")
    failed(alice, "no_space", 600, active_key="scan:1")
    assert resume_what_may_go_on() == 0
