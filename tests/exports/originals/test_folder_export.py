"""The export of originals into dated folders: each once, never over another file, and always to be resumed."""

import errno
import hashlib
import json
import os
import shutil
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.identity.aliases import note_aliases
from catalog.models import Photo
from exports.destinations.folders import add_destination, check_folder, destination_for_command
from exports.destinations.transports import folders as local
from exports.ledger import original_copy
from exports.ledger.load import view_ledger
from exports.ledger.original_copy import CopyFailed
from exports.ledger.records import RecordStatus
from exports.ledger.store import Ledger, Place
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations import control
from operations.models import Operation, State
from operations.running import AlreadyActive, execute
from tests.factories import make_library, make_photo


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    return add_destination(cast.alice, "Backup", "backup", "{year}/{month}/")


def export(cast: Any, destination: ExportDestination, library: Any = None, on_progress: Any = None) -> Operation:
    operation = start_folder_export(cast.alice, library or cast.library, destination)
    ended = execute(operation.pk, on_progress=on_progress)
    assert ended is not None
    return ended


def counts(operation: Operation) -> dict[str, int]:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {name: operation.result[name] for name in ("copied", "skipped", "adopted", "failed")}


def files_in(destination: ExportDestination) -> dict[str, bytes]:
    return {
        str(path.relative_to(destination.path)): path.read_bytes()
        for path in destination.path.rglob("*")
        if path.is_file() and path.parent.name != "ExportRecords"
    }


def records_of(destination: ExportDestination) -> dict[str, Any]:
    return {record.id: record for record in view_ledger(destination.records_folder).state.sorted_records()}


@pytest.mark.promise("S0-001", "S0-002", "S0-003", "S0-005", "S0-011", "S0-U17")
def test_originals_go_to_the_month_they_were_taken_in_and_are_recorded(cast: Any, destination: Any) -> None:
    photo = make_photo(cast.library, "a/IMG_1.JPG", taken=datetime(2025, 2, 10, 10, tzinfo=UTC))
    twin = make_photo(cast.library, "b/IMG_1.JPG", taken=datetime(2025, 2, 9, 10, tzinfo=UTC))
    undated = make_photo(cast.library, "x.png", taken=None)
    os.utime(cast.root / "x.png", ns=(0, 1_080_000_000_000_000_000))
    type(undated).objects.filter(pk=undated.pk).update(mtime_ns=1_080_000_000_000_000_000)
    make_photo(cast.library, "gone.jpg", state="missing", is_shown=False, on_disk=False)
    operation = export(cast, destination)
    assert counts(operation) == {"copied": 3, "skipped": 0, "adopted": 0, "failed": 0}
    assert files_in(destination) == {
        "2025/02/IMG_1.JPG": (cast.root / "a/IMG_1.JPG").read_bytes(),
        "2025/02/IMG_1 (1).JPG": (cast.root / "b/IMG_1.JPG").read_bytes(),
        "2004/03/x.png": (cast.root / "x.png").read_bytes(),
    }
    found = records_of(destination)
    assert {key: (r.rel_path, r.filename, str(r.status)) for key, r in found.items()} == {
        str(photo.pk): ("2025/02/", "IMG_1.JPG", "done"),
        str(twin.pk): ("2025/02/", "IMG_1 (1).JPG", "done"),
        str(undated.pk): ("2004/03/", "x.png", "done"),
    }
    taken = (destination.path / "2025/02/IMG_1.JPG").stat().st_mtime
    assert taken == datetime(2025, 2, 10, 10, tzinfo=UTC).timestamp()


