"""What travels with photos into a destination: XMP, AAE and Takeout's JSON, under names by which programs find them."""

from typing import Any

import pytest

from catalog.sources.base import Directory, Problem
from catalog.sources.local import LocalSource
from exports.destinations.changing import change_destination
from exports.destinations.folders import add_destination
from exports.ledger.load import view_ledger
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.originals.companions import companion_name
from exports.originals.requests import start_folder_export
from operations.models import State
from operations.running import execute
from tests.factories import make_photo


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    destination = add_destination(cast.alice, "", "backup", "{year}/")
    change_destination(destination, {"with_companions": True})
    return destination


def export(cast: Any, destination: ExportDestination) -> dict[str, Any]:
    ended = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert ended is not None
    assert ended.state == State.COMPLETED, ended.error_detail
    return {name: ended.result[name] for name in ("copied", "skipped", "companions", "failed")}


def beside(destination: ExportDestination) -> dict[str, str]:
    """Return the texts of what is there, by name, without the pictures."""
    return {
        path.name: path.read_text()
        for path in (destination.path / "2024").iterdir()
        if path.suffix.lower() in (".xmp", ".aae", ".json")
    }


def write(cast: Any, files: dict[str, str]) -> None:
    for name, text in files.items():
        (cast.root / name).write_text(text)


def test_they_go_along_under_the_photos_own_names_and_only_when_they_change(
    cast: Any, destination: ExportDestination
) -> None:
    for name in ("a/x.jpg", "b/x.jpg", "raw.JPG", "raw.NEF"):
        make_photo(cast.library, name, data=name.encode())
    title = '{"title": "x.jpg"}'
    write(cast, {"a/x.jpg.xmp": "a", "b/x.xmp": "b", "raw.XMP": "raw", "b/x.AAE": "edit", "b/x.jpg.json": title})
    write(cast, {"b/notes.txt": "of nobody"})
    assert export(cast, destination) == {"copied": 4, "skipped": 0, "companions": 5, "failed": 0}
    first, second = sorted(path.name for path in (destination.path / "2024").glob("x*.jpg"))
    is_first = (destination.path / "2024" / second).read_bytes() == b"a/x.jpg"
    of_a, of_b = (second, first) if is_first else (first, second)
    assert beside(destination) == {
        f"{of_a}.xmp": "a",
        f"{of_b[:-4]}.xmp": "b",
        f"{of_b[:-4]}.AAE": "edit",
        f"{of_b}.json": title,
        "raw.XMP": "raw",
    }
    assert export(cast, destination) == {"copied": 0, "skipped": 4, "companions": 0, "failed": 0}
    write(cast, {"a/x.jpg.xmp": "a, edited"})
    assert export(cast, destination) == {"copied": 0, "skipped": 4, "companions": 1, "failed": 0}
    found = beside(destination)
    assert found[f"{of_a}.xmp"] == "a"  # nothing is ever overwritten
    assert "a, edited" in found.values()
    records = list(view_ledger(destination.records_folder).state.sorted_records())
    named = {one["filename"] for record in records for one in record.extra["companions"]}
    assert len(named) == 5
    assert named < set(found)


def test_one_that_cannot_be_copied_is_told_and_tried_again(cast: Any, destination: ExportDestination) -> None:
    make_photo(cast.library, "x.jpg")
    write(cast, {"x.xmp": "words"})
    opened = LocalSource.open

    def refuse(self: Any, path: str, **options: Any) -> int:
        if path == "x.xmp":
            raise PermissionError(13, "Permission denied", path)
        return opened(self, path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalSource, "open", refuse)
        assert export(cast, destination) == {"copied": 1, "skipped": 0, "companions": 0, "failed": 1}
    assert export(cast, destination) == {"copied": 0, "skipped": 1, "companions": 1, "failed": 0}


def test_a_folder_that_cannot_be_listed_is_told_and_takes_nothing_from_the_records(
    cast: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photo(cast.library, "sub/x.jpg")
    write(cast, {"sub/x.xmp": "words"})
    export(cast, destination)
    before = [record.extra for record in view_ledger(destination.records_folder).state.sorted_records()]
    make_photo(cast.library, "sub/y.jpg")
    write(cast, {"sub/y.xmp": "more"})
    listed = LocalSource.list_directory

    def refuse(self: Any, path: str) -> Directory:
        if path != "sub":
            return listed(self, path)
        problem = Problem(path, "The folder cannot be read: Permission denied.", "unreadable")
        return Directory(path, problems=[problem], is_complete=False)

    with monkeypatch.context() as patch:
        patch.setattr(LocalSource, "list_directory", refuse)
        assert export(cast, destination) == {"copied": 1, "skipped": 1, "companions": 0, "failed": 2}
    after = [record.extra for record in view_ledger(destination.records_folder).state.sorted_records()]
    assert before[0] in after
    assert export(cast, destination) == {"copied": 0, "skipped": 2, "companions": 1, "failed": 0}


def test_a_run_that_was_killed_before_it_recorded_them_copies_none_twice(
    cast: Any, destination: ExportDestination
) -> None:
    make_photo(cast.library, "x.jpg")
    write(cast, {"x.xmp": "words"})
    export(cast, destination)
    with Ledger(destination.records_folder) as ledger:
        [record] = ledger.records()
        values = {name: getattr(record, name) for name in type(record).__slots__}
        extra = {key: value for key, value in record.extra.items() if not key.startswith("companions")}
        ledger.put_all([type(record)(**{**values, "extra": extra})])
    assert export(cast, destination)["companions"] == 0
    assert beside(destination) == {"x.xmp": "words"}


def test_without_the_wish_none_goes_along(cast: Any) -> None:
    destination = add_destination(cast.alice, "", "plain", "{year}/")
    assert destination.with_companions, "a new destination has it on"
    change_destination(destination, {"with_companions": False})
    make_photo(cast.library, "x.jpg")
    write(cast, {"x.xmp": "words"})
    assert export(cast, destination)["companions"] == 0
    assert beside(destination) == {}


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "photo", "exported", "expected"),
    [
        ("IMG.jpg.xmp", "IMG.jpg", "IMG (1).jpg", "IMG (1).jpg.xmp"),
        ("img.XMP", "IMG.jpg", "07_IMG.jpg", "07_IMG.XMP"),
        ("IMG.jpg.supplemental-metadata.json", "IMG.jpg", "x.jpg", "x.jpg.supplemental-metadata.json"),
        ("a very long na.json", "a very long name.jpg", "b.jpg", "b.jpg.json"),
    ],
)
def test_names_beside(name: str, photo: str, exported: str, expected: str) -> None:
    assert companion_name(name, photo, exported) == expected
