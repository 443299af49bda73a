"""Export destinations come back with their ids, and their records where the folder has lost them and has the copies."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exports.bundle import layout
from exports.destinations.folders import add_destination
from exports.destinations.records import ledger_of
from exports.models import ExportDestination, Scope
from exports.originals.requests import start_folder_export
from operations.models import State
from operations.running import execute
from tests.exports.conftest import Cast
from tests.factories import make_photo, make_user

from .bundles import MADE, bundle, key
from .test_restoring import restore
from .test_round_trip import backup


def entry(folder: Path, **fields: Any) -> dict[str, Any]:
    return {
        "id": key("destination"), "name": "Disk", "folder": str(folder), "template": "{year}/", "owner": "alice",
        "createdAt": MADE, **fields,
    }  # fmt: skip


@pytest.fixture
def disk(cast: Cast) -> Path:
    folder = cast.root.parent / "disk"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("scope", list(Scope))
def test_they_come_back_with_their_records(cast: Cast, disk: Path, tmp_path: Path, scope: Scope) -> None:
    person = make_user("root", is_superuser=True) if scope == Scope.SERVER else cast.alice
    made = add_destination(cast.alice, "Disk", str(disk), "{year}/")
    photos = [make_photo(cast.library, f"{number}.jpg") for number in range(3)]
    exported = execute(start_folder_export(cast.alice, cast.library, made).pk)
    assert exported is not None
    assert exported.state == State.COMPLETED, exported.error
    first = backup(person, tmp_path / "first", scope)
    key_of_it = made.pk
    made.delete()
    kept = restore(person, first)  # the folder has its records itself
    again = ExportDestination.objects.get()
    assert kept.counts["destination"] == {"create": 1}
    assert (again.pk, again.owner, again.name, again.created_at) == (key_of_it, cast.alice, "Disk", made.created_at)
    assert (again.has_records, again.schedule) == (True, "")
    second = backup(person, tmp_path / "second", scope)
    for file in (layout.DESTINATIONS, layout.EXPORT_RECORDS):
        assert (second / file.name).read_bytes() == (first / file.name).read_bytes()
    assert restore(person, first).counts["destination"] == {"same": 1}

    again.delete()
    shutil.rmtree(disk / "ExportRecords")
    (disk / "2024" / "0.jpg").unlink()
    (disk / "2024" / "1.jpg").rename(tmp_path / "elsewhere.jpg")
    (disk / "2024" / "1.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    lost = restore(person, first)
    assert {record.id for record in ledger_of(made).state.sorted_records()} == {str(photos[2].pk)}
    assert ExportDestination.objects.get().has_records
    assert [one["reason"].partition(":")[0] for one in lost.problems] == ["2 copies are not in its folder any more"]


@pytest.mark.parametrize("given", [True, False, None])
def test_what_is_beside_photos_is_exported_only_where_it_was(
    cast: Cast, disk: Path, tmp_path: Path, given: bool | None
) -> None:
    """New destinations have it on; one of a backup that says nothing is older than that."""
    more = {} if given is None else {"withCompanions": given}
    restore(cast.alice, bundle(tmp_path / "backup", {layout.DESTINATIONS: [entry(disk, **more)]}))
    assert ExportDestination.objects.get().with_companions is bool(given)
    again = backup(cast.alice, tmp_path / "again", Scope.PERSON)
    (written,) = json.loads((again / layout.DESTINATIONS.name).read_bytes())["destinations"]
    assert written["withCompanions"] is bool(given)


def test_only_what_the_person_may_have_is_made(cast: Cast, disk: Path, tmp_path: Path) -> None:
    foreign = ExportDestination.objects.create(owner=cast.charlie, name="Theirs", folder=str(disk / "theirs"))
    away, outside = disk.parent / "away", tmp_path / "outside"
    outside.mkdir()
    lists = [
        entry(disk, id=str(foreign.pk)),
        entry(disk, id=key("of charlie's"), owner="charlie"),
        entry(disk / "theirs", id=key("taken")),
        entry(away, id=key("away")),
        entry(outside, id=key("outside")),
        entry(cast.root, id=key("in a library")),
        entry(disk, id=key("bad template"), template="{owner}/"),
    ]
    path = bundle(tmp_path / "backup", {layout.DESTINATIONS: lists})
    dry, done = restore(cast.alice, path, dry_run=True), restore(cast.alice, path)
    assert dry.counts == done.counts == {"destination": {"left": len(lists)}}
    assert dry.differences == done.differences
    assert list(ExportDestination.objects.values_list("pk", "name")) == [(foreign.pk, "Theirs")]
    assert "Theirs" not in json.dumps(done.differences)


def test_records_that_are_none_are_noted_and_what_is_here_stays(cast: Cast, disk: Path, tmp_path: Path) -> None:
    (disk / "2024").mkdir()
    (disk / "2024" / "a.jpg").write_bytes(b"a")
    good = {"id": "a", "year": 2024, "month": 5, "relPath": "2024/", "filename": "a.jpg", "status": "done"}
    records = [good, {**good, "id": "b", "relPath": "../../"}, {**good, "id": "c", "status": "perhaps"}]
    lists = {
        layout.DESTINATIONS: [entry(disk)],
        layout.EXPORT_RECORDS: [{"destinationId": key("destination"), "record": record} for record in records],
    }
    path = bundle(tmp_path / "backup", lists)
    assert restore(cast.alice, path).problem_count == 2
    made = ExportDestination.objects.get()
    assert [record.id for record in ledger_of(made).state.sorted_records()] == ["a"]
    renamed = bundle(tmp_path / "renamed", {layout.DESTINATIONS: [entry(disk, name="Other")]})
    assert restore(cast.alice, renamed).counts["destination"] == {"keep": 1}
    assert restore(cast.alice, renamed, "replace").counts["destination"] == {"update": 1}
    assert ExportDestination.objects.get().name == "Other"
