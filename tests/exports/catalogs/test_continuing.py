"""A catalog export that was killed keeps what is finished, as far as that is proven, and continues with the originals."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.albums import albums, items
from catalog.models import Photo
from exports.catalogs import finished
from exports.catalogs.requests import Wishes, start_export
from exports.formats.sink import ExportSink
from exports.models import Export
from exports.reading import originals
from exports.reading.rows import PhotoRows
from operations import control
from operations.models import Operation, State
from operations.running import MOST_ATTEMPTS, Interrupted, execute
from tests.factories import make_photo

COUNT = 5


class Killed(BaseException):
    """The process ends here and now; what was to be cleaned up is not."""


@pytest.fixture
def export(cast: Any) -> Export:
    photos = [make_photo(cast.library, f"{number}.jpg") for number in range(COUNT)]
    album = albums.create(cast.alice, uuid4(), {"title": "All"})
    items.add(cast.alice, album.pk, [items.Target(items.PHOTO, photo.pk) for photo in photos])
    return start_export(cast.alice, cast.library, Wishes(format="json", include_media=True))


def kill_at(export: Export, number: int, error: type[BaseException] = Killed) -> Path:
    """Work until the n-th original is half written; return the partial folder that is left."""
    written: list[str] = []
    add = ExportSink.add_media

    def half(sink: ExportSink, path: str, chunks: Any) -> Any:
        written.append(path)
        if len(written) < number:
            return add(sink, path, chunks)
        target = sink.folder / "media" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"half")
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExportSink, "add_media", half)
        if error is Killed:
            patch.setattr(ExportSink, "_abort", lambda *_: None)
            with pytest.raises(Killed):
                execute(export.operation_id)
        else:
            execute(export.operation_id)
    Operation.objects.filter(pk=export.operation_id).update(lease_until=None)
    [left] = export.parent_folder.iterdir()
    return left


def go_on(export: Export, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Continue to the end; return what was done: "rows" for each batch that is read, and the originals that are copied."""
    did: list[str] = []
    fetch, read = PhotoRows.fetch, originals.read_original
    monkeypatch.setattr(PhotoRows, "fetch", lambda *words: (did.append("rows"), fetch(*words))[1])
    monkeypatch.setattr(
        "exports.catalogs.run.read_original", lambda *words: (did.append(words[1].path), read(*words))[1]
    )
    done = execute(export.operation_id)
    assert done is not None
    assert done.state == State.COMPLETED, (done.error, done.error_detail)
    export.refresh_from_db()
    assert [path.name for path in export.parent_folder.iterdir()] == [export.folder_name]
    return did


