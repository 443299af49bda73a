"""Turns: one person's long work gives way to another's, goes on by itself, and comes to its end whatever waits."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from operations import control, runs, tasks, turns
from operations.kinds import KINDS, Kind
from operations.models import Operation, State, new_lease
from operations.overdue import overdue
from operations.running import MOST_ATTEMPTS, Run, claim, execute, start
from photolala.celery import app
from photolala.lib.process import worker_identity

pytestmark = pytest.mark.django_db
QUEUES = {"files", "scan"}
LONG = {"stages": [{"name": "Looking", "seconds": 100.0, "done": 0, "unit": "photos"}]}
"""Of work that has had its time."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No turn is too short, nothing is looked at too often, no time passes."""
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(turns, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(turns, "WAITED", timedelta(0))
    monkeypatch.setattr(turns, "consumed_queues", lambda: QUEUES)
    for module in (turns, runs):
        monkeypatch.setattr(module, "monotonic", lambda: 0.0)


@pytest.fixture
def broker(monkeypatch):
    """What was rung for and not heard yet."""
    rung = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: rung.append(args[0]))
    return rung


def hear_all(broker):
    """Hear the messages as the only worker, in their order; return how many there were."""
    count = 0
    while broker:
        tasks.run_operation(broker.pop(0))
        count += 1
        assert count < 100
    return count


@pytest.fixture
def kind(monkeypatch):
    def register(name, run, **options):
        monkeypatch.setitem(KINDS, name, Kind(name, name, "files", run, **options))

    return register


def make(owner, kind="count", waited=1, **fields):
    operation = Operation.objects.create(owner=owner, kind=kind, **fields)
    Operation.objects.filter(pk=operation.pk).update(updated_at=timezone.now() - timedelta(seconds=waited))
    return operation


def running_one(owner, kind="count", **fields):
    worker = {"worker": worker_identity(), **new_lease()}
    return make(owner, kind, state=State.RUNNING, token=1, started_at=timezone.now(), **worker, **fields)


def choose(operation):
    return turns.choose(operation.pk, QUEUES)


class Counting:
    """Counts to five in steps that are never done twice, and notes who did what; `at` is done at a step."""

    def __init__(self, log, at=None):
        self.log, self.at = log, at or {}

    def __call__(self, run: Run):
        counted = run.operation.checkpoint.get("counted", 0)
        run.phase("Counting", total=5)
        while counted < 5:
            counted += 1
            run.advance()
            run.checkpoint(stop=False, counted=counted)
            self.log.append((run.operation.owner.username, counted))
            self.at.pop((run.operation.owner.username, counted), lambda: None)()
            run.raise_if_stopped()
        return {"counted": counted}


def test_long_work_gives_way_to_another_person_between_two_batches_and_goes_on(alice, bob, kind, broker):
    log = []
    kind("count", Counting(log, {("alice", 2): lambda: broker.append(str(make(bob).pk))}))
    hers = make(alice, attempts=2, metrics=LONG)
    broker.append(str(hers.pk))
    hear_all(broker)
    names = [name for name, _ in log]
    assert names == ["alice"] * 2 + ["bob"] * 5 + ["alice"] * 3
    assert [step for name, step in log if name == "alice"] == [1, 2, 3, 4, 5]
    hers.refresh_from_db()
    assert (hers.state, hers.token, hers.error, hers.error_code) == (State.COMPLETED, 2, "", "")
    assert hers.metrics["turns"] == {"given": 1, "fruitless": 0}


def test_what_gave_way_is_pending_and_was_no_attempt(alice, bob, kind, broker):
    kind("count", lambda run: run.raise_if_stopped())
    hers = make(alice, attempts=3)
    make(bob)
    run = execute(hers.pk, turn=turns.Turn(QUEUES))
    assert (run.state, run.attempts, run.error, run.finished_at) == (State.PENDING, 3, "", None)
    assert run.metrics["turns"] == {"given": 1, "fruitless": 1}
    assert run.lease_until is None and claim(hers.pk).token == 2


def test_nobody_gives_way_in_a_command_or_to_nobody(alice, bob, kind):
    kind("count", Counting([]))
    assert execute(make(alice).pk, turn=turns.Turn(QUEUES)).state == State.COMPLETED
    make(bob)
    assert execute(make(alice).pk).state == State.COMPLETED


