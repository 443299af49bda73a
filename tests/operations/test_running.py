"""Operations: claim, fencing, progress, cancel, resume, and what happens when a worker dies."""

import errno
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from accounts.models import User
from operations import running, runs, tasks
from operations.control import NotPossible, cancel, resume
from operations.kinds import KINDS, Kind
from operations.models import Operation, State
from operations.running import AlreadyActive, LeaseLost, OperationFailed, Run, claim, execute, start
from operations.signals import pause_operations
from photolala.celery import app
from photolala.lib.process import identity, worker_identity

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quiet_heartbeats(monkeypatch):
    """End the heartbeat of every claim with the test, also of those that it leaves running."""
    claimed = []
    begin = Run.__init__

    def remember(self, operation):
        begin(self, operation)
        claimed.append(self)

    monkeypatch.setattr(Run, "__init__", remember)
    yield
    for run in claimed:
        run.end_heartbeat()


@pytest.fixture
def bell(monkeypatch):
    rung = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **options: rung.append((args[0], options)))
    return rung


@pytest.fixture
def kind(monkeypatch):
    """Register kinds of work for one test."""

    def register(name, run):
        monkeypatch.setitem(KINDS, name, Kind(name, name, "files", run))

    return register


def make(alice, kind="count", **fields):
    return Operation.objects.create(owner=alice, kind=kind, **fields)


