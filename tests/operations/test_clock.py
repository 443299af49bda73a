"""The clock: what a jump of the wall clock must not lead to, and how long something has been there."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from operations import clock, tasks
from operations.models import ClockMark, ClockReading, Operation, State, new_lease
from operations.purging import purge_finished
from operations.running import claim
from photolala.broker.timetable import Every, Timetable
from photolala.celery import app
from photolala.lib.process import worker_identity

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


class Machine:
    """A machine whose boot clock and wall clock are moved by hand."""

    def __init__(self, monkeypatch, traveller):
        self.boot, self.name, self.traveller = 5_000.0, "first start", traveller
        monkeypatch.setattr(clock, "boot_seconds", lambda: self.boot)
        monkeypatch.setattr(clock, "boot_id", lambda: self.name)

    def lives(self, length, step=timedelta(hours=1)):
        """Let time pass, and look at the clock now and then as the schedule does."""
        until = self.boot + length.total_seconds()
        while self.boot < until:
            self.boot += step.total_seconds()
            self.traveller.shift(step)
            clock.look()

    def is_set(self, by):
        self.traveller.shift(by)

    def starts_again(self, off_for):
        self.name, self.boot = f"start at {timezone.now()}", 10.0
        self.traveller.shift(off_for)


@pytest.fixture
def machine(monkeypatch):
    ClockReading.objects.all().delete()
    ClockMark.objects.all().delete()
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as traveller:
        machine = Machine(monkeypatch, traveller)
        clock.look()
        yield machine


def is_older_than(moment, length):
    return moment <= clock.time_ago(length)


def test_days_of_being_there_are_counted(machine):
    given = timezone.now()
    machine.lives(29 * DAY)
    assert not is_older_than(given, 30 * DAY) and is_older_than(given, 28 * DAY)
    machine.lives(2 * DAY)
    assert is_older_than(given, 30 * DAY)
    assert not clock.is_suspect() and clock.jumps(30 * DAY) == []


def test_a_year_ahead_for_ten_seconds_makes_nothing_old(machine):
    machine.lives(2 * DAY)
    given = timezone.now()
    machine.is_set(YEAR)
    assert not is_older_than(given, DAY) and clock.is_suspect()
    machine.lives(timedelta(seconds=10), step=timedelta(seconds=5))
    machine.is_set(-YEAR)
    assert clock.is_suspect()
    assert [round(jump.seconds / DAY.total_seconds()) for jump in clock.jumps(DAY)] == [-365, 365]
    machine.lives(DAY + timedelta(hours=1))
    assert not clock.is_suspect() and clock.jumps(DAY) == []
    assert is_older_than(given, DAY) and not is_older_than(given, 3 * DAY)


def test_a_clock_that_stays_wrong_makes_nothing_old_before_its_days_have_passed(machine):
    given = timezone.now()
    machine.is_set(YEAR)
    machine.lives(29 * DAY)
    assert not clock.is_suspect() and not is_older_than(given, 30 * DAY)
    machine.lives(2 * DAY)
    assert is_older_than(given, 30 * DAY)


def test_a_day_that_was_marked_while_the_clock_was_ahead_is_not_believed(machine):
    machine.is_set(YEAR)
    machine.lives(DAY)
    machine.is_set(-YEAR)
    machine.lives(2 * DAY)
    given = timezone.now()
    machine.lives(timedelta(hours=12))
    assert not is_older_than(given, DAY)


def test_time_during_which_the_machine_was_off_does_not_count(machine):
    given = timezone.now()
    machine.lives(20 * DAY)
    machine.starts_again(off_for=40 * DAY)
    assert not is_older_than(given, 30 * DAY) and not clock.is_suspect()
    machine.lives(11 * DAY)
    assert is_older_than(given, 30 * DAY)


def test_a_start_with_an_empty_battery_is_a_jump(machine):
    machine.lives(DAY)
    machine.starts_again(off_for=-20 * YEAR)
    assert clock.is_suspect()


def test_two_machines_count_the_same_days_once(machine, monkeypatch):
    machine.lives(DAY)
    other = 77.0
    lived = clock.look().lived_seconds
    for _ in range(24):
        machine.name, mine, machine.boot = "other machine", machine.boot, other
        clock.look()
        machine.name, machine.boot, other = "first start", mine, other + 3600
        machine.lives(timedelta(hours=1))
    assert clock.look().lived_seconds - lived == pytest.approx(DAY.total_seconds(), abs=1)


def test_operations_are_not_forgotten_by_a_clock_that_jumped(machine, alice):
    Operation.objects.create(owner=alice, kind="scan", state=State.CANCELLED, finished_at=timezone.now())
    machine.lives(DAY)
    machine.is_set(YEAR)
    assert purge_finished() == 0
    machine.lives(2 * DAY)
    assert purge_finished() == 0
    machine.lives(29 * DAY)
    assert purge_finished() == 1


# Leases


def test_a_jump_of_the_wall_clock_ends_no_lease_of_this_machine(alice):
    operation = Operation.objects.create(
        owner=alice, kind="scan", state=State.RUNNING, worker=worker_identity(), **new_lease()
    )
    with time_machine.travel(timezone.now() + YEAR):
        assert not operation.lease_is_dead() and claim(operation.pk) is None
    Operation.objects.update(lease_until=operation.lease_until - timedelta(hours=1))
    operation.refresh_from_db()
    with time_machine.travel(timezone.now() - YEAR):
        assert operation.lease_is_dead()


def test_a_lease_elsewhere_that_is_not_renewed_ends_whatever_the_clock_says(alice, monkeypatch):
    far = timezone.now() + YEAR
    operation = Operation.objects.create(
        owner=alice, kind="scan", state=State.RUNNING, worker="other|1:2", lease_until=far
    )
    rung, at = [], [100.0]
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: rung.append(args[0]))
    monkeypatch.setattr(tasks, "boot_seconds", lambda: at[0])
    assert tasks.sweep() == 0
    at[0] += 100.0
    assert tasks.sweep() == 0
    at[0] += 100.0
    assert tasks.sweep() == 1 and rung == [str(operation.pk)]
    assert claim(operation.pk) is not None


def test_work_that_was_rung_for_in_the_future_is_rung_for(alice, monkeypatch):
    Operation.objects.create(owner=alice, kind="scan", enqueued_at=timezone.now() + timedelta(hours=1))
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: None)
    assert tasks.sweep() == 1


# The schedule


def test_the_schedule_goes_on_when_the_clock_was_ahead_for_a_moment(monkeypatch):
    rung = []
    monkeypatch.setattr(Timetable, "setup_schedule", lambda self: None)
    monkeypatch.setattr(Timetable, "apply_entry", lambda self, entry, producer=None: rung.append(entry.name))
    monkeypatch.setattr(Timetable, "schedule", {})
    monkeypatch.setattr(Timetable, "producer", None)
    timetable = Timetable(app, schedule_filename="unused")
    entries = {
        name: {"task": name, "schedule": Every(seconds)} for name, seconds in (("often", 20.0), ("seldom", 60.0))
    }
    timetable.schedule = {name: timetable._maybe_entry(name, entry) for name, entry in entries.items()}
    timetable.reserve = lambda entry: (
        timetable.schedule.__setitem__(entry.name, next(entry)) or timetable.schedule[entry.name]
    )

    def ticks(at, count=4):
        rung.clear()
        with time_machine.travel(at, tick=False):
            for _ in range(count):
                timetable.tick()
        return sorted(rung)

    start = timezone.now()
    ticks(start)
    assert ticks(start + timedelta(seconds=25)) == ["often"]
    assert "often" in ticks(start + YEAR)
    assert "often" in ticks(start + timedelta(seconds=50))
    assert "often" in ticks(start + timedelta(seconds=75))
    assert "seldom" in ticks(start - timedelta(hours=1))
    assert "often" in ticks(start - timedelta(hours=1) + timedelta(seconds=25))


def test_what_the_settings_give_in_seconds_is_due_every_so_many_seconds(settings, monkeypatch):
    monkeypatch.setattr(Timetable, "setup_schedule", lambda self: None)
    timetable = Timetable(app, schedule_filename="unused")
    entries = [timetable._maybe_entry(name, entry) for name, entry in settings.CELERY_BEAT_SCHEDULE.items()]
    assert all(isinstance(entry.schedule, Every) for entry in (*entries, *(next(entry) for entry in entries)))
    assert [entry.schedule.seconds for entry in entries] == [
        entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()
    ]


def test_doctor_tells_of_jumps(machine):
    from catalog.examinations.clock import examine_clock
    from catalog.examinations.findings import Severity

    assert list(examine_clock()) == []
    machine.is_set(timedelta(hours=-3))
    (finding,) = examine_clock()
    assert finding.code == "clock.jumped" and finding.severity == Severity.WARNING
    assert "set back by 3 h" in finding.sentence
    machine.lives(2 * DAY)
    assert [one.severity for one in examine_clock()] == [Severity.NOTE]
