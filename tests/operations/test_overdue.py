"""Work that is overdue: readiness says so, and a worker that is idle all the same ends itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from operations.models import ClockReading, Operation, State, new_lease
from operations.overdue import OverdueWatch, note_sweep, overdue
from photolala.lib.process import worker_identity

pytestmark = pytest.mark.django_db
READY = "/api/v1/health/ready"


def waiting(alice, minutes, kind="write", **fields):
    row = Operation.objects.create(owner=alice, kind=kind, **fields)
    Operation.objects.filter(pk=row.pk).update(updated_at=timezone.now() - timedelta(minutes=minutes))
    return row


def running(alice, kind="scan"):
    return Operation.objects.create(
        owner=alice, kind=kind, state=State.RUNNING, worker=worker_identity(), **new_lease()
    )


def heard(minutes_ago):
    ClockReading.objects.update(heard_at=timezone.now() - timedelta(minutes=minutes_ago))


def test_readiness_fails_when_a_star_waits_for_three_minutes(alice, client):
    waiting(alice, 2)
    assert client.get(READY).status_code == 200
    waiting(alice, 4)
    answer = client.get(READY)
    assert answer.status_code == 503
    assert "no worker takes it" in answer.json()["checks"]["worker"]


def test_work_that_waits_for_busy_workers_is_no_fault(alice, settings):
    settings.WORKER_PROCESSES = 2
    star, scan = waiting(alice, 4), waiting(alice, 4, kind="scan")
    assert overdue() == [star, scan]
    running(alice)
    heard(1)
    assert overdue() == [star]  # another process is free, and a second scan waits for the first
    heard(4)
    assert overdue() == [star, scan]
    running(alice)
    assert overdue() == []


def test_a_worker_that_died_is_not_busy(alice):
    star = waiting(alice, 4)
    Operation.objects.create(owner=alice, kind="write", state=State.RUNNING, lease_until=None)
    assert overdue() == [star]


def test_the_sweep_is_a_sign_of_a_worker(alice):
    note_sweep()
    assert ClockReading.objects.get().heard_at is not None


def test_an_idle_worker_that_misses_work_ends_itself(alice, monkeypatch):
    monkeypatch.setattr("operations.overdue.connections.close_all", lambda: None)
    ended = []
    watch = OverdueWatch({"files"}, lambda: ended.append(True))
    other = OverdueWatch({"export"}, lambda: ended.append(False))
    assert not watch.misses_work() and not watch.misses_work()
    waiting(alice, 4)
    assert not watch.misses_work() and watch.misses_work()
    assert not other.misses_work() and not other.misses_work()
    monkeypatch.setattr("operations.overdue.OVERDUE_AFTER", timedelta(seconds=0))
    monkeypatch.setattr("operations.overdue.LOOK_SECONDS", 0.0)
    watch.run()
    assert ended == [True]


def test_a_worker_at_work_misses_nothing(alice, monkeypatch):
    monkeypatch.setattr("operations.overdue.connections.close_all", lambda: None)
    monkeypatch.setattr("celery.worker.state.active_requests", {object()})
    watch = OverdueWatch({"files"}, lambda: None)
    waiting(alice, 4)
    assert not watch.misses_work() and not watch.misses_work()
