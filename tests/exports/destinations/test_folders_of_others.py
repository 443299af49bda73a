"""Where somebody else's library is, no export and no check of a destination tells the member who asked for it."""

from typing import Any

import pytest

from catalog.libraries.forget import forget_library
from catalog.models import Library
from catalog.sources.base import SourceUnavailable
from exports.catalogs.requests import Wishes, start_export
from exports.destinations.folders import add_destination
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from exports.originals.folder_export import FolderExport
from exports.originals.requests import start_folder_export
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_photo


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    """One of bob's, with a copy of a photo of alice's, which is gone."""
    made = add_destination(cast.bob, "Backup", "backup", "{year}/{month}/")
    make_photo(cast.library, "gone.jpg")
    execute(start_folder_export(cast.bob, cast.library, made).pk)
    (made.path / "2024/05/gone.jpg").unlink()
    return made


def told(operation: Operation) -> str:
    """Return all that an operation tells its owner at its end."""
    ended = execute(operation.pk)
    assert ended is not None and ended.owner.username == "bob"
    return f"{ended.result}\n{ended.error}\n{ended.error_detail}"


def test_a_repair_says_why_but_not_where(cast: Any, destination: ExportDestination) -> None:
    cast.root.rename(cast.root.with_name("away"))
    text = told(start_verification(cast.bob, destination, repair=True))
    assert "Nothing of this library was copied again: The library's folder" in text
    assert str(cast.root) not in text


def test_nor_does_what_ends_a_repair(
    cast: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FolderExport, photos: Any) -> None:
        raise RuntimeError(f"{cast.root}/gone.jpg is odd")

    monkeypatch.setattr(FolderExport, "run_all", fail)
    text = told(start_verification(cast.bob, destination, repair=True))
    assert "RuntimeError: gone.jpg is odd" in text
    assert str(cast.root) not in text


@pytest.mark.parametrize("kind", ["export", "export_folder"])
def test_nor_an_export_whose_library_is_forgotten_meanwhile(
    cast: Any, destination: ExportDestination, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(library: Library, *_: Any, **__: Any) -> None:
        forget_library(Library.objects.get(pk=library.pk))
        raise SourceUnavailable(f"The folder {library.root} is not there.")

    monkeypatch.setattr("exports.reading.originals.require_root", forget)
    if kind == "export":
        operation = start_export(cast.bob, cast.library, Wishes(format="json", include_media=True)).operation
    else:
        operation = start_folder_export(cast.bob, cast.library, destination)
    assert operation is not None
    text = told(operation)
    assert "The library's folder is not there." in text
    assert str(cast.root) not in text
    operation.refresh_from_db()
    assert operation.state == State.FAILED