@pytest.mark.promise("S0-U08", "S0-034")
def test_what_is_done_is_left_alone_and_what_is_gone_or_changed_is_exported_again(cast: Any, destination: Any) -> None:
    photos = [make_photo(cast.library, f"{number}.jpg") for number in range(4)]
    export(cast, destination)
    assert counts(export(cast, destination)) == {"copied": 0, "skipped": 4, "adopted": 0, "failed": 0}
    (destination.path / "2024/05/0.jpg").unlink()
    changed = photos[1]
    (cast.root / "1.jpg").write_bytes(b"edited bytes")
    facts = (cast.root / "1.jpg").stat()
    changed.photo_md5 = hashlib.md5(b"edited bytes").hexdigest()
    changed.size_bytes, changed.mtime_ns = facts.st_size, facts.st_mtime_ns
    changed.save()
    moved = photos[2]
    moved.taken_local = datetime(2023, 1, 1, tzinfo=UTC)
    moved.save()
    before = files_in(destination)["2024/05/1.jpg"]
    export(cast, destination)
    found = files_in(destination)
    assert found["2024/05/0.jpg"] == (cast.root / "0.jpg").read_bytes()
    assert (found["2024/05/1.jpg"], found["2024/05/1 (1).jpg"]) == (before, b"edited bytes")
    assert counts(export(cast, destination))["skipped"] == 4


@pytest.mark.promise("X-01")
def test_a_star_in_the_file_makes_no_new_photo_of_it(cast: Any, destination: Any) -> None:
    photo = make_photo(cast.library, "a.jpg")
    export(cast, destination)
    before = files_in(destination)
    (cast.root / "a.jpg").write_bytes(b"the same picture with a star")
    facts = (cast.root / "a.jpg").stat()
    old, new = photo.photo_md5, hashlib.md5(b"the same picture with a star").hexdigest()
    type(photo).objects.filter(pk=photo.pk).update(photo_md5=new, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)
    note_aliases(cast.library, [(old, new)])
    assert counts(export(cast, destination)) == {"copied": 0, "skipped": 1, "adopted": 0, "failed": 0}
    assert files_in(destination) == before


@pytest.mark.promise("X-08")
def test_a_photo_whose_date_was_changed_is_exported_to_its_new_month(cast: Any, destination: Any) -> None:
    photo = make_photo(cast.library, "a.jpg")
    export(cast, destination)
    type(photo).objects.filter(pk=photo.pk).update(taken_local=datetime(2023, 1, 1, tzinfo=UTC))
    assert counts(export(cast, destination))["skipped"] == 0
    assert records_of(destination)[str(photo.pk)].rel_path == "2023/01/"
    assert "2023/01/a.jpg" in files_in(destination)


@pytest.mark.promise("S0-U17")
def test_a_file_of_somebody_else_is_never_touched(cast: Any, destination: Any) -> None:
    make_photo(cast.library, "a.jpg")
    folder = destination.path / "2024/05"
    folder.mkdir(parents=True)
    (folder / "A.JPG").write_bytes(b"somebody else's")
    (folder / "a (1).jpg").symlink_to("/etc/hostname")
    export(cast, destination)
    assert (folder / "A.JPG").read_bytes() == b"somebody else's"
    assert (folder / "a (1).jpg").is_symlink()
    assert (folder / "a (2).jpg").read_bytes() == (cast.root / "a.jpg").read_bytes()


def test_copies_that_lost_their_records_are_taken_for_what_they_are(cast: Any, destination: Any) -> None:
    for name in ("a/x.jpg", "b/x.jpg"):
        make_photo(cast.library, name, data=b"the same bytes")
    export(cast, destination)
    before = files_in(destination)
    assert sorted(before) == ["2024/05/x (1).jpg", "2024/05/x.jpg"]
    shutil.rmtree(destination.records_folder)
    refused = export(cast, destination)
    assert (refused.state, refused.error_code) == (State.FAILED, "destination")
    assert "Is its disk" in refused.error or "not mounted" in refused.error
    ExportDestination.objects.update(has_records=False)
    assert counts(export(cast, destination)) == {"copied": 0, "skipped": 0, "adopted": 2, "failed": 0}
    assert files_in(destination) == before