def test_what_waits_for_other_workers_or_for_a_command_is_not_waited_for(alice, bob, kind, monkeypatch):
    kind("count", Counting([]))
    monkeypatch.setitem(KINDS, "far", Kind("far", "far", "export", Counting([])))
    make(bob, "far")
    start("count", bob, enqueue=False)
    hers = make(alice)
    assert choose(hers) == hers.pk
    assert execute(hers.pk, turn=turns.Turn(QUEUES)).state == State.COMPLETED


def test_a_command_that_died_before_its_claim_leaves_its_work_to_the_workers(alice, kind):
    kind("count", Counting([]))
    left = start("count", alice, enqueue=False)
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert choose(left) == left.pk


def test_who_has_the_fewest_workers_comes_first(alice, bob, kind):
    kind("count", Counting([]))
    running_one(alice)
    hers = [make(alice, waited=100) for _ in range(3)]
    his = make(bob)
    assert {choose(one) for one in hers} == {his.pk}
    running_one(bob)
    running_one(bob)
    assert choose(his) == hers[0].pk


def test_who_had_no_worker_for_the_longest_comes_first(alice, bob, kind):
    kind("count", Counting([]))
    his = [make(bob, waited=100), make(bob, waited=50)]
    hers = [make(alice, waited=10), make(alice, waited=5)]
    done = []
    waiting = {one.pk: one for one in (*his, *hers)}
    while waiting:
        chosen = choose(next(iter(waiting.values())))
        done.append(waiting.pop(chosen).owner.username)
        execute(chosen)
    assert done == ["bob", "alice", "bob", "alice"]


def test_a_dead_worker_counts_for_nobody(alice, bob, kind):
    kind("count", Counting([]))
    Operation.objects.filter(pk=running_one(alice).pk).update(lease_until=None)
    running_one(bob)
    hers = make(alice)
    assert choose(make(bob, waited=100)) == hers.pk


def test_of_ones_own_work_the_short_comes_first_and_long_work_gives_way_to_it(alice, kind):
    kind("count", Counting([]))
    long = make(alice, waited=100, started_at=timezone.now(), metrics=LONG)
    short = make(alice)
    assert choose(long) == short.pk
    assert turns.is_waited_for(long, 1, QUEUES)
    assert not turns.is_waited_for(short, 1, QUEUES)


def test_long_work_gives_way_to_long_work_of_others_only_after_a_while(alice, bob, kind):
    kind("count", Counting([]))
    hers = make(alice)
    make(bob, started_at=timezone.now(), metrics=LONG)
    assert not turns.is_waited_for(hers, turns.LONG_TURN_SECONDS - 1, QUEUES)
    assert turns.is_waited_for(hers, turns.LONG_TURN_SECONDS, QUEUES)


def clock_of(monkeypatch):
    """A clock that stands until it is set."""
    monkeypatch.setattr(turns, "LEAST_SECONDS", 2.0)
    clock = [0.0]
    for module in (turns, runs):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    return clock


def test_turns_without_progress_grow_so_that_nothing_starves(alice, bob, kind, monkeypatch):
    clock = clock_of(monkeypatch)
    looked_through = []

    def look_through(run):
        run.phase("Looking", total=20)
        for _ in range(20):
            clock[0] += 1
            run.advance()
            run.checkpoint(is_lasting=False)
        looked_through.append(run.token)

    kind("look", look_through)
    kind("count", Counting([]))
    hers = make(alice, "look")
    make(bob)  # and it waits for ever
    for _ in range(4):
        assert execute(hers.pk, turn=turns.Turn(QUEUES)).state == State.PENDING
    assert execute(hers.pk, turn=turns.Turn(QUEUES)).state == State.COMPLETED
    assert looked_through == [5]  # turns of 2, 4, 8, 16 and 20 seconds


def test_a_turn_does_as_much_as_it_took_to_come_to_where_the_last_one_stopped(alice, bob, kind, monkeypatch):
    clock = clock_of(monkeypatch)
    done = []

    def read(run):
        run.phase("Looking")
        clock[0] += 10
        run.checkpoint(is_lasting=False)
        run.phase("Reading")
        for _ in range(100):
            clock[0] += 1
            run.advance()
            done.append(clock[0])
            run.checkpoint()

    kind("read", read)
    kind("count", Counting([]))
    hers = make(alice, "read", metrics={"turns": {"given": 4, "fruitless": 3}})
    make(bob)
    assert execute(hers.pk, turn=turns.Turn(QUEUES)).state == State.PENDING
    assert done[-1] == 22.0