def is_whole(export: Export) -> bool:
    """Tell whether the folder has what the manifest lists, and nothing else; all photos are in it."""
    manifest = json.loads((export.folder / "manifest.json").read_bytes())
    listed = {file["path"]: (file["size_bytes"], file["sha256"]) for file in manifest["files"]}
    there = {
        str(path.relative_to(export.folder)): (path.stat().st_size, finished.sha256_of(path))
        for path in export.folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    return (
        "albums.json" in listed
        and listed == there
        and manifest["counts"] == {"photos": COUNT, "media": COUNT, "missing_media": 0}
    )


@pytest.mark.parametrize("error", [Killed, Interrupted])
def test_the_originals_continue_where_they_stood(
    cast: Any, export: Export, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = kill_at(export, 3, error)
    rows = (left / "photos.json").read_bytes()
    Photo.objects.filter(filename="4.jpg").update(caption="of another moment")
    assert len(go_on(export, monkeypatch)) == COUNT - 2
    assert is_whole(export)
    assert (export.folder / "photos.json").read_bytes() == rows
    operation = Operation.objects.get(pk=export.operation_id)
    assert (operation.metrics["media_copied"], operation.metrics["photos_processed"]) == (COUNT, COUNT)
    assert {path: (export.folder / "media" / path).read_bytes() for path in media(export)} == {
        path: (cast.root / source).read_bytes() for path, source in media(export).items()
    }


def media(export: Export) -> dict[str, str]:
    rows = json.loads((export.folder / "photos.json").read_bytes())
    return {row["media_files"][0].removeprefix("media/"): row["path"] for row in rows}


def damage_keeping_size_and_time(path: Path) -> None:
    before = path.stat()
    data = path.read_bytes()
    path.write_bytes(bytes(byte ^ 1 for byte in data[:1]) + data[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("what", "harm", "rows", "copied"),
    [
        ("media/*/*/*/*", damage_keeping_size_and_time, 0, COUNT - 1),
        ("media/*/*/*/*", lambda path: os.truncate(path, 3), 0, COUNT - 1),
        ("media/*/*/*/*", Path.unlink, 0, COUNT - 1),
        ("media/*/*/*/*", lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), 0, COUNT - 1),
        ("photos.json", damage_keeping_size_and_time, 1, COUNT),
        ("albums.json", damage_keeping_size_and_time, 1, COUNT),
        (".originals.jsonl", damage_keeping_size_and_time, 1, COUNT),
        (".finished.jsonl", lambda path: os.truncate(path, 40), 1, COUNT),
        (".finished.jsonl", lambda path: os.truncate(path, path.stat().st_size - 5), 0, COUNT - 1),
    ],
)
def test_what_is_not_proven_is_made_again(
    cast: Any,
    export: Export,
    what: str,
    harm: Callable[[Path], object],
    rows: int,
    copied: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = kill_at(export, 3)
    listed = {json.loads(line).get("path") for line in (left / ".finished.jsonl").read_text().splitlines()}
    harm(next(path for path in sorted(left.glob(what)) if "media" not in what or str(path.relative_to(left)) in listed))
    did = go_on(export, monkeypatch)
    assert (did.count("rows"), len(did) - did.count("rows")) == (rows, copied)
    assert is_whole(export)


def test_after_another_start_of_the_machine_all_bytes_are_read(
    cast: Any, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(export, 3)
    monkeypatch.setattr(finished, "boot_id", lambda: "another")
    read: list[str] = []
    sha256 = finished._sha256
    monkeypatch.setattr(finished, "_sha256", lambda path, call: (read.append(path.parent.name), sha256(path, call))[1])
    assert len(go_on(export, monkeypatch)) == COUNT - 2
    assert read.count("05") == 2
    assert is_whole(export)


def test_a_cancelled_or_failed_export_leaves_nothing_also_of_what_it_continued(
    cast: Any, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(export, 3)
    monkeypatch.setattr(
        "exports.catalogs.run.read_original",
        lambda *_: control.cancel(Operation.objects.get(pk=export.operation_id)) or [],
    )
    monkeypatch.setattr("operations.runs.PROGRESS_EVERY_SECONDS", 0)
    assert execute(export.operation_id).state == State.CANCELLED  # type: ignore[union-attr]
    assert list(export.parent_folder.iterdir()) == []


def test_an_original_that_kills_each_worker_is_given_up(cast: Any, export: Export, monkeypatch: Any) -> None:
    monkeypatch.setattr("operations.runs.PROGRESS_EVERY_SECONDS", 0)
    left = kill_at(export, 3)
    (cast.root / json.loads((left / ".originals.jsonl").read_text().splitlines()[2])[0]).unlink()  # no progress either
    for _ in range(MOST_ATTEMPTS):
        assert Operation.objects.get(pk=export.operation_id).state == State.RUNNING
        kill_at(export, 2)
    assert execute(export.operation_id) is None
    assert Operation.objects.get(pk=export.operation_id).error_code == "worker_died"


def test_an_original_that_was_filed_or_rated_meanwhile_is_copied_from_where_it_is(
    cast: Any, export: Export, monkeypatch: Any
) -> None:
    left = kill_at(export, 3)
    waits = [json.loads(line)[0] for line in (left / ".originals.jsonl").read_text().splitlines()[2:]]
    filed, rated, gone = (Photo.objects.get(filename=name) for name in waits)
    (cast.root / "new").mkdir()
    (cast.root / filed.filename).rename(cast.root / "new" / filed.filename)
    Photo.objects.filter(pk=filed.pk).update(directory="new")
    starred = (cast.root / rated.filename).read_bytes() + b"star"
    (cast.root / rated.filename).write_bytes(starred)
    status = (cast.root / rated.filename).stat()
    digest = hashlib.md5(starred, usedforsecurity=False).hexdigest()
    Photo.objects.filter(pk=rated.pk).update(
        size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, photo_md5=digest, read_md5=digest
    )
    (cast.root / gone.filename).unlink()
    go_on(export, monkeypatch)
    assert (export.media_count, export.missing_count) == (COUNT - 1, 1)
    copies = {source: (export.folder / "media" / path) for path, source in media(export).items()}
    assert copies[filed.filename].read_bytes() == (cast.root / "new" / filed.filename).read_bytes()
    assert copies[rated.filename].read_bytes() == starred
    assert not copies[gone.filename].exists()
