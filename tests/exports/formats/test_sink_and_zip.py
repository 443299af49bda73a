"""An export folder is whole or absent, its manifest tells the truth, and its ZIP can be taken in any pieces."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.formats.batches import BATCH_SIZE, iterate_batches
from exports.formats.manifest import InvalidManifest, Manifest, check_export_path, decode_manifest, encode_manifest
from exports.formats.sink import ExportSink, remove_partial
from exports.formats.zip_stream import ChangedFile, ZipEntry, ZipStream, stream_export_folder
from tests.exports.batches import batch_of, row_from_mapping

CREATED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def sink(parent: Path, format: str = "json", name: str = "2026-02-03_04-05-06_job") -> ExportSink:
    return ExportSink(parent, name, "job", Manifest(format, CREATED, 0, filter={"library": "l1"}))


def row(number: int) -> list:
    return row_from_mapping({"id": f"{number:05}", "filename": f"{number}.jpg"})


@pytest.mark.parametrize("format", ["json", "csv"])
def test_finished_export_has_data_media_and_a_true_manifest(tmp_path: Path, format: str) -> None:
    with sink(tmp_path, format) as export:
        assert not export.published_folder.exists()
        export.write_batch(batch_of([row(1), row(2)]))
        export.write_batch(batch_of([row(3)]))
        export.add_media("2024/a b.jpg", [b"abc", b"def"])
        export.note_missing_media()
    folder = export.published_folder
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    assert (manifest.photo_count, manifest.media_count, manifest.missing_media) == (3, 1, 1)
    assert (manifest.created, manifest.filter) == (CREATED, {"library": "l1"})
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {file.path for file in manifest.files} | {"manifest.json"}
    for file in manifest.files:
        data = (folder / file.path).read_bytes()
        assert file.size_bytes == len(data)
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert int(file.crc32, 16) == zlib.crc32(data)


def test_export_of_nothing_completes_with_a_manifest_only(tmp_path: Path) -> None:
    with sink(tmp_path) as export:
        export.write_batch(batch_of([]))
    assert [path.name for path in export.published_folder.iterdir()] == ["manifest.json"]
    body = json.loads((export.published_folder / "manifest.json").read_bytes())
    assert body["counts"] == {"photos": 0, "media": 0, "missing_media": 0}
    assert "No photos" in body["message"]


@pytest.mark.promise("S3-U03")
@pytest.mark.parametrize("failure", [OSError("disk"), KeyboardInterrupt()])
def test_failed_export_leaves_nothing_that_looks_complete(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)), sink(tmp_path) as export:
        export.write_batch(batch_of([row(1)]))
        raise failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.promise("S3-U03")
def test_export_that_cannot_be_published_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), sink(tmp_path) as export:
        export.write_batch(batch_of([row(1)]))
        monkeypatch.setattr(os, "fsync", refuse)
    assert list(tmp_path.iterdir()) == []


def test_leftover_of_a_killed_run_is_replaced_and_a_finished_export_is_not(tmp_path: Path) -> None:
    (tmp_path / ".partial-job").mkdir()
    (tmp_path / ".partial-job" / "photos.json").write_bytes(b"[\n half")
    with sink(tmp_path) as export:
        export.write_batch(batch_of([row(1)]))
    before = (export.published_folder / "photos.json").read_bytes()
    with pytest.raises(FileExistsError), sink(tmp_path):
        raise AssertionError
    assert (export.published_folder / "photos.json").read_bytes() == before
    with pytest.raises(ValueError, match="not a partial export"):
        remove_partial(export.published_folder)


@pytest.mark.promise("S3-X08", "S3-U10")
def test_media_never_overwrite_each_other_and_a_bad_one_leaves_no_part(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("unreadable")

    with sink(tmp_path) as export:
        export.write_batch(batch_of([row(1)]))
        export.add_media("a.jpg", [b"first"])
        with pytest.raises(FileExistsError):
            export.add_media("a.jpg", [b"second"])
        with pytest.raises(OSError, match="unreadable"):
            export.add_media("b.jpg", broken())
        for bad in ("../x", "/x", "a//b", "a\0b", ""):
            with pytest.raises(InvalidManifest):
                export.add_media(bad, [b""])
    assert [path.name for path in (export.published_folder / "media").iterdir()] == ["a.jpg"]
    assert (export.published_folder / "media/a.jpg").read_bytes() == b"first"


def test_all_folders_down_to_a_file_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("exports.formats.sink.fsync_directory", lambda folder: synced.append(Path(folder).name))
    with sink(tmp_path) as export:
        export.write_batch(batch_of([row(1)]))
        export.add_media("Holidays/2015/01/a.jpg", [b"first"])
    assert synced[:4] == ["01", "2015", "Holidays", "media"]


@pytest.mark.promise("S3-U19")
def test_manifest_paths_stay_inside(tmp_path: Path) -> None:
    assert check_export_path("media/a..b/c.jpg") == "media/a..b/c.jpg"
    good = json.loads(encode_manifest(Manifest("json", CREATED, 0)))
    file = {"path": "../../etc/passwd", "size_bytes": 1, "sha256": "", "crc32": "00000000"}
    for broken in ({**good, "files": [file]}, {**good, "version": 2}, {"version": 1}, [], {**good, "files": 3}):
        with pytest.raises(InvalidManifest):
            decode_manifest(json.dumps(broken).encode())
    with pytest.raises(InvalidManifest):
        decode_manifest(b"{")


@pytest.fixture(scope="module")
def export_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with sink(tmp_path_factory.mktemp("exports")) as export:
        export.write_batch(batch_of([row(1)]))
        export.add_media("ü/empty.jpg", [])
        export.add_media("ü/one.jpg", [bytes(range(256)) * 3])
    return export.published_folder


def test_zip_is_what_other_programs_read(export_folder: Path, tmp_path: Path) -> None:
    stream = stream_export_folder(export_folder)
    data = b"".join(stream.iter_range())
    assert len(data) == stream.total_size
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert f"{export_folder.name}/media/ü/one.jpg" in names
        assert archive.infolist()[0].date_time == (2026, 2, 3, 4, 5, 6)
        archive.extractall(tmp_path)
    subprocess.run(["diff", "-r", export_folder, tmp_path / export_folder.name], check=True)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_range_of_the_zip_is_that_part_of_it(export_folder: Path, data: st.DataObject) -> None:
    stream = stream_export_folder(export_folder)
    whole = b"".join(stream.iter_range())
    start = data.draw(st.integers(0, stream.total_size))
    end = data.draw(st.integers(start, stream.total_size))
    assert b"".join(stream_export_folder(export_folder).iter_range(start, end)) == whole[start:end]
    with pytest.raises(ValueError, match="range"):
        stream.iter_range(start, stream.total_size + 1)


@pytest.mark.slow
def test_real_zip64_archive_beyond_four_gib_is_read_by_others(tmp_path: Path) -> None:
    size = (1 << 32) + 5
    large, small = tmp_path / "large", tmp_path / "small"
    with large.open("wb") as file:
        file.truncate(size)
    small.write_bytes(b"small")
    zeros, crc = bytes(1 << 24), 0
    for _ in range(256):
        crc = zlib.crc32(zeros, crc)
    crc = zlib.crc32(bytes(5), crc)
    stream = ZipStream([ZipEntry("l", large, size, crc), ZipEntry("s", small, 5, zlib.crc32(b"small"))], CREATED)
    target = tmp_path / "out.zip"
    with target.open("wb") as out:  # a sparse copy: the zeros of the large file are skipped
        for start in (0, size):
            out.seek(start)
            for piece in stream.iter_range(start, stream.total_size if start else 4096):
                out.write(piece)
    assert target.stat().st_size == stream.total_size
    with zipfile.ZipFile(target) as archive:
        assert [info.file_size for info in archive.infolist()] == [size, 5]
        assert archive.read("s") == b"small"
        assert crc == archive.getinfo("l").CRC


def test_many_small_entries_need_zip64_counts(tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_bytes(b"x")
    stream = ZipStream([ZipEntry(str(number), source, 1, zlib.crc32(b"x")) for number in range(65_600)], CREATED)
    directory = b"".join(stream.iter_range(stream._directory_start))
    with zipfile.ZipFile(io.BytesIO(bytes(stream._directory_start) + directory)) as archive:
        assert len(archive.infolist()) == 65_600


def test_changed_or_shorter_file_stops_the_download(export_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(export_folder, folder)
    stream = stream_export_folder(folder)
    fingerprint = stream.fingerprint
    (folder / "media/ü/one.jpg").write_bytes(b"other size")
    with pytest.raises(ChangedFile, match=r"one\.jpg"):
        list(stream.iter_range())
    with pytest.raises(ChangedFile, match=r"one\.jpg"):
        stream_export_folder(folder)
    assert fingerprint != stream_export_folder(export_folder).fingerprint  # another folder name is another archive


@pytest.mark.promise("S3-045", "S3-046", "S3-052", "S3-054", "S3-055", "S3-056", "S3-057", "S3-074")
@pytest.mark.parametrize(
    ("total", "sizes"),
    [(0, []), (1, [1]), (999, [999]), (1000, [1000]), (2000, [1000, 1000]), (2500, [1000, 1000, 500])],
)
def test_batches_end_where_the_rows_end(total: int, sizes: list[int]) -> None:
    asked: list[tuple[str | None, int]] = []

    def fetch(after: str | None, limit: int) -> list:
        asked.append((after, limit))
        start = int(after) + 1 if after else 0
        return [row(number) for number in range(start, min(start + limit, total))]

    batches = list(iterate_batches(fetch, lambda items: items[-1][0]))
    assert [len(batch) for batch in batches] == sizes
    assert [item[0] for batch in batches for item in batch] == [f"{number:05}" for number in range(total)]
    assert len(asked) == total // BATCH_SIZE + 1  # one query more only after an exact multiple
    assert {limit for _, limit in asked} == {1000}


@pytest.mark.promise("S3-047")
def test_each_batch_is_used_before_the_next_is_fetched_and_errors_come_through() -> None:
    events: list[str] = []

    def fetch(after: str | None, limit: int) -> list:
        events.append("fetch")
        if after:
            raise RuntimeError("database gone")
        return [row(number) for number in range(limit)]

    with pytest.raises(RuntimeError, match="database gone"):
        for _ in iterate_batches(fetch, lambda items: items[-1][0]):
            events.append("write")
    assert events == ["fetch", "write", "fetch"]
