"""The records of bucket destinations that were forgotten."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from exports.destinations import left_behind
from exports.models import ExportDestination, own_folder

pytestmark = pytest.mark.django_db


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_they_are_kept_a_while_given_back_and_deleted_in_the_end(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ExportDestination.objects.create(owner=cast.alice, name="A", folder="s3://bucket/a")
    gone = ExportDestination.objects.create(owner=cast.alice, name="B", folder="s3://bucket/b")
    key = gone.pk
    for one in (kept, gone):
        one.records_folder.mkdir(parents=True)
        (one.records_folder / "export-records.log").write_bytes(b"only here")
    folder = own_folder(cast.alice.pk) / "records"
    (folder / "something else").mkdir()
    gone.delete()

    def swept(days: float) -> int:
        now = timezone.now() + timedelta(days=days)
        monkeypatch.setattr(left_behind, "time_ago", lambda length: now - length)
        return left_behind.sweep()

    assert swept(0) == 0
    (aside,) = [name for name in names(folder) if name.startswith(".left-")]
    assert aside.endswith(str(key))
    assert names(folder) == sorted([aside, str(kept.pk), "something else"])
    assert swept(29) == 0
    ExportDestination.objects.create(pk=key, owner=cast.alice, name="B", folder="s3://bucket/b")
    assert swept(31) == 0  # as after a restore of the database
    assert (folder / str(key) / "ExportRecords" / "export-records.log").read_bytes() == b"only here"
    ExportDestination.objects.filter(pk=key).delete()
    assert (swept(0), swept(31)) == (0, 1)
    assert names(folder) == sorted([str(kept.pk), "something else"])