def test_what_cannot_give_way_without_beginning_again_leaves_a_worker_to_others(alice, bob, kind, broker, settings):
    settings.WORKER_PROCESSES = 2
    log = []
    kind("convert", lambda run: log.append(run.operation.pk), starts_over=True)
    kind("count", Counting(log))
    first = running_one(alice, "convert")
    second, third = make(alice, "convert"), make(bob, "count")
    assert choose(second) == third.pk
    third.delete()
    assert choose(second) is None
    tasks.run_operation(str(second.pk))
    assert not log and not broker
    Operation.objects.filter(pk=first.pk).update(state=State.COMPLETED)
    settings.WORKER_PROCESSES = 1
    ended = make(bob, "convert")
    tasks.run_operation(str(ended.pk))
    assert broker == [str(second.pk)]


def test_what_is_held_back_is_not_overdue(alice, kind, monkeypatch, settings):
    settings.WORKER_PROCESSES = 2
    kind("convert", Counting([]), starts_over=True)
    monkeypatch.setitem(KINDS, "export", Kind("export", "export", "export", Counting([]), starts_over=True))
    first = running_one(alice, "export")
    waiting = make(alice, "convert", waited=600)
    assert overdue() == []
    first.delete()
    assert overdue() == [waiting]


def test_while_the_broker_is_away_the_worker_sees_to_both_itself(alice, bob, kind, monkeypatch):
    log = []
    kind("count", Counting(log, {("alice", 2): lambda: make(bob)}))

    def away(*_, **__):
        raise ConnectionError("no broker")

    monkeypatch.setattr(app, "send_task", away)
    tasks.run_operation(str(make(alice, metrics=LONG).pk))
    assert [name for name, _ in log] == ["alice"] * 2 + ["bob"] * 5 + ["alice"] * 3


def test_a_message_for_what_is_gone_or_done_takes_nothing(alice, bob, kind, broker):
    log = []
    kind("count", Counting(log))
    make(bob)
    tasks.run_operation(str(uuid4()))
    tasks.run_operation(str(make(alice, state=State.COMPLETED).pk))
    assert not log


def test_of_a_line_one_runs_and_its_end_calls_the_next(alice, bob, kind, broker, django_capture_on_commit_callbacks):
    log = []
    kind("count", Counting(log))
    first, second, third = (make(alice, "count", line="alice") for _ in range(3))
    broker.clear()
    tasks.run_operation(str(third.pk))  # whatever message comes first
    assert Operation.objects.get(pk=first.pk).state == State.COMPLETED
    assert broker[-1] == str(second.pk)
    with django_capture_on_commit_callbacks(execute=True):
        control.cancel(second)
    assert broker[-1] == str(third.pk)
    Operation.objects.filter(pk=third.pk).update(state=State.RUNNING, lease_until=None)  # its worker died
    fourth = make(alice, "count", line="alice")
    assert choose(fourth) is None
    assert not turns.is_waited_for(third, 1000, QUEUES)
    assert claim(fourth.pk) is None
    with pytest.raises(IntegrityError), transaction.atomic():
        Operation.objects.filter(pk=fourth.pk).update(state=State.RUNNING)
    assert choose(make(bob, "count", line="bob")) is not None


def test_what_is_given_up_or_deleted_calls_the_next_of_its_line(
    alice, kind, broker, django_capture_on_commit_callbacks
):
    kind("delete", lambda run: Operation.objects.filter(pk=run.operation.pk).delete())
    killer = running_one(alice, line="alice", attempts=MOST_ATTEMPTS)
    Operation.objects.filter(pk=killer.pk).update(lease_until=None)  # its worker died
    deleted, last = (make(alice, name, line="alice") for name in ("delete", "count"))
    with django_capture_on_commit_callbacks(execute=True):
        assert claim(killer.pk) is None
    assert broker == [str(deleted.pk)]
    with django_capture_on_commit_callbacks(execute=True):
        assert execute(deleted.pk) is None
    assert broker == [str(deleted.pk), str(last.pk)]
