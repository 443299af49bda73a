"""Reading the copies of a destination: every kind of damage is found, and repaired beside what is there."""

import errno
import json
import os
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Photo
from exports.destinations.folders import add_destination
from exports.destinations.guard import DestinationGuard
from exports.destinations.transports import folders as local
from exports.ledger.load import LOG_NAME, view_ledger
from exports.ledger.records import RecordStatus
from exports.ledger.store import Ledger, Place
from exports.models import ExportDestination
from exports.originals import verify as verifying
from exports.originals.checks import start_verification
from exports.originals.requests import start_folder_export
from operations import control
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_library, make_photo

NAMES = ("whole", "rotten", "short", "gone", "swapped")


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    """One with five copies, and a record of another program whose copy has no digest."""
    made = add_destination(cast.alice, "Backup", "backup", "{year}/{month}/")
    for name in NAMES:
        make_photo(cast.library, f"{name}.jpg", data=name.encode())
    execute(start_folder_export(cast.alice, cast.library, made).pk)
    with Ledger(made.records_folder) as ledger:
        ledger.mark_exported("ABC/L0/001", Place(2020, 1, "2020/01/"), "MAC.HEIC")
    (made.path / "2020/01").mkdir(parents=True)
    (made.path / "2020/01/MAC.HEIC").write_bytes(b"apple")
    return made


