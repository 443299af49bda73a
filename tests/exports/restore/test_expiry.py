"""What people sent to be restored is not kept for ever."""

import os
import shutil
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from exports.models import Restore, restores_folder
from exports.restore.requests import start_sent
from exports.tasks import purge_exports
from operations.models import Operation, State
from tests.exports.conftest import Cast


@pytest.fixture
def days_later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many days pass, for what the schedule deletes."""

    def set_days(days: float, *, is_suspect: bool = False) -> None:
        now = timezone.now() + timedelta(days=days)
        monkeypatch.setattr("exports.restore.expiry.time_ago", lambda length: now - length)
        monkeypatch.setattr("exports.tasks.is_suspect", lambda: is_suspect)

    return set_days


def sent(user: Any, state: str, **fields: Any) -> Restore:
    """Return a restore of what `user` sent, its operation in that state."""
    restore = start_sent(user, [b"PK what was sent"], "mine.zip", "merge")
    Operation.objects.filter(pk=restore.operation_id).update(state=state, active_key="")
    Restore.objects.filter(pk=restore.pk).update(**fields)
    return Restore.objects.get(pk=restore.pk)


def test_what_is_not_confirmed_for_two_weeks_is_forgotten_with_its_file(cast: Cast, days_later: Any) -> None:
    compared = sent(cast.alice, State.COMPLETED, compared_at=timezone.now())
    failed = sent(cast.bob, State.FAILED)
    at_work = sent(cast.charlie, State.RUNNING)
    done = sent(cast.alice, State.COMPLETED, completed_at=timezone.now())  # killed before its file was deleted
    done.report_file.write_text("{}\n")
    days_later(13)
    purge_exports()
    assert {compared.pk, failed.pk, at_work.pk, done.pk} == set(Restore.objects.values_list("pk", flat=True))
    assert compared.sent_file.read_bytes() == b"PK what was sent"
    assert [path.name for path in done.folder.iterdir()] == ["report.jsonl"]
    days_later(15, is_suspect=True)
    purge_exports()
    assert compared.sent_file.exists()  # the clock may be wrong
    days_later(15)
    purge_exports()
    assert {at_work.pk, done.pk} == set(Restore.objects.values_list("pk", flat=True))
    assert sorted(path.name for path in restores_folder().iterdir()) == sorted(map(str, (at_work.pk, done.pk)))
    assert done.report_file.exists()


def test_what_was_compared_late_is_kept_from_then(cast: Cast, days_later: Any) -> None:
    restore = sent(cast.alice, State.COMPLETED, compared_at=timezone.now() + timedelta(days=10))
    days_later(20)
    purge_exports()
    assert restore.sent_file.exists()


def test_what_a_deleted_user_sent_goes_after_two_weeks_and_nothing_else_there(
    cast: Cast, days_later: Any, tmp_path: Path
) -> None:
    restore = sent(cast.bob, State.COMPLETED, compared_at=timezone.now())
    cast.bob.delete()
    other = restores_folder() / "not-a-restore"
    other.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    link = restores_folder() / str(uuid.uuid4())
    link.symlink_to(outside)
    os.utime(outside, (0, 0))
    days_later(13)
    purge_exports()
    assert restore.sent_file.exists()
    days_later(15)
    purge_exports()
    assert not restore.folder.exists()
    assert other.exists()
    assert outside.exists()
    assert link.is_symlink()


def test_a_disk_that_does_not_delete_hinders_nothing_else(
    cast: Cast, days_later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    restores = [sent(cast.bob, State.COMPLETED, compared_at=timezone.now()) for _ in range(2)]
    cast.bob.delete()
    first, second = sorted(restores, key=lambda one: str(one.pk))
    delete = shutil.rmtree

    def fails(path: Any, **more: Any) -> None:
        if Path(path) == first.folder:
            raise PermissionError(1, "not permitted")
        delete(path, **more)

    monkeypatch.setattr("exports.restore.expiry.shutil.rmtree", fails)
    days_later(15)
    purge_exports()
    assert first.folder.exists()
    assert not second.folder.exists()