@pytest.mark.parametrize(
    "names",
    [
        [unicodedata.normalize(form, f"{folder}/\u00e9.jpg") for form, folder in (("NFC", "a"), ("NFD", "b"))],
        ["a/x.jpg", "b/X.JPG", "c/x.jpg"],
        ["a/x.jpg", "b/x (1).jpg", "c/x.jpg"],
    ],
    ids=["Unicode forms", "case", "numbers"],
)
@pytest.mark.parametrize("is_same", [True, False], ids=["same bytes", "other bytes"])
def test_twins_of_a_name_are_found_again_without_their_records(
    cast: Any, destination: Any, names: list[str], is_same: bool
) -> None:
    for number, name in enumerate(names):
        make_photo(
            cast.library,
            name,
            data=b"the same bytes" if is_same else name.encode(),
            taken=datetime(2024, 5, 1 + number, tzinfo=UTC),
        )
    export(cast, destination)
    before = files_in(destination)
    assert len(before) == len(names)
    shutil.rmtree(destination.records_folder)
    ExportDestination.objects.update(has_records=False)
    assert counts(export(cast, destination)) == {"copied": 0, "skipped": 0, "adopted": len(names), "failed": 0}
    assert files_in(destination) == before


@pytest.mark.promise("S0-015")
def test_what_cannot_be_read_is_recorded_with_its_reason_and_the_rest_goes_on(cast: Any, destination: Any) -> None:
    gone = make_photo(cast.library, "gone.jpg", on_disk=False)
    changed = make_photo(cast.library, "changed.jpg")
    (cast.root / "changed.jpg").write_bytes(b"other")
    rotten = make_photo(cast.library, "rotten.jpg", photo_md5="0" * 32)
    make_photo(cast.library, "good.jpg")
    operation = export(cast, destination)
    assert counts(operation) == {"copied": 1, "skipped": 0, "adopted": 0, "failed": 3}
    assert list(files_in(destination)) == ["2024/05/good.jpg"]
    found = records_of(destination)
    for photo in (gone, changed, rotten):
        record = found[str(photo.pk)]
        assert (record.status, record.year, record.month) == (RecordStatus.FAILED, 2024, 5)
        assert record.last_error
    assert {problem["path"] for problem in operation.result["problems"]} == {"gone.jpg", "changed.jpg", "rotten.jpg"}


def test_a_symlinked_month_is_refused_and_nothing_leaves_the_destination(
    cast: Any, destination: Any, tmp_path: Path
) -> None:
    make_photo(cast.library, "a.jpg")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (destination.path / "2024").symlink_to(elsewhere)
    assert counts(export(cast, destination))["failed"] == 1
    assert list(elsewhere.iterdir()) == []


@pytest.mark.promise("S0-U13")
def test_a_full_disk_stops_it_with_a_sentence_and_it_goes_on_later(
    cast: Any, destination: Any, monkeypatch: Any
) -> None:
    for number in range(5):
        make_photo(cast.library, f"{number}.jpg")
    copy, calls = local.copy_original, []

    def full(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise CopyFailed(28, "2.jpg was not copied (No space left on device). Free some space.")
        return copy(*args, **options)

    monkeypatch.setattr(local, "copy_original", full)
    stopped = export(cast, destination)
    assert (stopped.state, stopped.error_code) == (State.FAILED, "destination")
    assert "Free some space" in stopped.error
    assert len(files_in(destination)) == 2
    control.resume(stopped)
    ended = execute(stopped.pk)
    assert counts(ended) == {"copied": 3, "skipped": 2, "adopted": 0, "failed": 0}


def test_a_name_that_the_disk_refuses_fails_alone_though_it_is_no_unicode(
    cast: Any, destination: Any, monkeypatch: Any
) -> None:
    make_photo(cast.library, "a.jpg", data=b"a")
    odd = make_photo(cast.library, r"odd\xff.jpg", data=b"odd")
    (cast.root / r"odd\xff.jpg").rename(os.fsdecode(os.fsencode(cast.root) + b"/odd\xff.jpg"))
    rename = original_copy._rename_without_replacing

    def as_exfat(folder: int, old: str, new: str) -> None:
        if "odd" in new:
            raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ), new)
        rename(folder, old, new)

    with monkeypatch.context() as patch:
        patch.setattr(original_copy, "_rename_without_replacing", as_exfat)
        ended = export(cast, destination)
    assert counts(ended) == {"copied": 1, "skipped": 0, "adopted": 0, "failed": 1}
    [problem] = ended.result["problems"]
    assert problem["reason"].startswith(r"odd\xff.jpg was not copied to ")
    assert records_of(destination)[str(odd.pk)].last_error == problem["reason"]
    assert counts(export(cast, destination)) == {"copied": 1, "skipped": 1, "adopted": 0, "failed": 0}


