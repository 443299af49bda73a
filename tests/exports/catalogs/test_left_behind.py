"""What becomes of the files of exports when their user is deleted."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from exports.catalogs import left_behind
from exports.models import Export, own_folder
from exports.tasks import purge_exports

pytestmark = pytest.mark.django_db


def make_export(cast: Any, user: Any) -> Export:
    """Make an export with a file in its folder, as a run leaves it."""
    export = Export.objects.create(user=user, library=cast.library, library_name="L", format="csv")
    (export.folder / "media").mkdir(parents=True)
    (export.folder / "media" / "a.jpg").write_bytes(b"a")
    return export


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def days_later(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_days(days: float) -> None:
        now = timezone.now() + timedelta(days=days)
        monkeypatch.setattr(left_behind, "time_ago", lambda length: now - length)
        monkeypatch.setattr("exports.tasks.is_suspect", lambda: False)

    return set_days


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_killed", [False, True], ids=["", "killed before the files were set aside"])
def test_exports_of_a_deleted_user_are_kept_a_while_and_then_deleted(
    cast: Any, days_later: Any, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    export, other = make_export(cast, cast.bob), make_export(cast, cast.alice)
    copies = own_folder(cast.bob.pk) / "folders" / "copies"
    copies.mkdir(parents=True)
    (copies / "IMG.JPG").write_bytes(b"original")
    folder, name = export.folder, export.folder_name
    with monkeypatch.context() as dying:
        if is_killed:
            dying.setattr(left_behind, "set_aside", lambda folder: None)
        cast.bob.delete()
    days_later(0)
    assert purge_exports() == 0
    [aside, _] = names(folder.parent)
    assert aside.startswith(".left-")
    assert aside.endswith(name)
    days_later(29)
    assert purge_exports() == 0
    assert (folder.parent / aside / "media" / "a.jpg").read_bytes() == b"a"
    days_later(31)
    assert (purge_exports(), purge_exports()) == (1, 0)
    assert names(folder.parent) == ["folders"]
    assert (copies / "IMG.JPG").read_bytes() == b"original"
    assert (other.folder / "media" / "a.jpg").read_bytes() == b"a"


def test_an_export_that_is_there_again_gets_its_files_back(cast: Any, days_later: Any) -> None:
    export = make_export(cast, cast.alice)
    key, folder = export.pk, export.folder
    export.delete()
    days_later(0)
    purge_exports()
    assert not folder.exists()
    export.pk = key
    export.save(force_insert=True)  # as a restored database has it
    days_later(31)
    assert purge_exports() == 0
    assert (folder / "media" / "a.jpg").read_bytes() == b"a"


def test_nothing_else_in_the_folder_is_touched(cast: Any, days_later: Any, tmp_path: Path) -> None:
    export = make_export(cast, cast.alice)
    own = own_folder(cast.alice.pk)
    (tmp_path / "elsewhere").mkdir()
    (own / f"2020-01-01_00-00-00_{export.pk.hex}").mkdir()
    (own / "2020-01-01_00-00-00_00000000-0000-0000-0000-000000000000").symlink_to(tmp_path / "elsewhere")
    (own / ".left-20200101T000000Z-notes").mkdir()
    before = names(own)
    days_later(31)
    assert purge_exports() == 0
    assert names(own) == before
