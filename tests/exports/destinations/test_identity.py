"""A destination is known again wherever its disk is mounted, and nothing is exported to the disk of another one."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from exports.destinations.changing import forget_destination
from exports.destinations.folders import add_destination
from exports.destinations.moving import move_destination
from exports.ledger.identity import IDENTITY_NAME, Identity, decode_identity, encode_identity, read_identity
from exports.models import ExportDestination
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_photo


@pytest.fixture
def destination(cast: Any, tmp_path: Path) -> ExportDestination:
    make_photo(cast.library, "a.jpg", data=b"first")
    return add_destination(cast.alice, "Disk", str(tmp_path / "allowed" / "disk"), "{year}/")


def export(cast: Any, destination: ExportDestination) -> Operation:
    ended = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert ended is not None
    return ended


def remounted(destination: ExportDestination, name: str = "elsewhere") -> Path:
    """Let the destination's disk be mounted under another name, and return that."""
    there = destination.path.with_name(name)
    destination.path.rename(there)
    return there


def identity_of(folder: Path) -> UUID | None:
    found = read_identity(folder / "ExportRecords")
    return found.id if found else None


def test_the_file_says_the_id_and_no_foreign_bytes_break_its_reader(tmp_path: Path) -> None:
    identity = Identity(uuid4(), "Disk “1”")
    assert decode_identity(encode_identity(identity)) == identity
    assert json.loads(encode_identity(identity))["version"] == 1
    for data in (b"", b"{", b"[]", b'{"id": 7}', b'{"id": "x"}', b"\xff", b" " * 20_000, b"[" * 9_000):
        assert decode_identity(data) is None
    os.mkfifo(tmp_path / IDENTITY_NAME)
    with pytest.raises(OSError, match="not a file"):
        read_identity(tmp_path)


@pytest.mark.promise("S0-U10")
def test_an_export_writes_it_once_and_goes_on_where_the_disk_is_mounted_now(
    cast: Any, destination: ExportDestination
) -> None:
    assert export(cast, destination).state == State.COMPLETED
    file = destination.records_folder / IDENTITY_NAME
    assert identity_of(destination.path) == destination.pk
    before = file.stat().st_ino
    export(cast, destination)
    assert file.stat().st_ino == before
    there = remounted(destination)
    failed = export(cast, destination)
    assert failed.state == State.FAILED
    assert "say so on the destination's page" in failed.error
    moved = move_destination(cast.alice, destination, str(there))
    assert (moved.pk, moved.path) == (destination.pk, there)
    make_photo(cast.library, "b.jpg", data=b"second")
    result = export(cast, moved).result
    assert (result["copied"], result["skipped"]) == (1, 1)


def test_another_disk_in_its_place_gets_nothing(cast: Any, destination: ExportDestination, tmp_path: Path) -> None:
    export(cast, destination)
    there = remounted(destination)
    other = add_destination(cast.alice, "Other", str(tmp_path / "allowed" / "other"), "{year}/")
    export(cast, other)
    other.path.rename(destination.path)
    make_photo(cast.library, "b.jpg", data=b"second")
    failed = export(cast, destination)
    assert (failed.state, failed.error_code) == (State.FAILED, "destination")
    assert "records of another destination (“Other”)" in failed.error
    assert not list(destination.path.rglob("b.jpg"))
    with pytest.raises(ExportRefused, match="records of another destination"):
        move_destination(cast.alice, other, str(there))


def test_forgotten_and_added_again_it_has_its_id(cast: Any, destination: ExportDestination) -> None:
    export(cast, destination)
    key, there = destination.pk, remounted(destination)
    with pytest.raises(ExportRefused, match="your destination “Disk”, which was in"):
        add_destination(cast.alice, "", str(there), "{year}/")
    forget_destination(destination)
    assert add_destination(cast.alice, "", str(there), "{year}/").pk == key


def test_a_copy_of_the_folder_is_a_destination_of_its_own(cast: Any, destination: ExportDestination) -> None:
    export(cast, destination)
    call = destination.path.with_name("copy")
    os.system(f"cp -r '{destination.path}' '{call}'")
    copy = add_destination(cast.alice, "Copy", str(call), "{year}/")
    assert copy.pk != destination.pk
    assert (identity_of(call), identity_of(destination.path)) == (copy.pk, destination.pk)


def test_only_a_folder_that_has_its_records_and_that_one_may_have(
    cast: Any, destination: ExportDestination, tmp_path: Path
) -> None:
    export(cast, destination)
    empty = tmp_path / "allowed" / "empty"
    empty.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    for folder, words in ((empty, "has no ExportRecords"), (outside, "not free"), (cast.root, "overlaps")):
        with pytest.raises(ExportRefused, match=words):
            move_destination(cast.alice, destination, str(folder))
    with pytest.raises(ExportRefused, match="There is no folder"):
        move_destination(cast.alice, destination, str(tmp_path / "allowed" / "none"))
    start_folder_export(cast.alice, cast.library, destination)
    there = remounted(destination)
    with pytest.raises(ExportRefused, match="is at work"):
        move_destination(cast.alice, destination, str(there))
    destination.refresh_from_db()
    assert destination.path.name == "disk"


def test_records_of_before_have_no_such_file_and_get_one(cast: Any, destination: ExportDestination) -> None:
    export(cast, destination)
    (destination.records_folder / IDENTITY_NAME).unlink()
    there = remounted(destination)
    moved = move_destination(cast.alice, destination, str(there))
    assert identity_of(there) == moved.pk


def test_page_api_and_command(
    cast: Any, destination: ExportDestination, api: Any, browser: Any, tmp_path: Path
) -> None:
    export(cast, destination)
    there = remounted(destination)
    address = f"/api/v1/export-destinations/{destination.pk}/move/"
    assert api(cast.charlie).post(address, {"folder": str(there)}, format="json").status_code == 404
    assert api(cast.alice).post(address, {"folder": "/nowhere"}, format="json").status_code == 422
    assert api(cast.alice).post(address, {"folder": str(there)}, format="json").json()["folder"] == str(there)
    page = browser(cast.alice)
    refused = page.post(f"/destinations/{destination.pk}/move/", {"folder": "/nowhere"})
    assert refused.status_code == 422
    assert 'value="/nowhere"' in refused.content.decode()
    destination.refresh_from_db()
    again = remounted(destination, "third")
    assert page.post(f"/destinations/{destination.pk}/move/", {"folder": str(again)}).status_code == 302
    assert browser(cast.charlie).post(f"/destinations/{destination.pk}/move/", {"folder": "x"}).status_code == 404
    last = tmp_path / "outside"
    again.rename(last)
    out = StringIO()
    call_command("records", "move", "--destination", str(again), "--to", str(last), stdout=out)
    assert f"is in {last} now" in out.getvalue()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="no ExportRecords"):
        call_command("records", "move", "--destination", str(last), "--to", str(tmp_path / "empty"))