def test_an_unplugged_destination_stops_it_before_anything_is_written_elsewhere(cast: Any, destination: Any) -> None:
    for number in range(40):
        make_photo(cast.library, f"{number}.jpg", taken=datetime(2000 + number, 1, 1, tzinfo=UTC))
    away = destination.path.with_name("away")

    def unplug(operation: Operation) -> None:
        if operation.done >= 16 and not away.exists():
            destination.path.rename(away)
            destination.path.mkdir()  # the bare mount point

    stopped = export(cast, destination, on_progress=unplug)
    assert (stopped.state, stopped.error_code) == (State.FAILED, "destination")
    assert "mounted" in stopped.error
    assert list(destination.path.iterdir()) == []
    destination.path.rmdir()
    away.rename(destination.path)
    control.resume(stopped)
    assert counts(execute(stopped.pk))["failed"] == 0
    assert len(files_in(destination)) == 40


def test_a_killed_copy_leaves_nothing_where_its_photo_does_not_belong_any_more(
    cast: Any, destination: Any, monkeypatch: Any
) -> None:
    photo = make_photo(cast.library, "a.jpg", taken=datetime(2018, 3, 1, tzinfo=UTC))

    def killed(descriptor: int, folder: Any, *words: Any, **options: Any) -> Any:
        with open(
            ".photolala-0123456789abcdef.partial", "wb", opener=lambda *name: os.open(*name, dir_fd=folder.descriptor)
        ):
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(local, "copy_original", killed)
        with pytest.raises(SystemExit):
            export(cast, destination)
    left = destination.path / "2018" / "03" / ".photolala-0123456789abcdef.partial"
    assert left.exists()
    Photo.objects.filter(pk=photo.pk).update(taken_local=datetime(2019, 1, 1, tzinfo=UTC), taken_day=20190101)
    assert counts(execute(Operation.objects.get(kind="export_folder").pk))["failed"] == 0
    assert not left.exists() and (destination.path / "2019" / "01" / "a.jpg").exists()


def test_a_destination_that_is_not_there_is_said(cast: Any, destination: Any) -> None:
    destination.path.rmdir()
    stopped = export(cast, destination)
    assert (stopped.state, stopped.error_code) == (State.FAILED, "destination")
    assert not destination.path.exists()


def test_cancel_stops_within_the_group_and_resume_completes(cast: Any, destination: Any) -> None:
    for number in range(40):
        make_photo(cast.library, f"{number}.jpg")

    def stop(operation: Operation) -> None:
        if operation.done == 16:
            control.cancel(Operation.objects.get(pk=operation.pk))

    stopped = export(cast, destination, on_progress=stop)
    assert stopped.state == State.CANCELLED
    assert len(files_in(destination)) == 16
    control.resume(stopped)
    assert counts(execute(stopped.pk)) == {"copied": 24, "skipped": 16, "adopted": 0, "failed": 0}
    assert len(files_in(destination)) == 40


def test_two_libraries_share_a_destination_and_one_export_runs_at_a_time(cast: Any, destination: Any) -> None:
    other = make_library(cast.alice, cast.root.parent / "other", name="Other")
    make_photo(cast.library, "x.jpg")
    make_photo(other, "x.jpg")
    waiting = start_folder_export(cast.alice, cast.library, destination)
    with pytest.raises(AlreadyActive):
        start_folder_export(cast.alice, other, destination)
    execute(waiting.pk)
    export(cast, destination, other)
    assert sorted(files_in(destination)) == ["2024/05/x (1).jpg", "2024/05/x.jpg"]


def test_records_that_the_macos_app_wrote_are_known_and_kept(cast: Any, destination: Any) -> None:
    photo = make_photo(cast.library, "a.jpg")
    with Ledger(destination.records_folder) as ledger:
        ledger.mark_exported("ABC/L0/001", Place(2020, 1, "2020/01/"), "MAC.HEIC")
        ledger.mark_exported(str(photo.pk), Place(2024, 5, "2024/05/"), "a.jpg")
    (destination.path / "2024/05").mkdir(parents=True)
    shutil.copy(cast.root / "a.jpg", destination.path / "2024/05/a.jpg")
    assert counts(export(cast, destination))["skipped"] == 1
    assert records_of(destination)["ABC/L0/001"].filename == "MAC.HEIC"