def dead_worker():
    """The identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = identity(process.pid)
    process.communicate(b"\n")
    return name


@pytest.mark.promise("S2-029", "S2-031", "S2-034", "S2-056", "S2-063")
def test_runs_from_pending_to_completed_with_progress_and_metrics(alice, kind):
    seen = []

    def count(run: Run):
        run.phase("Counting", total=3)
        for _ in range(3):
            run.advance()
            run.metrics["files_read"] = run.operation.done
            run.checkpoint()
            seen.append(Operation.objects.get(pk=run.operation.pk).done)
        return {"counted": 3}

    kind("count", count)
    operation = execute(make(alice).pk)
    assert seen == [1, 2, 3]
    assert operation.state == State.COMPLETED
    assert operation.result == {"counted": 3}
    assert operation.metrics["files_read"] == 3
    (stage,) = operation.metrics["stages"]
    assert (stage["name"], stage["done"], stage["unit"]) == ("Counting", 3, "photos")
    assert operation.fraction == 1.0
    assert operation.finished_at and operation.started_at <= operation.finished_at
    assert operation.lease_until is None


@pytest.mark.promise("S4-061")
def test_only_one_claim_succeeds_and_the_old_token_is_fenced_out(alice):
    operation = make(alice)
    first = claim(operation.pk)
    assert first is not None and claim(operation.pk) is None
    Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1), worker="elsewhere|1:1")
    second = claim(operation.pk)
    assert second is not None and second.token == first.token + 1
    with pytest.raises(LeaseLost):
        first.checkpoint()
    assert first.finish(State.COMPLETED) is False
    assert not first.still_mine() and second.still_mine()
    second.checkpoint()
    assert second.finish(State.COMPLETED) is True


@pytest.mark.promise("S2-032", "S2-033", "S2-052")
def test_a_dead_worker_of_this_machine_is_noticed_before_its_lease_ends(alice, bell):
    far = timezone.now() + timedelta(hours=1)
    dead = make(alice, state=State.RUNNING, token=1, lease_until=far, worker=dead_worker())
    alive = make(alice, state=State.RUNNING, token=1, lease_until=far, worker=worker_identity())
    assert tasks.sweep() == 1
    assert [operation_id for operation_id, _ in bell] == [str(dead.pk)]
    assert claim(alive.pk) is None
    run = claim(dead.pk)
    assert run is not None and run.finish(State.COMPLETED)
    dead.refresh_from_db()
    assert dead.went_on and not alive.went_on


def test_sweep_rings_for_lost_messages_and_for_leases_that_ran_out(alice, bell):
    long_ago = timezone.now() - timedelta(minutes=10)
    lost = make(alice, enqueued_at=long_ago)
    never_rung = make(alice)
    elsewhere = make(alice, state=State.RUNNING, lease_until=long_ago, worker="other|1:2")
    make(alice, enqueued_at=timezone.now())
    make(alice, state=State.INTERRUPTED)
    make(alice, state=State.COMPLETED)
    tasks.sweep()
    assert {operation_id for operation_id, _ in bell} == {str(o.pk) for o in (lost, never_rung, elsewhere)}


def test_broker_that_is_away_does_not_fail_the_start(alice, monkeypatch, django_capture_on_commit_callbacks):
    def broken(*_, **__):
        raise ConnectionError("no broker")

    monkeypatch.setattr(app, "send_task", broken)
    with django_capture_on_commit_callbacks(execute=True):
        operation = start("count", alice)
    operation.refresh_from_db()
    assert operation.state == State.PENDING and operation.enqueued_at is None


def test_cancel_is_honoured_at_the_next_checkpoint_and_resume_goes_on(
    alice, kind, bell, django_capture_on_commit_callbacks
):
    reached = []

    def work(run: Run):
        already = run.operation.checkpoint.get("reached", 0)
        for number in range(already + 1, 6):
            reached.append(number)
            run.advance()
            if number == 2 and not already:
                cancel(Operation.objects.get(pk=run.operation.pk))
            run.checkpoint(reached=number)

    kind("work", work)
    operation = make(alice, kind="work")
    assert execute(operation.pk).state == State.CANCELLED
    assert reached == [1, 2]
    with django_capture_on_commit_callbacks(execute=True):
        operation.refresh_from_db()
        resume(operation)
    assert [operation_id for operation_id, _ in bell] == [str(operation.pk)]
    assert execute(operation.pk).state == State.COMPLETED
    assert reached == [1, 2, 3, 4, 5]
    with pytest.raises(NotPossible):
        cancel(Operation.objects.get(pk=operation.pk))


def test_pending_is_cancelled_at_once_and_never_runs(alice, kind):
    kind("count", lambda run: pytest.fail("it ran"))
    operation = make(alice)
    cancel(operation)
    assert operation.state == State.CANCELLED
    assert execute(operation.pk) is None


def test_failure_keeps_the_sentence_and_unexpected_errors_keep_the_detail(alice, kind):
    def fails(run: Run):
        raise OperationFailed("The disk is full; free 3 GB and retry.", "no_space", needed=3)

    def crashes(run: Run):
        raise ZeroDivisionError("deep inside")

    kind("fails", fails)
    kind("crashes", crashes)
    failed = execute(make(alice, kind="fails").pk)
    assert (failed.state, failed.error, failed.error_code) == (
        State.FAILED,
        "The disk is full; free 3 GB and retry.",
        "no_space",
    )
    assert failed.result == {"needed": 3}
    crashed = execute(make(alice, kind="crashes").pk)
    assert crashed.state == State.FAILED
    assert "ZeroDivisionError" in crashed.error and "deep inside" not in crashed.error
    assert "deep inside" in crashed.error_detail
    unknown = execute(make(alice, kind="of a newer version").pk)
    assert unknown.state == State.FAILED and "of a newer version" in unknown.error


def test_one_active_operation_per_key_and_the_waiting_one_is_superseded(alice, bell):
    first = start("count", alice, active_key="scan:1")
    with pytest.raises(AlreadyActive) as refused:
        start("count", alice, active_key="scan:1")
    assert refused.value.operation == first
    Operation.objects.filter(pk=first.pk).update(state=State.INTERRUPTED)
    second = start("count", alice, active_key="scan:1")
    first.refresh_from_db()
    assert first.superseded and not second.superseded
    assert list(Operation.objects.visible_to(alice).unfinished()) == [second]
    with pytest.raises(NotPossible):
        resume(first)


def test_a_worker_that_stops_leaves_it_pending_and_a_command_interrupted(alice, kind):
    def stopped(run: Run):
        Operation.objects.filter(pk=run.operation.pk).update(stop_requested=True)
        run.checkpoint()

    kind("stopped", stopped)
    assert execute(make(alice, kind="stopped").pk).state == State.PENDING

    def ctrl_c(run: Run):
        raise KeyboardInterrupt

    kind("ctrl-c", ctrl_c)
    operation = make(alice, kind="ctrl-c")
    with pytest.raises(KeyboardInterrupt):
        execute(operation.pk, foreground=True)
    operation.refresh_from_db()
    assert operation.state == State.INTERRUPTED and operation.can_resume


def test_work_that_kills_its_worker_every_time_is_given_up(alice):
    operation = make(alice)
    for _ in range(running.MOST_ATTEMPTS):
        assert claim(operation.pk) is not None
        Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1), worker="")
    assert claim(operation.pk) is None
    operation.refresh_from_db()
    assert operation.state == State.FAILED and "died 5 times" in operation.error


def test_progress_gives_rate_and_time_left(alice, monkeypatch):
    run = claim(make(alice).pk)
    run.phase("Reading", total=100)
    run._rate_from = (run._rate_from[0] - 2.0, 0)
    run.advance(10)
    run.checkpoint()
    operation = Operation.objects.get(pk=run.operation.pk)
    assert operation.rate == pytest.approx(5.0, rel=0.05)
    assert operation.eta_seconds == pytest.approx(18.0, rel=0.05)
    assert operation.fraction == pytest.approx(0.1)


def test_others_see_nothing_of_it(alice):
    charlie = User.objects.create_user("charlie")
    make(alice)
    assert not Operation.objects.visible_to(charlie).exists()


def test_an_owner_who_is_deleted_meanwhile_is_no_error(alice, kind):
    def work(run: Run):
        alice.delete()
        run.checkpoint()

    kind("work", work)
    assert execute(make(alice, kind="work").pk) is None


def test_start_gives_up_on_an_error_that_is_not_about_its_key(alice, monkeypatch):
    tries = []

    def refuse(**_):
        tries.append(1)
        raise IntegrityError("something else")

    monkeypatch.setattr(Operation.objects, "create", refuse)
    for key in ("", "scan:1"):
        with pytest.raises(IntegrityError):
            start("count", alice, active_key=key)
    assert 2 <= len(tries) <= 10


def test_progress_that_does_not_last_is_no_sign_of_life(alice):
    operation = make(alice)
    for _ in range(running.MOST_ATTEMPTS):
        run = claim(operation.pk)
        run.phase("Looking")
        run.advance(1000)
        run.checkpoint(is_lasting=False)
        Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1), worker="")
    assert claim(operation.pk) is None
    operation.refresh_from_db()
    assert operation.error_code == "worker_died"


def test_a_process_that_is_told_to_exit_leaves_its_work_to_the_next(alice, kind):
    def leaves(run: Run):
        raise SystemExit(0)

    kind("leaves", leaves)
    operation = make(alice, kind="leaves")
    with pytest.raises(SystemExit):
        execute(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.PENDING and operation.attempts == 0


def test_resume_when_the_other_one_ends_at_that_moment(alice, bell, monkeypatch):
    waiting = make(alice, state=State.INTERRUPTED, active_key="scan:1")
    make(alice, state=State.RUNNING, active_key="scan:1")
    with pytest.raises(AlreadyActive):
        resume(waiting)
    monkeypatch.setattr("operations.control.ACTIVE", ())
    with pytest.raises(NotPossible):
        resume(waiting)


def test_resume_loses_no_parameter_that_another_request_wrote(alice, bell):
    waiting = make(alice, state=State.FAILED, params={"library": "1"})
    Operation.objects.update(params={"library": "1", "answer": 2})
    resume(waiting, more=3)
    assert waiting.params == {"library": "1", "answer": 2, "more": 3}


def test_sweep_leaves_fresh_foreground_work_alone_and_does_not_flood_a_long_queue(alice, bell):
    start("count", alice, enqueue=False)
    now = timezone.now()
    queued = make(alice, enqueued_at=now - timedelta(minutes=2))
    Operation.objects.filter(pk=queued.pk).update(updated_at=now - timedelta(minutes=30))
    assert tasks.sweep() == 0
    Operation.objects.filter(pk=queued.pk).update(enqueued_at=now - timedelta(minutes=11))
    assert tasks.sweep() == 1


def test_a_stopping_worker_pauses_its_own_operations_only(alice):
    machine, _, process = identity().partition("|")
    own = make(alice, state=State.RUNNING, worker=f"{machine}|99:1|{process}")
    itself = make(alice, state=State.RUNNING, worker=f"{machine}|{process}|1:1")
    elsewhere = make(alice, state=State.RUNNING, worker=f"another-machine|99:1|{process}")
    pause_operations()
    paused = Operation.objects.filter(stop_requested=True)
    assert set(paused) == {own, itself} and elsewhere not in paused


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OperationalError("database or disk is full"),
        OperationalError("could not extend file: No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_a_sentence(alice, kind, error):
    def fills(run: Run):
        try:
            raise error
        except Exception as cause:
            raise ValueError("while writing a row") from cause

    kind("fills", fills)
    failed = execute(make(alice, kind="fills").pk)
    assert (failed.state, failed.error_code) == (State.FAILED, "no_space")
    assert "Free some space" in failed.error and "while writing a row" in failed.error_detail


def test_a_very_long_reason_is_cut(alice, kind):
    def talks(run: Run):
        raise OperationFailed("x" * 100_000)

    kind("talks", talks)
    assert len(execute(make(alice, kind="talks").pk).error) < 10_000


def test_a_stage_that_is_come_through_again_goes_on_counting(kind):
    claims = []

    def work(run: Run):
        claims.append(run.token)
        run.phase("Reading", total=5)
        run.advance(2 if len(claims) == 1 else 3)
        run.checkpoint()
        if len(claims) == 1:
            raise OperationFailed("The disk was full.")
        run.phase("Writing")

    kind("work", work)
    operation = start("work", User.objects.create_user("zoe"))
    execute(operation.pk)
    operation.refresh_from_db()
    resume(operation)
    stages = execute(operation.pk).metrics["stages"]
    assert [(stage["name"], stage["done"]) for stage in stages] == [("Reading", 5), ("Writing", 0)]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EIO, "Input/output error"), "io_error"),
        (sqlite3.OperationalError("disk I/O error"), "io_error"),
        (sqlite3.OperationalError("database or disk is full"), "no_space"),
    ],
)
def test_what_a_disk_did_is_said_without_a_traceback(kind, caplog, error, code):
    def work(run: Run):
        raise error

    kind("work", work)
    operation = execute(start("work", User.objects.create_user("zoe")).pk)
    assert (operation.state, operation.error_code) == (State.FAILED, code)
    assert operation.error.endswith("What was done stays.")
    assert not [record for record in caplog.records if record.exc_info]


def test_a_command_says_in_a_sentence_that_the_database_cannot_be_used(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "photolala.sqlite3").mkdir()  # no file at all
    environment = {**os.environ, "PHOTOLALA_DATA": str(folder)}
    environment.pop("PHOTOLALA_DATABASE", None)
    project = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "manage.py", "hashcache", "stats"],
        cwd=project,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert "The database could not be used" in said
    assert "Traceback" not in said


def taken_over(run):
    """Let the lease of `run` end, and somebody else claim it."""
    Operation.objects.filter(pk=run.operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1), worker="")
    successor = claim(run.operation.pk)
    assert successor is not None
    return successor


def test_who_was_overtaken_changes_nothing_of_the_row(alice, monkeypatch):
    run = claim(make(alice, params={"answer": 1}).pk)
    successor = taken_over(run)
    successor.advance(3)
    successor.checkpoint(place="here")
    before = Operation.objects.filter(pk=run.operation.pk).values().get()
    monkeypatch.setattr(runs, "lease_length", lambda: timedelta(0))
    monkeypatch.setattr(runs.connection, "close", lambda: None)
    run._heartbeat()  # in the instant in which a frozen process wakes; it ends by itself
    for late in (
        lambda: run.checkpoint(place="there"),
        lambda: run.forget_param("answer"),
        lambda: run.phase("Late"),
        run.raise_if_stopped,
    ):
        with pytest.raises(LeaseLost):
            late()
    for state in (State.COMPLETED, State.FAILED, State.CANCELLED, State.PENDING, State.INTERRUPTED):
        assert run.finish(state, result={"late": True}) is False
    assert Operation.objects.filter(pk=run.operation.pk).values().get() == before


def test_a_wish_to_cancel_that_comes_while_the_worker_stops_is_heard_by_the_next(alice, kind, monkeypatch):
    operation = make(alice, kind="stopped")

    def stopped(run: Run):
        Operation.objects.filter(pk=run.operation.pk).update(stop_requested=True)
        run.raise_if_stopped()

    finish = Run.finish

    def cancelled_before(self, state, **fields):
        cancel(Operation.objects.get(pk=self.operation.pk))
        return finish(self, state, **fields)

    kind("stopped", stopped)
    with monkeypatch.context() as moment:
        moment.setattr(Run, "finish", cancelled_before)
        assert execute(operation.pk).state == State.PENDING
    assert execute(operation.pk).state == State.CANCELLED


def test_kills_before_any_progress_do_not_give_up_what_was_accepted(alice, bell, django_capture_on_commit_callbacks):
    operation = make(alice)
    for _ in range(running.MOST_ATTEMPTS):
        assert claim(operation.pk) is not None
        Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1), worker="")
    assert claim(operation.pk) is None
    Operation.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()
    assert {key for key, _ in bell} == {str(operation.pk)}
    assert claim(operation.pk) is not None
