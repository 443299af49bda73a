"""What becomes of the backups of users who are deleted."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from exports.backup import left_behind
from exports.models import backups_folder, own_folder
from exports.tasks import purge_exports


@pytest.fixture
def days_later(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_days(days: float, *, is_suspect: bool = False) -> None:
        now = timezone.now() + timedelta(days=days)
        monkeypatch.setattr(left_behind, "time_ago", lambda length: now - length)
        monkeypatch.setattr("exports.tasks.is_suspect", lambda: is_suspect)

    return set_days


def backup_of(user: User) -> Path:
    """Return a file of a backup that is kept for `user`."""
    folder = backups_folder(user.pk)
    folder.mkdir(parents=True)
    file = folder / "backup_2026-11-28_12-00-00.zip"
    file.write_bytes(b"what they made")
    return file


def test_backups_of_a_deleted_user_are_kept_a_while_and_then_deleted(
    cast: Any, days_later: Any, tmp_path: Path
) -> None:
    file, other = backup_of(cast.bob), backup_of(cast.alice)
    copies = own_folder(cast.bob.pk) / "folders"
    copies.mkdir()
    outside = tmp_path / "outside"
    (outside / "backups").mkdir(parents=True)
    (file.parents[2] / "00000000-0000-4000-8000-000000000000").symlink_to(outside)
    cast.bob.delete()
    days_later(31, is_suspect=True)
    purge_exports()
    assert file.exists()
    days_later(29)
    purge_exports()
    (aside,) = (name for name in os.listdir(own_folder(copies.parent.name)) if name.startswith(".left-"))
    assert (copies.parent / aside / file.name).read_bytes() == b"what they made"
    days_later(31)
    purge_exports()
    assert os.listdir(copies.parent) == ["folders"]
    assert other.exists()
    assert (outside / "backups").exists()


def test_who_is_there_again_gets_them_back(cast: Any, days_later: Any) -> None:
    file, key = backup_of(cast.bob), cast.bob.pk
    cast.bob.delete()
    days_later(0)
    purge_exports()
    assert not file.exists()
    User.objects.create(pk=key, username="bob")
    days_later(31)
    purge_exports()
    assert file.read_bytes() == b"what they made"
