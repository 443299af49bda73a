"""Records that are lost are rebuilt from the copies: only what is certain, and no file is touched."""

import json
import os
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Alias, Photo
from exports.destinations.folders import add_destination
from exports.destinations.restored import AddedRecords, add_records
from exports.ledger.load import view_ledger
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger, Place
from exports.models import ExportDestination
from exports.originals.requests import start_folder_export, start_rebuild
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_library, make_photo

COUNTS = ("total", "matched", "known", "ambiguous", "unmatched", "recorded")


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    """One with three exported copies."""
    made = add_destination(cast.alice, "Backup", "backup", "{year}/{month}/")
    for name in ("a", "b", "c"):
        make_photo(cast.library, f"{name}.jpg", data=name.encode())
    execute(start_folder_export(cast.alice, cast.library, made).pk)
    return made


def rebuild(cast: Any, destination: ExportDestination, *, apply: bool = False, library: Any = None) -> Operation:
    ended = execute(start_rebuild(cast.alice, library or cast.library, destination, apply=apply).pk)
    assert ended is not None
    return ended


def counts(operation: Operation) -> dict[str, int]:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {name: operation.result[name] for name in COUNTS if operation.result[name]}


def reasons(operation: Operation) -> dict[str, str]:
    return {one["path"]: one["reason"] for one in operation.result["problems"]}


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file() and "ExportRecords" not in path.parts]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def records(destination: ExportDestination) -> dict[str, Any]:
    return {one.id: one for one in view_ledger(destination.records_folder).state.sorted_records()}


def test_lost_records_are_rebuilt_so_that_an_export_copies_nothing_again(cast: Any, destination: Any) -> None:
    before, files = records(destination), everything(destination.path)
    shutil.rmtree(destination.records_folder)
    failed = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert (failed.state, "rebuild them" in failed.error) == (State.FAILED, True)  # type: ignore[union-attr]
    looked = rebuild(cast, destination)
    assert counts(looked) == {"total": 3, "matched": 3}
    assert not destination.records_folder.exists()
    assert counts(rebuild(cast, destination, apply=True)) == {"total": 3, "matched": 3, "recorded": 3}
    after = records(destination)
    names = ("year", "month", "rel_path", "filename", "status", "extra")
    assert {key: [getattr(one, name) for name in names] for key, one in after.items()} == {
        key: [getattr(one, name) for name in names] for key, one in before.items()
    }
    assert counts(rebuild(cast, destination, apply=True)) == {"total": 3, "known": 3}
    exported = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert (exported.result["copied"], exported.result["skipped"]) == (0, 3)  # type: ignore[union-attr]
    assert everything(destination.path) == files


