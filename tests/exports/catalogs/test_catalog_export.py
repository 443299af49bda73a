"""The export of a catalog: its bytes, its order, its progress, and that nothing partial ever looks complete."""

import csv
import io
import json
import shutil
from collections import namedtuple
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone

from catalog.albums import albums, items, members, notes
from catalog.models import Favourite, Photo, PhotoMetadata
from exports.catalogs import run as catalog_export
from exports.catalogs.requests import MOST_WAITING, Wishes, delete_export, start_export
from exports.formats.columns import NAMES, format_time
from exports.formats.csv_writer import parse_csv
from exports.formats.sink import ExportSink
from exports.models import Export
from exports.reading.rows import PhotoRows
from exports.refusals import ExportRefused
from operations import control
from operations.models import Operation, State
from operations.running import AlreadyActive, claim, execute
from photolala.web.refusals import BadRequest
from tests.exports.batches import plain_csv, row_from_mapping
from tests.factories import make_library, make_photo

START = datetime(2024, 5, 17, 12, tzinfo=UTC)


def ask(cast: Any, format: str = "json", user: Any = None, **wishes: Any) -> Export:
    return start_export(user or cast.alice, cast.library, Wishes(format=format, **wishes))


def run(export: Export, on_progress: Any = None) -> Operation:
    operation = execute(export.operation_id, on_progress=on_progress)
    assert operation is not None
    export.refresh_from_db()
    return operation


def exported(cast: Any, format: str = "json", **wishes: Any) -> Export:
    export = ask(cast, format, **wishes)
    operation = run(export)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return export


def rows_of(export: Export) -> list[dict]:
    return json.loads((export.folder / "photos.json").read_bytes())


