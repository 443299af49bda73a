"""Which backups are kept, and which are made on a schedule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from exports.backup import schedule as schedules
from exports.backup.encryption import make_key
from exports.backup.retention import Keep, Made, to_delete
from exports.backup.status import backup_status
from exports.models import Backup, BackupSchedule
from exports.refusals import ExportRefused
from exports.tasks import make_backups
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_user

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def daily(count: int, *, bad: tuple[int, ...] = ()) -> list[Made]:
    """One a day, named by how many days ago; those in `bad` are not verified."""
    return [Made(days, NOW - timedelta(days=days), days not in bad) for days in range(count)]


def kept(made: list[Made], *keep: int) -> list[int]:
    gone = to_delete(made, Keep(*keep))
    assert gone == sorted(gone, reverse=True), "the oldest first"
    return sorted({one.key for one in made} - set(gone))


def test_the_newest_of_each_day_week_and_month_is_kept() -> None:
    # 2026-11-28 is a Saturday: the newest of the earlier weeks are Sundays, of the earlier months their last days.
    assert kept(daily(100), 3, 3, 3) == [0, 1, 2, 6, 13, 28, 59]


def test_of_one_day_the_newest_is_kept() -> None:
    made = [Made(hour, NOW - timedelta(hours=hour), is_verified=True) for hour in range(20)]
    assert kept(made, 2, 0, 0) == [0, 13]


def test_days_without_a_backup_do_not_count() -> None:
    made = [Made(days, NOW - timedelta(days=days), is_verified=True) for days in (0, 40, 80)]
    assert kept(made, 3, 0, 0) == [0, 40, 80]


def test_the_newest_verified_one_is_never_deleted_nor_anything_newer() -> None:
    assert kept(daily(10, bad=(0, 1, 2)), 0, 0, 0) == [0, 1, 2, 3]
    assert kept(daily(5, bad=(0, 1, 2, 3, 4)), 0, 0, 0) == [0, 1, 2, 3, 4]
    assert kept(daily(6, bad=(1, 2)), 2, 0, 0) == [0, 3], "what is not verified counts for no day"


def test_many_that_cannot_be_verified_stop_no_schedule() -> None:
    assert kept(daily(40, bad=tuple(range(30))), 2, 0, 0) == [*range(20), 30, 31]
    assert kept(daily(40, bad=tuple(range(40))), 2, 0, 0) == [*range(20)]


def made_by(user: Any, days: int, **values: Any) -> Backup:
    at = timezone.now() - timedelta(days=days)
    values = {"is_scheduled": True, "verified_at": at, "completed_at": at, **values}
    return Backup.objects.create(user=user, created_at=at, **values)


def test_a_schedule_makes_them_by_the_same_verb_and_thins_them_out(cast: Any) -> None:
    alice, bob = cast.alice, cast.bob
    key = make_key("a passphrase that nobody guesses")
    schedules.set_schedule(alice, "person", every_days=1, keep=Keep(1, 0, 0), recipient=key.recipient)
    schedules.set_schedule(bob, "person", every_days=0)
    mine, other = made_by(alice, 3, is_scheduled=False), made_by(bob, 3)
    old = made_by(alice, 2)
    elsewhere = made_by(alice, 4, parent="/somewhere")
    assert (make_backups(), make_backups()) == (1, 0), "the next one is due tomorrow"
    made = Backup.objects.get(user=alice, completed_at=None)
    assert (made.is_scheduled, made.recipient) == (True, key.recipient)
    operation = execute(made.operation_id)
    assert operation is not None
    assert operation.state == State.COMPLETED, operation.error
    make_backups()
    assert set(Backup.objects.all()) == {made, mine, other, elsewhere}, "what was asked for, or is another's, stays"
    assert not Backup.objects.filter(pk=old.pk).exists()
    BackupSchedule.objects.update(started_at=timezone.now() - timedelta(days=1, minutes=1))
    assert make_backups() == 1


def test_what_failed_goes_once_a_later_one_takes_its_place(cast: Any) -> None:
    def asked(state: str, **fields: Any) -> Backup:
        operation = Operation.objects.create(owner=cast.alice, kind="backup", state=state, **fields)
        return Backup.objects.create(user=cast.alice, operation=operation)

    failed, running = asked(State.FAILED), asked(State.RUNNING)
    superseded = asked(State.FAILED, superseded=True)
    Backup.objects.create(user=cast.alice)  # its operation ended long ago
    elsewhere = Backup.objects.create(user=cast.alice, parent="/somewhere")
    published = asked(State.CANCELLED, superseded=True)  # while it was verified
    published.path.mkdir(parents=True)
    left = published.parent_folder / f".partial-{superseded.pk}-1"
    left.mkdir()
    make_backups()
    assert set(Backup.objects.all()) == {failed, running, elsewhere, published}
    assert not left.exists()


def test_one_that_is_at_work_is_not_asked_for_again_and_who_left_gets_none(cast: Any) -> None:
    schedules.set_schedule(cast.alice, "person", every_days=7)
    assert make_backups() == 1
    BackupSchedule.objects.update(started_at=None)
    assert make_backups() == 0
    admin = make_user("root", is_superuser=True)
    schedules.set_schedule(admin, "server", every_days=7)
    admin.is_superuser = False
    admin.save()
    assert make_backups() == 0
    assert Operation.objects.filter(kind="backup").count() == 1
    told = dict(BackupSchedule.objects.values_list("scope", "refusal"))
    assert told["person"] == ""
    assert "administrator" in told["server"], "the page says why"
    schedules.set_schedule(cast.alice, "person", every_days=1)
    BackupSchedule.objects.update(refusal="Old", started_at=None)
    Operation.objects.update(state=State.COMPLETED)
    assert make_backups() == 1
    assert BackupSchedule.objects.get(scope="person").refusal == ""


def test_a_passphrase_is_kept_nowhere_and_encryption_can_end(cast: Any) -> None:
    schedule = schedules.set_schedule(cast.alice, "person", every_days=1, passphrase="a passphrase of alice's")
    assert schedule.recipient.startswith("age1")
    assert schedule.key_file.startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    assert "a passphrase of alice's" not in str(list(BackupSchedule.objects.values()))
    schedules.set_schedule(cast.alice, "person", every_days=7)
    schedule.refresh_from_db()
    assert schedule.recipient, "only what is given changes"
    schedules.set_schedule(cast.alice, "person", every_days=7, recipient="")
    schedule.refresh_from_db()
    assert (schedule.recipient, schedule.key_file) == ("", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"every_days": 2},
        {"every_days": 1, "keep": Keep(-1, 0, 0)},
        {"every_days": 1, "keep": Keep(0, 0, 61)},
        {"every_days": 1, "passphrase": "short"},
        {"every_days": 1, "recipient": "age1nonsense"},
        {"every_days": 1, "scope": "server"},
        {"every_days": 1, "scope": "everything"},
    ],
)
def test_what_cannot_be_scheduled_is_refused(cast: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ExportRefused):
        schedules.set_schedule(cast.alice, **{"scope": "person", **wrong})
    assert not BackupSchedule.objects.exists()


def test_it_says_when_the_last_verified_one_was_and_whether_that_is_long_ago(cast: Any) -> None:
    alice = cast.alice
    assert backup_status(alice).is_old
    old = made_by(alice, 20)
    made_by(alice, 1, verified_at=None)
    status = backup_status(alice)
    assert (status.verified, status.is_old) == (old, False)
    schedules.set_schedule(alice, "person", every_days=7)
    assert backup_status(alice).is_old, "two of them are overdue"
    assert backup_status(cast.bob).verified is None