def test_a_name_that_another_program_did_not_escape_stops_no_export(cast: Any, destination: Any) -> None:
    make_photo(cast.library, "a.jpg")
    with Ledger(destination.records_folder) as ledger:
        ledger.mark_exported("ABC/L0/001", Place(2024, 5, "2024/05/"), "A\\B.HEIC")
    (destination.path / "2024/05").mkdir(parents=True)
    (destination.path / "2024/05" / "A\\B.HEIC").write_bytes(b"apple")
    assert counts(export(cast, destination))["copied"] == 1
    ended = execute(start_verification(cast.alice, destination, repair=False).pk)
    assert ended is not None
    assert (ended.result["whole"], ended.result["without_digest"], ended.result["failed"]) == (1, 1, 0)


# -- which folders may be destinations


def test_destinations_lie_where_their_owner_may_write_and_nowhere_else(
    cast: Any, settings: Any, tmp_path: Path
) -> None:
    allowed = tmp_path / "allowed" / "backup"
    assert add_destination(cast.alice, "", str(allowed), "{year}/{month}/").path == allowed
    own = add_destination(cast.alice, "", "mine", "{year}/")
    assert own.path == Path(settings.EXPORTS_DIR) / str(cast.alice.pk) / "folders" / "mine"
    (tmp_path / "allowed" / "link").symlink_to(tmp_path)
    for folder in (
        *("/etc", str(tmp_path), str(tmp_path / "allowed"), "../x", "a/b", ".", "", "x\0y", ".hidden"),
        *(str(cast.root), str(cast.root / "inside"), str(allowed), str(allowed / "inside")),
        *(str(tmp_path / "allowed" / "link" / "x"), str(tmp_path / "allowed" / "a" / ".." / ".." / "x")),
    ):
        with pytest.raises(ExportRefused):
            add_destination(cast.bob, "", folder, "{year}/{month}/")
    with pytest.raises(ExportRefused):
        check_folder(cast.bob, str(own.path))
    with pytest.raises(ExportRefused, match="colour"):
        add_destination(cast.alice, "", "other", "{colour}/")
    with pytest.raises(ExportRefused):
        add_destination(cast.alice, "", "other", "../{year}/")
    assert ExportDestination.objects.count() == 2


def test_a_command_may_name_any_folder_but_anothers(cast: Any, tmp_path: Path) -> None:
    first = destination_for_command(cast.alice, tmp_path / "anywhere")
    assert destination_for_command(cast.alice, tmp_path / "anywhere").pk == first.pk
    with pytest.raises(ExportRefused, match="another user"):
        destination_for_command(cast.bob, tmp_path / "anywhere")
    with pytest.raises(ExportRefused, match="library"):
        destination_for_command(cast.alice, cast.root / "below")
    with pytest.raises(ExportRefused):
        check_folder(cast.alice, first.folder, but=first)  # not from the page: only the operator may


def test_the_records_are_what_the_format_says(cast: Any, destination: Any) -> None:
    photo = make_photo(cast.library, "Größe \\x.jpg".replace("\\", "\\\\"), on_disk=False)
    (cast.root / "Größe \\x.jpg").write_bytes(b"bytes")
    facts = (cast.root / "Größe \\x.jpg").stat()
    values = {"size_bytes": 5, "mtime_ns": facts.st_mtime_ns, "photo_md5": hashlib.md5(b"bytes").hexdigest()}
    type(photo).objects.filter(pk=photo.pk).update(**values)
    export(cast, destination)
    body = json.loads((destination.records_folder / "export-records.json").read_bytes())
    [record] = [value for value in body.values() if isinstance(value, dict)]
    assert {name: record[name] for name in ("id", "year", "month", "relPath", "filename", "status")} == {
        "id": str(photo.pk),
        "year": 2024,
        "month": 5,
        "relPath": "2024/05/",
        "filename": "Größe \\\\x.jpg",
        "status": "done",
    }
    assert (destination.path / "2024/05" / "Größe \\x.jpg").read_bytes() == b"bytes"