def make_many(library: Any, count: int, **fields: Any) -> None:
    """Make rows quickly, ten to a second of capture time, so that ids break many ties."""
    Photo.objects.bulk_create(
        Photo(
            library=library,
            directory=f"2024/{number % 7}" if number % 7 else "",
            filename=f"IMG_{number:06}.JPG",
            size_bytes=1000 + number,
            mtime_ns=number,
            head_md5=f"{number:032x}",
            photo_md5=f"{number:032x}",
            state="ready",
            needs_digest=False,
            media_type="image/jpeg",
            taken_local=START - timedelta(seconds=number // 10),
            taken_at=START - timedelta(seconds=number // 10, hours=2),
            taken_day=20240517,
            taken_source="exif",
            added_at=START,
            **fields,
        )
        for number in range(count)
    )


def plain(photo: Photo, user: Any) -> dict[str, Any]:
    """One photo as the format says, built from the model, without any of the export's own code for rows."""
    values = {
        "id": str(photo.pk),
        "photo_md5": photo.photo_md5,
        "owner_id": str(photo.library.owner_id),
        "library_id": str(photo.library_id),
        "path": photo.path,
        "filename": photo.filename,
        "caption": photo.caption,
        "taken_at": photo.taken_text,
        "taken_at_source": photo.taken_source,
        "added_at": format_time(photo.added_at),
        **{name: getattr(photo, name) for name in ("size_bytes", "media_type", "width", "height", "duration_ms")},
        **{name: getattr(photo, name) for name in ("camera_make", "camera_model", "lens_model", "iso", "aperture")},
        **{name: getattr(photo, name) for name in ("shutter_speed", "focal_length", "latitude", "longitude", "rating")},
        "favorite_count": Favourite.objects.filter(photo=photo, user=user).count(),
        "share_count": 0,
        "note_count": 0,
        "album_count": 0,
        "has_media": photo.state != "missing",
        "is_edited": False,
        "keywords": photo.keywords or None,
    }
    body = PhotoMetadata.objects.filter(photo=photo).first()
    if body:
        values["metadata"] = json.loads(body.body)
    return {name: value for name in NAMES if (value := values.get(name)) not in (None, "")}


def unbatched(cast: Any) -> bytes:
    photos = Photo.objects.filter(library=cast.library).select_related("library").order_by("-taken_at", "id")
    return json.dumps([plain(photo, cast.alice) for photo in photos], indent=2, ensure_ascii=False).encode() + b"\n"


@pytest.mark.promise(
    *("S3-077", "S3-078", "S3-X02", "S3-048", "S3-049", "S3-054", "S3-056", "S3-073", "S3-U06", "S3-002", "S3-003"),
    *("S3-004", "S3-005", "S3-006", "S3-007", "S3-008", "S3-009", "S3-010", "S3-013", "S3-015", "S3-016", "S3-017"),
    "S3-019",
)
def test_2500_photos_give_the_bytes_of_an_unbatched_export(cast: Any) -> None:
    make_many(cast.library, 2494, rating=3)
    odd = make_photo(
        cast.library,
        "Ordner/Größe = 1;2.jpg",
        on_disk=False,
        caption='=SUM("1")\nzweite Zeile',
        keywords=["a;b", "Ö"],
        taken_offset_minutes=-150,
        taken_local=START + timedelta(microseconds=345_678),
        latitude=-1.5,
        iso=100,
        shutter_speed="1/250",
    )
    PhotoMetadata.objects.create(photo=odd, body='{"exifData":{"Make":"Ä"},"width":64}')
    Favourite.objects.create(user=cast.alice, photo=odd)
    Favourite.objects.create(user=cast.bob, photo=Photo.objects.exclude(pk=odd.pk).first())
    make_photo(cast.library, "undated.jpg", taken=None, on_disk=False)
    make_photo(cast.library, "gone.jpg", state="missing", is_shown=False, on_disk=False)
    make_photo(cast.library, "broken.jpg", state="broken", is_shown=False, on_disk=False)
    make_photo(cast.library, "a\\\\b.jpg", on_disk=False)
    make_photo(cast.library, "moment.jpg", taken=START.replace(microsecond=7), on_disk=False)
    assert Photo.objects.count() == 2500
    export = exported(cast)
    assert (export.folder / "photos.json").read_bytes() == unbatched(cast)
    assert export.photo_count == 2500


NASTY = [
    *("=1+1", "'-x", "a,b", 'say "hi"', "one\r\ntwo;@SUM(1)", "\t\u0007\x1f\x7f"),
    *("\U0001f3d6\ufe0f e\u0301 \u2028", "\\\\", "a;b\\"),
]


@pytest.mark.promise("S3-077")
@pytest.mark.parametrize("format", ["json", "csv"])
def test_nasty_values_give_the_bytes_of_a_plain_writer(cast: Any, monkeypatch: Any, format: str) -> None:
    monkeypatch.setattr("exports.formats.batches.BATCH_SIZE", 7)
    numbers = [0.0, -0.0, 1e-7, 1e16, 123456.789, 1 / 3, -179.99999999, 5e-324, 4.0]
    for number, text in enumerate(NASTY * 2):
        photo = make_photo(
            cast.library,
            f"{text.replace('/', '') * (number % 2)}/{number}{text}.jpg".removeprefix("/"),
            on_disk=False,
            caption=text,
            keywords=[text, "long " * 2000, ""][: number % 4],
            taken=START - timedelta(seconds=number // 3),
            taken_local=datetime(1 + number * 150, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
            taken_offset_minutes=(None, 0, -839, 840, -1)[number % 5],
            taken_source="exif" if number % 6 else "",
            **dict.fromkeys(("camera_make", "camera_model", "lens_model", "shutter_speed"), text),
            **dict.fromkeys(("aperture", "focal_length", "latitude", "longitude"), numbers[number % 9]),
        )
        body = {text: text, "in": {text: number, ": {": "},"}, "n": numbers[number % 9], "l": [text] * (number % 3)}
        if number % 4:
            PhotoMetadata.objects.create(photo=photo, body=json.dumps(body, ensure_ascii=number % 2 == 0))
    export = exported(cast, format)
    photos = Photo.objects.filter(library=cast.library).select_related("library").order_by("-taken_at", "id")
    bodies = dict(PhotoMetadata.objects.values_list("photo", "body"))
    rows = [
        plain(photo, cast.alice) | ({"metadata": bodies[photo.pk]} if photo.pk in bodies else {}) for photo in photos
    ]
    expected = unbatched(cast) if format == "json" else plain_csv([row_from_mapping(row) for row in rows])
    assert (export.folder / f"photos.{format}").read_bytes() == expected


@pytest.mark.promise("S3-011", "S3-012")
def test_albums_and_notes_are_counted_as_far_as_the_exporting_user_sees_them(cast: Any) -> None:
    photo, other = (make_photo(cast.library, f"{number}.jpg", on_disk=False) for number in range(2))

    def album_of(user: Any, *photos: Photo) -> Any:
        album = albums.create(user, uuid4(), {"title": "Rome"})
        items.add(user, album.pk, [items.Target(items.PHOTO, one.pk) for one in photos])
        return album

    def note_of(user: Any) -> Any:
        return notes.create(user, uuid4(), {"content": "x", "attachments": [{"photo": str(photo.pk)}]})

    album_of(cast.alice, photo, other)
    emptied = album_of(cast.alice, photo)
    items.remove(cast.alice, emptied.pk, [item.pk for item in emptied.items.all()])
    albums.delete(cast.alice, album_of(cast.alice, photo).pk)
    album_of(cast.bob, photo)  # his own affair
    shared = albums.create(cast.bob, uuid4(), {"title": "Shared"})
    members.set_member(cast.bob, shared.pk, cast.alice, "editor")
    items.add(cast.alice, shared.pk, [items.Target(items.PHOTO, photo.pk)])
    note_of(cast.alice), note_of(cast.alice), note_of(cast.bob)
    notes.delete(cast.alice, note_of(cast.alice).pk)
    rows = {row["id"]: row for row in json.loads((exported(cast).folder / "photos.json").read_bytes())}
    assert (rows[str(photo.pk)]["album_count"], rows[str(photo.pk)]["note_count"]) == (2, 2)
    assert (rows[str(other.pk)]["album_count"], rows[str(other.pk)]["note_count"]) == (1, 0)


@pytest.mark.promise("S3-079")
def test_csv_holds_the_same_rows_in_the_same_order(cast: Any) -> None:
    make_many(cast.library, 1001, caption="-1")
    first, second = exported(cast), exported(cast, "csv")
    raw = (second.folder / "photos.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfid,photo_md5,")
    assert raw.count(b"\r\n") == 1002
    assert next(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))) == list(NAMES)
    with (second.folder / "photos.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert list(parse_csv(stream)) == rows_of(first)


@pytest.mark.promise("S3-057", "S3-X03")
@pytest.mark.parametrize("format", ["json", "csv"])
def test_an_empty_catalog_gives_an_empty_file_and_a_manifest_that_says_so(cast: Any, format: str) -> None:
    export = exported(cast, format)
    data = (export.folder / f"photos.{format}").read_bytes()
    assert data == b"[]\n" if format == "json" else data.count(b"\r\n") == 1
    manifest = json.loads((export.folder / "manifest.json").read_bytes())
    assert manifest["counts"]["photos"] == 0
    assert "No photos" in manifest["message"]


@pytest.mark.promise(
    *("S3-X01", "S3-038", "S3-039", "S3-041", "S3-052", "S3-059", "S3-061", "S3-076", "S3-U01"),
    *("S3-032", "S3-033", "S3-036"),
)
def test_progress_is_told_after_each_batch_which_is_written_before_the_next_is_read(
    cast: Any, monkeypatch: Any
) -> None:
    make_many(cast.library, 2500)
    events: list[Any] = []
    fetch, write = PhotoRows.fetch, ExportSink.write_batch

    def watched_fetch(self: PhotoRows, after: Any, limit: int) -> list:
        events.append(("fetch", limit))
        return fetch(self, after, limit)

    def watched_write(self: ExportSink, rows: Any) -> int:
        count = write(self, rows)
        events.append(("write", count))
        return count

    monkeypatch.setattr(PhotoRows, "fetch", watched_fetch)
    monkeypatch.setattr(ExportSink, "write_batch", watched_write)
    run(ask(cast), lambda operation: events.append(("done", operation.done, operation.total, operation.state)))
    progress = [event for event in events if event[0] == "done"]
    assert progress == [("done", count, 2500, "running") for count in (0, 1000, 2000, 2500)]
    batches = [event for event in events if event[0] != "done"]
    assert batches == [event for count in (1000, 1000, 500) for event in (("fetch", 1000), ("write", count))]


@pytest.mark.promise("S3-055")
def test_an_exact_multiple_of_the_batch_ends_with_an_empty_query(cast: Any, monkeypatch: Any) -> None:
    make_many(cast.library, 2000)
    sizes: list[int] = []
    fetch = PhotoRows.fetch
    monkeypatch.setattr(
        PhotoRows, "fetch", lambda self, after, limit: (rows := fetch(self, after, limit), sizes.append(len(rows)))[0]
    )
    assert len(rows_of(exported(cast))) == 2000
    assert sizes == [1000, 1000, 0]


def test_cancel_is_honoured_within_a_batch_and_leaves_nothing(cast: Any) -> None:
    make_many(cast.library, 3000)
    export = ask(cast)

    def stop(operation: Operation) -> None:
        if operation.done == 1000:
            control.cancel(Operation.objects.get(pk=operation.pk))

    operation = run(export, stop)
    assert (operation.state, operation.done) == (State.CANCELLED, 1000)
    assert export.completed_at is None
    assert list(export.parent_folder.iterdir()) == []
    control.resume(operation)
    run(export)
    assert export.photo_count == 3000


@pytest.mark.promise("S3-U03", "X-05")
def test_a_failure_removes_what_was_written_and_says_what_to_do(cast: Any, monkeypatch: Any) -> None:
    make_many(cast.library, 1500)
    calls: list[int] = []
    write = ExportSink.write_batch

    def full(self: ExportSink, rows: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(self, rows)

    monkeypatch.setattr(ExportSink, "write_batch", full)
    export = ask(cast)
    operation = run(export)
    assert (operation.state, operation.error_code) == (State.FAILED, "disk_space")
    assert "Free some space" in operation.error
    assert list(export.parent_folder.iterdir()) == []


@pytest.mark.promise("S3-U03", "S3-047", "S3-060")
def test_a_database_that_fails_ends_the_export_and_is_told(cast: Any, monkeypatch: Any) -> None:
    make_many(cast.library, 1500)
    fetch = PhotoRows.fetch

    def fail(self: PhotoRows, after: Any, limit: int) -> list:
        if after is not None:
            raise DatabaseError("the index is damaged")
        return fetch(self, after, limit)

    monkeypatch.setattr(PhotoRows, "fetch", fail)
    export = ask(cast)
    operation = run(export)
    assert (operation.state, export.word, export.completed_at) == (State.FAILED, "failed", None)
    assert "DatabaseError" in operation.error and "the index is damaged" in operation.error_detail
    assert list(export.parent_folder.iterdir()) == []


@pytest.mark.promise("S3-U11")
def test_the_disk_must_have_room_before_anything_is_written(cast: Any, monkeypatch: Any) -> None:
    make_photo(cast.library, size_bytes=5_000_000_000, on_disk=False)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 100_000_000))
    export = ask(cast, include_media=True)
    operation = run(export)
    assert operation.error_code == "disk_space"
    assert "5,017 MB" in operation.error
    assert "100 MB" in operation.error
    assert list(export.parent_folder.iterdir()) == []
    assert rows_of(exported(cast))


def test_what_a_killed_run_left_is_replaced_and_a_published_export_is_taken_as_it_is(
    cast: Any, monkeypatch: Any
) -> None:
    make_many(cast.library, 5)
    export = ask(cast)
    left = export.parent_folder / f".partial-{export.pk}-0"
    left.mkdir(parents=True)
    (left / "photos.json").write_text("[\n half")
    monkeypatch.setattr(catalog_export.CatalogExport, "_finish", lambda self: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):  # the process ends right after the last rename
        execute(export.operation_id)
    assert [path.name for path in export.parent_folder.iterdir()] == [export.folder_name]
    before = (export.folder / "photos.json").stat().st_mtime_ns
    monkeypatch.undo()
    Operation.objects.filter(pk=export.operation_id).update(lease_until=None)
    assert run(export).state == State.COMPLETED
    assert (export.folder / "photos.json").stat().st_mtime_ns == before
    assert export.photo_count == 5


def test_a_worker_that_lost_the_export_publishes_nothing(cast: Any) -> None:
    make_many(cast.library, 5)
    export = ask(cast)
    first = claim(export.operation_id, worker="somewhere|else")
    assert first is not None
    Operation.objects.filter(pk=export.operation_id).update(lease_until=None)
    second = claim(export.operation_id)
    assert second is not None
    from operations.running import LeaseLost

    with pytest.raises(LeaseLost):
        catalog_export.run_export(first)
    assert list(export.parent_folder.iterdir()) == []
    assert catalog_export.run_export(second)["photos"] == 5


@pytest.mark.promise("S3-030", "S3-051", "S3-U13", "S3-X06", "S3-U04")
def test_both_days_of_a_range_belong_to_it_and_today_is_no_future(cast: Any) -> None:
    for text in ("2024-04-30T23:59:59", "2024-05-01T00:00:00", "2024-05-02T23:59:59", "2024-05-03T00:00:00"):
        make_photo(cast.library, f"{text[:13]}.jpg", taken=datetime.fromisoformat(text + "+00:00"))
    make_photo(cast.library, "undated.jpg", taken=None)
    other = make_library(cast.alice, cast.root.parent / "other", name="Other")
    make_photo(other, "other.jpg", taken=datetime(2024, 5, 1, 12, tzinfo=UTC))
    days = {"start_date": date(2024, 5, 1), "end_date": date(2024, 5, 2)}
    export = exported(cast, include_media=True, **days)
    assert [row["filename"] for row in rows_of(export)] == ["2024-05-02T23.jpg", "2024-05-01T00.jpg"]
    manifest = json.loads((export.folder / "manifest.json").read_bytes())
    assert manifest["date_range"] == {"start_date": "2024-05-01", "end_date": "2024-05-02"}
    assert len(rows_of(exported(cast, end_date=timezone.now().date()))) == 4
    with pytest.raises(ExportRefused, match="before the first"):
        ask(cast, start_date=date(2024, 5, 2), end_date=date(2024, 5, 1))
    with pytest.raises(ExportRefused, match="future"):
        ask(cast, end_date=timezone.now().date() + timedelta(days=2))
    assert Export.objects.count() == 2


def test_a_filter_narrows_and_an_unknown_one_is_refused(cast: Any) -> None:
    make_photo(cast.library, "a.jpg", rating=5)
    make_photo(cast.library, "b.jpg", rating=1)
    assert [row["filename"] for row in rows_of(exported(cast, filter={"rating": 5}))] == ["a.jpg"]
    with pytest.raises(BadRequest, match="colour"):
        ask(cast, filter={"colour": "red"})


def test_an_export_by_words_has_what_was_not_indexed_before_it(cast: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("catalog.words.indexing.BATCH", 1)  # a search catches up with two of them
    for number in range(12):
        make_photo(cast.library, f"{number}.jpg", caption="At the lake", on_disk=False)
    assert len(rows_of(exported(cast, filter={"q": "lake"}))) == 12


def test_an_album_narrows_and_that_of_others_is_like_none(cast: Any) -> None:
    mine, theirs = (albums.create(user, uuid4(), {"title": "Sea"}) for user in (cast.alice, cast.bob))
    inside, removed, _ = (make_photo(cast.library, f"{name}.jpg", rating=5) for name in "abc")
    items.add(cast.alice, mine.pk, [items.Target(items.PHOTO, one.pk) for one in (inside, removed)])
    items.remove(cast.alice, mine.pk, [item.pk for item in mine.items.filter(photo=removed)])
    items.add(cast.bob, theirs.pk, [items.Target(items.PHOTO, removed.pk)])
    assert [row["filename"] for row in rows_of(exported(cast, filter={"album": str(mine.pk)}))] == ["a.jpg"]
    assert rows_of(exported(cast, filter={"album": str(mine.pk), "rating": 4})) == []
    found = albums.create(cast.alice, uuid4(), {"title": "Found", "query": {"q": "name:a"}})
    assert [row["filename"] for row in rows_of(exported(cast, filter={"album": str(found.pk)}))] == ["a.jpg"]
    told = set()
    for album in (theirs.pk, uuid4()):
        with pytest.raises(BadRequest) as refused:
            ask(cast, filter={"album": str(album)})
        told.add(str(refused.value.detail))
    assert told == {"There is no album of that id that you may see."}
    with pytest.raises(BadRequest, match="must be the id"):
        ask(cast, filter={"album": "Sea"})
    waiting = ask(cast, filter={"album": str(mine.pk)})
    albums.delete(cast.alice, mine.pk)
    assert run(waiting).state == State.FAILED


@pytest.mark.promise("S3-031", "S3-034", "S3-035", "S3-069", "S3-070", "S3-U08", "S3-U10", "S3-X08")
def test_originals_are_copied_verified_and_missing_ones_are_told(cast: Any, settings: Any, monkeypatch: Any) -> None:
    good = [make_photo(cast.library, f"{folder}/same.jpg") for folder in ("a", "b")]
    make_photo(cast.library, "no-date.png", taken=None)
    gone = make_photo(cast.library, "gone.jpg", on_disk=False)
    changed = make_photo(cast.library, "changed.jpg")
    (cast.root / "changed.jpg").write_bytes(b"other")
    swapped = make_photo(cast.library, "swapped.jpg", photo_md5="0" * 32)
    export = ask(cast, include_media=True)
    add_media = ExportSink.add_media

    def add(self: ExportSink, *words: Any) -> Any:
        assert len(json.loads((self.folder / "photos.json").read_bytes())) == 6  # whole, before the first original
        return add_media(self, *words)

    monkeypatch.setattr(ExportSink, "add_media", add)
    operation = run(export)
    assert operation.state == State.COMPLETED
    assert export.folder == Path(
        settings.EXPORTS_DIR, str(cast.alice.pk), f"{export.created_at:%Y-%m-%d_%H-%M-%S}_{export.pk}"
    )
    assert {path.name for path in export.folder.iterdir()} == {"photos.json", "media", "manifest.json"}
    assert (export.photo_count, export.media_count, export.missing_count) == (6, 3, 3)
    assert operation.result["failed"] == 3
    assert {problem["path"] for problem in operation.result["problems"]} == {gone.path, changed.path, swapped.path}
    # Of two it was known before anything was copied that their files are not there as they were scanned.
    assert (operation.metrics["media_copied"], operation.metrics["media_total"]) == (3, 4)
    rows = {row["path"]: row for row in rows_of(export)}
    names = set()
    for photo in good:
        [name] = rows[photo.path]["media_files"]
        names.add(name)
        assert (export.folder / name).read_bytes() == (cast.root / photo.path).read_bytes()
    assert names == {"media/Holidays/2024/05/same.jpg", "media/Holidays/2024/05/same (1).jpg"}
    assert rows["no-date.png"]["media_files"] == ["media/Holidays/undated/no-date.png"]
    assert "media_files" not in rows["gone.jpg"]
    manifest = json.loads((export.folder / "manifest.json").read_bytes())
    listed = {file["path"] for file in manifest["files"]}
    assert listed | {"manifest.json"} == {
        str(path.relative_to(export.folder)) for path in export.folder.rglob("*") if path.is_file()
    }
    on_disk = sum(path.stat().st_size for path in export.folder.rglob("*") if path.is_file())
    assert export.size_bytes == on_disk


@pytest.mark.promise("S3-X07")
def test_one_export_of_a_user_runs_and_the_others_wait_in_order(cast: Any) -> None:
    make_many(cast.library, 2)
    first, second, third = ask(cast), ask(cast, "csv"), ask(cast, end_date=date(2024, 5, 17))
    other = ask(cast, user=cast.bob)
    assert first.folder_name != other.folder_name
    assert [export.place for export in Export.objects.with_place().order_by("created_at")] == [0, 1, 2, 0]
    running = claim(first.operation_id)
    assert running is not None
    assert [export.place for export in Export.objects.order_by("created_at")] == [None, 1, 2, 0]
    assert claim(second.operation_id) is None and claim(third.operation_id) is None
    assert run(other).state == State.COMPLETED  # nobody waits for another person's
    running.finish(State.PENDING)
    assert claim(second.operation_id) is None
    control.cancel(Operation.objects.get(pk=first.operation_id))
    assert claim(third.operation_id) is None
    assert run(second).state == run(third).state == State.COMPLETED


def test_the_same_export_is_not_asked_for_twice_and_no_more_wait_than_twenty(cast: Any) -> None:
    first = ask(cast)
    with pytest.raises(AlreadyActive) as refused:
        ask(cast)
    assert refused.value.operation.pk == first.operation_id
    for day in range(1, MOST_WAITING):
        ask(cast, start_date=date(2024, 5, day))
    with pytest.raises(ExportRefused, match="20 exports of yours") as full:
        ask(cast, "csv")
    assert full.value.code == "queue_full"
    assert Export.objects.count() == Operation.objects.count() == MOST_WAITING
    assert ask(cast, "csv", user=cast.bob)


def test_who_lost_the_library_gets_nothing_of_it(cast: Any) -> None:
    make_many(cast.library, 3)
    export = ask(cast, user=cast.bob)
    cast.library.memberships.all().delete()
    operation = run(export)
    assert (operation.state, operation.error_code) == (State.FAILED, "gone")
    assert not export.parent_folder.exists()


def test_deleting_takes_the_files_and_waits_for_no_one(cast: Any) -> None:
    make_many(cast.library, 3)
    running = ask(cast)
    with pytest.raises(ExportRefused, match="Cancel it first"):
        delete_export(running)
    run(running)
    folder = running.folder
    assert folder.is_dir()
    delete_export(running)
    assert not Export.objects.exists()
    assert list(Path(folder.parent).iterdir()) == []
    again = exported(cast)
    shutil.rmtree(again.folder)
    delete_export(again)
    assert not Export.objects.exists()


def test_an_export_survives_the_forgetting_of_its_library(cast: Any) -> None:
    from catalog.libraries.forget import forget_library

    make_many(cast.library, 3)
    export = exported(cast)
    forget_library(cast.library)
    export.refresh_from_db()
    assert (export.library, export.library_name) == (None, "Holidays")
    assert len(rows_of(export)) == 3