def spoil(destination: ExportDestination) -> None:
    """Damage all but the first: one byte, its length, its being there, its being a file."""
    folder = destination.path / "2024/05"
    facts = (folder / "rotten.jpg").stat()
    (folder / "rotten.jpg").write_bytes(b"rotteN")
    os.utime(folder / "rotten.jpg", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (folder / "short.jpg").write_bytes(b"shor")
    (folder / "gone.jpg").unlink()
    (folder / "swapped.jpg").unlink()
    (folder / "swapped.jpg").symlink_to("whole.jpg")


def verify(cast: Any, destination: ExportDestination, *, repair: bool = False) -> Operation:
    ended = execute(start_verification(cast.alice, destination, repair=repair).pk)
    assert ended is not None
    return ended


def counts(operation: Operation) -> dict[str, int]:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    names = ("whole", "missing", "damaged", "unreadable", "without_digest", "repaired", "failed")
    return {name: operation.result[name] for name in names if operation.result[name]}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_bad_copy_is_found_and_nothing_is_changed(cast: Any, destination: ExportDestination) -> None:
    assert counts(verify(cast, destination)) == {"whole": 5, "without_digest": 1}
    spoil(destination)
    before = contents(destination.path)
    operation = verify(cast, destination)
    assert counts(operation) == {
        "whole": 1, "missing": 1, "damaged": 2, "unreadable": 1, "without_digest": 1, "failed": 4,
    }  # fmt: skip
    assert {problem["path"]: problem["reason"].split()[1] for problem in operation.result["problems"]} == {
        "2024/05/gone.jpg": "is",
        "2024/05/rotten.jpg": "bytes",
        "2024/05/short.jpg": "has",
        "2024/05/swapped.jpg": "cannot",
    }
    assert contents(destination.path) == before


def test_a_repair_copies_again_beside_what_is_there(cast: Any, destination: ExportDestination) -> None:
    spoil(destination)
    operation = verify(cast, destination, repair=True)
    assert counts(operation) == {
        "whole": 1, "missing": 1, "damaged": 2, "unreadable": 1, "without_digest": 1, "repaired": 4,
    }  # fmt: skip
    folder = destination.path / "2024/05"
    assert (folder / "rotten.jpg").read_bytes() == b"rotteN"
    assert (folder / "short.jpg").read_bytes() == b"shor"
    assert (folder / "swapped.jpg").is_symlink()
    assert {path.name: path.read_bytes() for path in folder.glob("* (1).jpg")} == {
        "rotten (1).jpg": b"rotten",
        "short (1).jpg": b"short",
        "swapped (1).jpg": b"swapped",
    }
    assert (folder / "gone.jpg").read_bytes() == b"gone"
    assert counts(verify(cast, destination)) == {"whole": 5, "without_digest": 1}
    again = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert (again.result["copied"], again.result["skipped"]) == (0, 5)


def test_a_copy_of_the_right_size_that_the_disk_does_not_give_is_copied_beside(
    cast: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = destination.path / "2024/05/rotten.jpg"
    inode, real_pread, real_md5 = copy.stat().st_ino, os.pread, local.md5_of_file

    def refuse(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def pread(descriptor: int, size: int, position: int) -> bytes:
        refuse(descriptor)
        return real_pread(descriptor, size, position)

    def md5_of_file(file: Any) -> str:
        refuse(file.fileno())
        return real_md5(file)

    monkeypatch.setattr(os, "pread", pread)
    monkeypatch.setattr(local, "md5_of_file", md5_of_file)
    assert counts(verify(cast, destination, repair=True)) == {
        "whole": 4, "unreadable": 1, "without_digest": 1, "repaired": 1,
    }  # fmt: skip
    assert copy.with_name("rotten (1).jpg").read_bytes() == b"rotten"


def test_what_no_library_has_any_more_is_told(cast: Any, destination: ExportDestination) -> None:
    spoil(destination)
    Photo.objects.get(filename="gone.jpg").delete()
    (cast.root / "short.jpg").unlink()
    other = make_library(cast.charlie, cast.root.parent / "foreign")
    Photo.objects.filter(filename="rotten.jpg").update(library=other)
    destination.libraries.add(other)  # charlie's, whatever the destination says
    operation = verify(cast, destination, repair=True)
    assert counts(operation)["repaired"] == 1
    assert counts(operation)["failed"] == 3
    last = {problem["path"]: problem["reason"] for problem in operation.result["problems"][-3:]}
    assert "none of the libraries" in last["2024/05/gone.jpg"]
    assert "none of the libraries" in last["2024/05/rotten.jpg"]
    assert "not copied again" in last["2024/05/short (1).jpg"]


def test_what_a_repair_could_not_replace_stays_bad_until_one_can(cast: Any, destination: ExportDestination) -> None:
    spoil(destination)
    away = cast.root.with_name("away")
    cast.root.rename(away)
    bad = {"whole": 1, "without_digest": 1, "failed": 4}
    found = {"missing": 1, "damaged": 2, "unreadable": 1}
    assert counts(verify(cast, destination, repair=True)) == bad | found
    later = verify(cast, destination, repair=True)
    assert counts(later) == bad
    assert "can be read now" in later.result["problems"][-1]["reason"]
    (destination.path / "2024/05/whole.jpg").unlink()
    assert counts(verify(cast, destination)) == {"missing": 1, "without_digest": 1, "failed": 5}

    away.rename(cast.root)
    (cast.root / "gone.jpg").rename(cast.root / ".hidden")
    in_vain = verify(cast, destination, repair=True)
    assert counts(in_vain) == {"missing": 1, "without_digest": 1, "repaired": 4, "failed": 1}
    assert "not copied again: The file is not in its place" in in_vain.result["problems"][-1]["reason"]
    checked = verify(cast, destination)
    assert (counts(checked)["failed"], checked.result["problems"]) == (1, in_vain.result["problems"][-1:])
    (cast.root / ".hidden").rename(cast.root / "gone.jpg")
    assert counts(verify(cast, destination, repair=True)) == {"whole": 4, "without_digest": 1, "repaired": 1}
    assert counts(verify(cast, destination)) == {"whole": 5, "without_digest": 1}


def test_an_export_that_fails_leaves_a_bad_copy_known_as_bad(cast: Any, destination: ExportDestination) -> None:
    spoil(destination)
    (cast.root / "gone.jpg").rename(cast.root / ".hidden")
    assert counts(verify(cast, destination, repair=True))["failed"] == 1
    exported = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert exported is not None
    assert exported.result["failed"] == 1
    checked = verify(cast, destination)
    assert counts(checked)["failed"] == 1
    assert checked.result["problems"][-1]["reason"].count("not copied again") == 1


def test_a_repair_that_is_killed_while_it_copies_is_done_by_the_next(cast: Any, destination: ExportDestination) -> None:
    (destination.path / "2024/05/gone.jpg").unlink()
    with Ledger(destination.records_folder) as ledger:
        record = ledger.export_info(str(Photo.objects.get(filename="gone.jpg").pk))
        assert record is not None
        ledger.put_all([replace(record, status=RecordStatus.IN_PROGRESS)])
    assert counts(verify(cast, destination))["failed"] == 1
    assert counts(verify(cast, destination, repair=True)) == {"whole": 4, "without_digest": 1, "repaired": 1}


def test_a_destination_without_records_has_nothing_to_read(cast: Any) -> None:
    ended = verify(cast, add_destination(cast.alice, "New", "new", "{year}/"))
    assert (ended.state, ended.error_code) == (State.FAILED, "no_records")
    assert "Nothing was exported" in ended.error


def test_an_unplugged_disk_has_no_bad_copies(cast: Any, destination: ExportDestination) -> None:
    away = destination.path.with_name("away")
    destination.path.rename(away)
    destination.path.mkdir()
    stopped = verify(cast, destination, repair=True)
    assert (stopped.state, stopped.error_code) == (State.FAILED, "destination")
    destination.path.rmdir()
    away.rename(destination.path)
    statuses = {record.status for record in view_ledger(destination.records_folder).state.sorted_records()}
    assert statuses == {RecordStatus.DONE}


def test_a_check_goes_on_where_it_was_stopped(
    cast: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(destination)
    read, seen = verifying.Verification._read, []

    def counted(self: verifying.Verification, record: Any) -> bool:
        seen.append(record.filename)
        return read(self, record)

    monkeypatch.setattr(verifying.Verification, "_read", counted)
    monkeypatch.setattr("operations.runs.PROGRESS_EVERY_SECONDS", 0)
    operation = start_verification(cast.alice, destination, repair=False)

    def stop(at_work: Operation) -> None:
        if at_work.done == 3:
            control.cancel(Operation.objects.get(pk=at_work.pk))

    stopped = execute(operation.pk, on_progress=stop)
    assert stopped is not None and stopped.state == State.CANCELLED
    control.resume(stopped)
    ended = execute(operation.pk)
    assert ended is not None
    assert counts(ended)["failed"] == 4
    assert len(ended.result["problems"]) == 4
    assert sorted(seen) == ["MAC.HEIC", *(f"{name}.jpg" for name in sorted(NAMES))]


def test_what_was_counted_after_a_checkpoint_is_not_in_it(cast: Any, destination: ExportDestination) -> None:
    spoil(destination)
    saved: list[dict[str, Any]] = []

    class Frozen:
        """A run whose progress was written once, and which was killed later."""

        operation = Operation(checkpoint={})

        def checkpoint(self, *, force: bool, **checkpoint: Any) -> None:
            if checkpoint:
                saved.append(checkpoint)

        def phase(self, *_: Any, **__: Any) -> None: ...

        def advance(self, done: int = 1) -> None: ...

    check = verifying.Verification(Frozen(), destination, DestinationGuard(destination))  # type: ignore[arg-type]
    check.read_all(view_ledger(destination.records_folder).state.sorted_records())
    for number, checkpoint in enumerate(saved, start=1):
        assert sum(checkpoint["counts"].values()) == number
        assert len(checkpoint["problems"]) == checkpoint["problem_count"]
    assert len(saved) == 6


def test_names_of_another_program_that_mean_no_file_end_no_check_and_no_export(
    cast: Any, destination: ExportDestination
) -> None:
    with Ledger(destination.records_folder) as ledger:
        first, second = [one for one in ledger.records() if one.extra][:2]
        ledger.put_all(
            [
                replace(first, filename="a\\x00b.jpg"),
                replace(second, rel_path="2024\\x00/05/"),
                replace(first, id="other", rel_path="2024\\05/"),
            ]
        )
    assert counts(verify(cast, destination)) == {"whole": 3, "missing": 3, "without_digest": 1, "failed": 3}
    again = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert again is not None
    assert (again.state, again.result["failed"]) == (State.COMPLETED, 0)


# -- the page and the API


def test_the_page_checks_and_shows_the_last_result(cast: Any, browser: Any, destination: ExportDestination) -> None:
    address = f"/destinations/{destination.pk}/"
    alice, charlie = browser(cast.alice), browser(cast.charlie)
    assert charlie.post(f"{address}verify/").status_code == 404
    spoil(destination)
    assert alice.post(f"{address}verify/").status_code == 302
    assert alice.post(f"{address}verify/").status_code == 409
    assert "Read every copy" not in alice.get(address).content.decode()
    operation = Operation.objects.get(kind="verify_destination")
    execute(operation.pk)
    page = alice.get(address).content.decode()
    assert "4 bad copies" in page
    assert f"/operations/{operation.pk}/" in page
    assert "2024/05/rotten.jpg" in alice.get(f"/operations/{operation.pk}/").content.decode()
    alice.post(f"{address}verify/", {"repair": "1"})
    execute(Operation.objects.get(kind="verify_destination", state=State.PENDING).pk)
    assert "all whole" in alice.get(address).content.decode()


def test_the_api_starts_a_check(cast: Any, api: Any, settings: Any, destination: ExportDestination) -> None:
    address = f"/api/v1/export-destinations/{destination.pk}/verify/"
    assert api(cast.charlie).post(address).status_code == 404
    assert api(None).post(address).status_code == 401
    alice = api(cast.alice)
    assert alice.post(address, {"repair": "perhaps"}).status_code == 400
    spoil(destination)
    started = alice.post(address, {"repair": True})
    assert started.status_code == 202
    assert alice.post(address).status_code == 409
    execute(started.json()["id"])
    result = alice.get(f"/api/v1/operations/{started.json()['id']}/").json()["result"]
    assert (result["damaged"], result["repaired"], result["failed"]) == (2, 4, 0)


# -- the command


def command(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("records", *words, stdout=out, stderr=StringIO())
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    except CommandError as refused:
        return refused.returncode, str(refused)
    return 0, out.getvalue()


def test_the_command_verifies_and_repairs(cast: Any, destination: ExportDestination, tmp_path: Path) -> None:
    where = ("--destination", str(destination.path))
    assert command("verify", *where)[0] == 0
    spoil(destination)
    code, out = command("verify", *where)
    assert code == 1
    assert "exported: 1 copies; " in out and "2024/05/rotten.jpg: Its bytes" in out
    code, out = command("verify", *where, "--repair", "--json")
    assert (code, json.loads(out)["repaired"]) == (1, 4)
    assert command("verify", *where)[0] == 0
    assert command("verify", "--destination", str(tmp_path))[0] == 2
    start_folder_export(cast.alice, cast.library, destination)
    code, out = command("verify", *where)
    assert code == 1
    assert "Other work" in out


def test_the_command_compacts_and_tells_what_was_wrong(destination: ExportDestination, tmp_path: Path) -> None:
    where = ("--destination", str(destination.path))
    with (destination.records_folder / LOG_NAME).open("ab") as log:
        log.write(b"garbage\n")
    code, out = command("compact", *where, "--json")
    body = json.loads(out)
    assert (code, body["records"], body["bad_lines"], len(body["record_problems"])) == (0, 6, 1, 1)
    assert command("compact", *where) == (0, "6 records in one snapshot.\n")
    with Ledger(destination.records_folder):
        code, out = command("compact", *where)
    assert (code, "Another export" in out) == (1, True)
    shutil.rmtree(destination.records_folder)
    assert command("compact", *where)[0] == 2
    assert not destination.records_folder.exists()
