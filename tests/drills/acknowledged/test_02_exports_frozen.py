"""Points 2 and 3 for exports: a frozen run that wakes publishes nothing, and a root that is away is no export of nothing."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.entries import counts
from catalog.libraries.forget import forget_library
from catalog.models import Library, Photo
from catalog.sources.local import LocalSource
from exports.catalogs import run as catalog_export
from exports.catalogs.requests import Wishes, start_export
from exports.destinations.folders import add_destination
from exports.formats import sink
from exports.formats.sink import PARTIAL_PREFIX, ExportSink
from exports.ledger import original_copy
from exports.ledger.load import INTERRUPTED, view_ledger
from exports.ledger.records import RecordStatus
from exports.ledger.store import Ledger
from exports.models import Export, ExportDestination
from exports.originals import folder_export as folders
from exports.originals.requests import start_folder_export
from exports.reading import originals
from operations.control import resume
from operations.models import Operation
from operations.running import execute
from tests.factories import make_library, make_photo

pytestmark = pytest.mark.django_db
COUNT = 12


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def library(alice: Any, tmp_path: Path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number in range(COUNT):
        make_photo(library, f"{number % 3}/{number}.jpg")
    counts.refresh_counts(library)
    return library


@pytest.fixture
def destination(alice: Any) -> ExportDestination:
    return add_destination(alice, "Backup", "backup", "{year}/{month}/")


def run(key: Any) -> Operation:
    done = execute(key)
    assert done is not None
    return done


def begin(library: Library) -> Export:
    return start_export(library.owner, library, Wishes("json", include_media=True))


def unmount(library: Library) -> Callable[[], None]:
    """Take the disk away, also from who holds a folder of it: below its mount point is nothing. Return what brings it back."""
    root = Path(library.root)
    elsewhere = root.with_name("elsewhere")
    move_files(root, elsewhere)
    for folder in root.iterdir():
        folder.rmdir()
    return lambda: move_files(elsewhere, root)


def move_files(source: Path, target: Path) -> None:
    for path in list(source.rglob("*.jpg")):
        new = target / path.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        path.rename(new)


def before_call(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int, do: Callable[[], Any]) -> None:
    """Do something right before the n-th call of a function."""
    original, calls = getattr(owner, name), 0

    def patched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            do()
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, patched)


# -- the root ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5, COUNT + 5])
def test_a_catalog_export_whose_root_is_away_fails_and_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    export = begin(library)
    back: list[Callable[[], None]] = []
    with monkeypatch.context() as patch:
        before_call(patch, originals, "open_original", number, lambda: back.append(unmount(library)))
        stopped = run(export.operation_id)
    assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    assert "empty all at once" in stopped.error
    assert not export.folder.exists() and not list(export.parent_folder.glob(f"{PARTIAL_PREFIX}*"))
    back[0]()
    resume(stopped)
    done = run(stopped.pk)
    assert (done.state, done.result["media"], done.result["failed"]) == ("completed", COUNT, 0)


def test_a_root_that_is_away_from_the_start(library: Library, destination: ExportDestination) -> None:
    mount = unmount(library)
    for operation in (begin(library).operation, start_folder_export(library.owner, library, destination)):
        assert operation is not None
        stopped = run(operation.pk)
        assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    mount()
    for operation in Operation.objects.all():
        resume(operation)
        assert run(operation.pk).result["failed"] == 0


def test_a_folder_export_whose_root_goes_away_records_no_failures(
    library: Library, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = start_folder_export(library.owner, library, destination)
    back: list[Callable[[], None]] = []
    with monkeypatch.context() as patch:
        before_call(patch, folders, "open_original", 5, lambda: back.append(unmount(library)))
        stopped = run(operation.pk)
    assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")
    records = view_ledger(destination.records_folder).state.sorted_records()
    failures = {record.last_error for record in records if record.status is RecordStatus.FAILED}
    assert failures <= {INTERRUPTED}  # how a record that was begun is shown
    back[0]()
    resume(stopped)
    done = run(stopped.pk)
    assert (done.state, done.result["failed"]) == ("completed", 0)
    assert len(list(destination.path.rglob("*.jpg"))) == COUNT


def test_a_single_file_that_is_missing_stops_no_export(library: Library, destination: ExportDestination) -> None:
    (Path(library.root) / "1/1.jpg").unlink()
    done = run(begin(library).operation_id)
    assert (done.state, done.result["media"], done.result["failed"]) == ("completed", COUNT - 1, 1)
    done = run(start_folder_export(library.owner, library, destination).pk)
    assert (done.state, done.result["copied"], done.result["failed"]) == ("completed", COUNT - 1, 1)


def test_originals_that_may_not_be_read_at_all_are_no_export(
    library: Library, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(LocalSource, "open", refuse)
    for operation in (begin(library).operation, start_folder_export(library.owner, library, destination)):
        assert operation is not None
        stopped = run(operation.pk)
        assert (stopped.state, stopped.error_code) == ("failed", "root_unavailable")


def test_a_library_forgotten_meanwhile_is_no_export_of_half_of_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = begin(library)
    before_call(monkeypatch, ExportSink, "write_batch", 1, lambda: forget_library(Library.objects.get(pk=library.pk)))
    stopped = run(export.operation_id)
    assert (stopped.state, stopped.error_code) == ("failed", "gone")
    assert not export.folder.exists()


# -- frozen runs -------------------------------------------------------------------------------------------------------


def take_over(operation_id: Any) -> Operation:
    """Do as the successor of a frozen run does: claim the operation and work to its end."""
    Operation.objects.filter(pk=operation_id).update(lease_until="2020-01-01T00:00Z", worker="")
    return run(operation_id)


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (catalog_export, "remove_partials", 1),
        (ExportSink, "write_batch", 1),
        (ExportSink, "add_media", 5),
        (ExportSink, "_publish", 1),
        (catalog_export.CatalogExport, "_finish", 1),
    ],
)
def test_a_frozen_catalog_export_that_wakes_changes_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int
) -> None:
    export = begin(library)
    seen: list[Any] = []

    def others_turn() -> None:
        monkeypatch.undo()
        monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
        done = take_over(export.operation_id)
        assert done.state == "completed", (done.error, done.error_detail)
        seen.append((done.token, done.result, files_of(export), Export.objects.values().get()))

    before_call(monkeypatch, owner, name, number, others_turn)
    execute(export.operation_id)
    operation = Operation.objects.get()
    assert seen == [(operation.token, operation.result, files_of(export), Export.objects.values().get())]
    assert operation.state == "completed"
    assert not list(export.parent_folder.glob(f"{PARTIAL_PREFIX}*"))


def files_of(export: Export) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in export.folder.rglob("*") if path.is_file()}


def test_a_successor_takes_the_name_away_before_it_removes(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    export = begin(library)
    left = export.parent_folder / f"{PARTIAL_PREFIX}{export.pk}-0"
    (left / "media").mkdir(parents=True)
    removed: list[str] = []
    remove = sink.remove_partial
    monkeypatch.setattr(sink, "remove_partial", lambda path: (removed.append(path.name), remove(path))[1])
    assert run(export.operation_id).state == "completed"
    assert left.name not in removed
    assert not left.exists()


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(folders, "open_original", 3), (original_copy, "_write_copy", 3), (Ledger, "put_all", 1), (Ledger, "put_all", 2)],
)
def test_a_frozen_folder_export_that_wakes_publishes_nothing(
    library: Library,
    destination: ExportDestination,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    number: int,
) -> None:
    operation = start_folder_export(library.owner, library, destination)
    at_that_time: list[Any] = []

    def others_turn() -> None:
        Operation.objects.filter(pk=operation.pk).update(token=99)
        at_that_time.append(published(destination))

    before_call(monkeypatch, owner, name, number, others_turn)
    execute(operation.pk)
    files, records = published(destination)
    assert files == at_that_time[0][0]
    if owner is not Ledger:  # whose lock is held; what is recorded there is true
        assert records == at_that_time[0][1]
    assert not [path for path in destination.path.rglob("*") if path.name.endswith(".partial")]
    done = {name for name, state in records.values() if state == "done"}
    assert done <= {Path(path).name for path in files}
    monkeypatch.undo()
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    assert take_over(operation.pk).state == "completed"
    files, records = published(destination)
    assert len(files) == COUNT == Photo.objects.count()
    assert {state for _, state in records.values()} == {"done"}


def published(destination: ExportDestination) -> tuple[dict[str, bytes], dict[str, tuple[str, str]]]:
    files = {str(path): path.read_bytes() for path in destination.path.rglob("*.jpg")}
    records = view_ledger(destination.records_folder).state.sorted_records()
    return files, {record.id: (str(record.filename), str(record.status)) for record in records}