def test_only_what_is_certain_is_recorded(cast: Any, destination: Any, tmp_path: Path) -> None:
    shutil.rmtree(destination.records_folder)
    month = destination.path / "2024/05"
    make_photo(cast.library, "one/twin.jpg", data=b"twin")
    make_photo(cast.library, "two/twin.jpg", data=b"twin")
    make_photo(cast.library, "new.jpg", data=b"as it is now")
    starred = make_photo(cast.library, "starred.jpg", data=b"with a star")
    Alias.objects.create(
        library=cast.library, old_md5="8ff953dd97c4405234a04291dee39e0b", new_md5=starred.photo_md5
    )  # of b"star" before
    unread = make_photo(cast.library, "unread.jpg", data=b"unread")
    Photo.objects.filter(pk=unread.pk).update(photo_md5="")
    files = {"twin.jpg": b"twin", "new.jpg": b"as it was", "stranger.jpg": b"a", "c (1).jpg": b"c", ".hidden.jpg": b"a"}
    for name, data in {**files, "starred.jpg": b"star", "unread.jpg": b"unread"}.items():
        (month / name).write_bytes(data)
    shutil.copy2(month / "a.jpg", month / "unread.jpg.mtime")
    facts = (month / "unread.jpg.mtime").stat()
    os.utime(month / "unread.jpg", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (month / "unread.jpg.mtime").unlink()
    (month / "b.jpg").rename(month / "b (2).jpg")
    (month / "link.jpg").symlink_to("a.jpg")
    for other in ("2024/13", "0000/05", "2024/05/inner", "x/05", "2023/05"):
        (destination.path / other).mkdir(parents=True)
        (destination.path / other / "a.jpg").write_bytes(b"a")
    (tmp_path / "elsewhere" / "05").mkdir(parents=True)
    (destination.path / "2022").symlink_to(tmp_path / "elsewhere")
    kept = everything(destination.path)
    ended = rebuild(cast, destination, apply=True)
    assert reasons(ended) == {
        "2023/05/a.jpg": "No photo of that month has this name.",
        "2024/05/stranger.jpg": "No photo of that month has this name.",
        "2024/05/new.jpg": "A photo of that month has this name, but other bytes.",
        "2024/05/twin.jpg": "2 photos of that month have this name and these bytes.",
        "2024/05/c (1).jpg": "The photo has another copy, which is recorded.",
    }
    assert counts(ended) == {"total": 10, "matched": 5, "ambiguous": 3, "unmatched": 2, "recorded": 5}
    found = {one.filename: one.extra.get("photoMD5") for one in records(destination).values()}
    assert set(found) == {"a.jpg", "b (2).jpg", "c.jpg", "starred.jpg", "unread.jpg"}
    assert (found["starred.jpg"], found["unread.jpg"]) == ("8ff953dd97c4405234a04291dee39e0b", None)
    assert everything(destination.path) == kept


def test_what_is_recorded_as_done_stays_and_a_failure_is_replaced(cast: Any, destination: Any) -> None:
    first, second, third = (str(pk) for pk in Photo.objects.order_by("filename").values_list("pk", flat=True))
    place = Place(2024, 5, "2024/05/")
    with Ledger(destination.records_folder) as ledger:
        ledger.mark_exported(first, Place(2020, 1, "2020/01/"), "elsewhere.jpg")
        ledger.mark_failed(second, "Disk full", place)
        ledger.remove(third)
    assert counts(rebuild(cast, destination, apply=True)) == {"total": 3, "matched": 2, "ambiguous": 1, "recorded": 2}
    found = records(destination)
    assert (found[first].rel_path, found[first].filename) == ("2020/01/", "elsewhere.jpg")
    assert [found[key].status for key in (second, third)] == [RecordStatus.DONE, RecordStatus.DONE]
    assert found[second].last_error is None


def test_an_unplugged_disk_and_a_foreign_library_record_nothing(cast: Any, destination: Any) -> None:
    shutil.move(destination.path, destination.path.with_name("unplugged"))
    assert rebuild(cast, destination, apply=True).state == State.FAILED
    destination.path.mkdir()
    assert counts(rebuild(cast, destination, apply=True)) == {}
    assert list(destination.path.iterdir()) == []
    foreign = make_library(cast.charlie, cast.root.parent / "charlies")
    refused = rebuild(cast, destination, apply=True, library=foreign)
    assert (refused.state, "not yours to see" in refused.error) == (State.FAILED, True)


def test_the_api_the_page_and_the_command(cast: Any, destination: Any, api: Any, browser: Any) -> None:
    shutil.rmtree(destination.records_folder)
    address = f"/api/v1/export-destinations/{destination.pk}/rebuild/"
    body = {"library": str(cast.library.pk)}
    assert api(cast.charlie).post(address, body, format="json").status_code == 404
    foreign = make_library(cast.charlie, cast.root.parent / "charlies")
    assert api(cast.alice).post(address, {"library": str(foreign.pk)}, format="json").status_code == 404
    started = api(cast.alice).post(address, body, format="json")
    assert started.status_code == 202
    assert api(cast.alice).post(address, body, format="json").status_code == 409
    execute(started.json()["id"])
    assert api(cast.alice).get(started["Location"]).json()["result"]["matched"] == 3
    page = f"/destinations/{destination.pk}/"
    assert browser(cast.charlie).post(f"{page}rebuild/", body).status_code == 404
    assert browser(cast.alice).post(f"{page}rebuild/", {}).status_code == 422
    shown = browser(cast.alice).get(page).content.decode()
    assert "of 3 files 0 recorded before, 3 recognised" in shown
    assert browser(cast.alice).post(f"{page}rebuild/", {**body, "apply": "1"}).status_code == 302
    execute(Operation.objects.get(kind="rebuild_records", state=State.PENDING).pk)
    assert len(records(destination)) == 3
    told = StringIO()
    arguments = ["rebuild", "--destination", str(destination.path), "--library", str(cast.library.pk), "--json"]
    call_command("records", *arguments, stdout=told)
    assert (json.loads(told.getvalue())["known"], json.loads(told.getvalue())["recorded"]) == (3, 0)


def test_records_of_odd_names_are_imported_and_of_names_that_no_file_has_are_not(
    destination: ExportDestination,
) -> None:
    known = len(records(destination))
    (destination.path / os.fsdecode(b"2024/05/odd\xff.jpg")).write_bytes(b"odd")
    odd = ExportRecord("odd", 2024, 5, "2024/05/", RecordStatus.DONE, None, "odd\\xff.jpg")
    too_long = replace(odd, id="too long", filename="x" * 300)
    assert add_records(destination, [odd, too_long]) == AddedRecords(added=1, away=1)
    assert len(records(destination)) == known + 1


def test_records_of_elsewhere_are_told_and_imported_where_their_copies_are(
    cast: Any, destination: ExportDestination, tmp_path: Path
) -> None:
    before = records(destination)
    assert len(before) == 3
    away = tmp_path / "elsewhere"
    (destination.path / "ExportRecords").rename(away)
    with Ledger(away) as ledger:
        ledger.mark_failed("never copied", "The disk was full.", Place(2024, 5, "2024/05/"))
    gone, here, *_ = sorted(before)
    path = next(iter(destination.path.rglob(before[gone].filename)))
    path.unlink()
    with Ledger(destination.records_folder) as ledger:
        ledger.put_all([before[here]])

    def imported(source: Path, *words: str) -> dict[str, Any]:
        told = StringIO()
        call_command(
            "records", "import", "--destination", str(destination.path), "--from", str(source), "--json", *words,
            stdout=told,
        )  # fmt: skip
        return json.loads(told.getvalue())  # type: ignore[no-any-return]

    expected = {"added": 1, "known": 1, "away": 1, "record_problems": []}
    assert imported(away) == {**expected, "applied": False}
    assert len(records(destination)) == 1
    assert imported(away, "--apply") == {**expected, "applied": True}
    assert records(destination) == {key: record for key, record in before.items() if key != gone}
    assert imported(away, "--apply")["added"] == 0
    with pytest.raises(CommandError, match="no export records in"):
        imported(cast.root)
