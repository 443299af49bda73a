"""The scan, through its operation: what it finds, what it keeps, and that it never does a thing twice."""

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from PIL import Image

from catalog.cache import tree
from catalog.cache.tree import cache
from catalog.entries import counts as entries_counts
from catalog.entries import rows as entries_rows
from catalog.history import publish
from catalog.history import rows as history_rows
from catalog.models import Favourite, HashCache, Library, Photo, PhotoMetadata, Snapshot
from catalog.models.photo import photo_id
from catalog.roots.snapshot_locations import cache_location
from catalog.snapshots.location import FolderLocation
from catalog.snapshots.read import open_snapshot
from catalog.snapshots.schema import SnapshotHeader
from catalog.snapshots.write import Selection, write_snapshot
from catalog.sources.local import LocalSource
from operations.control import resume
from operations.models import State
from operations.running import execute, start
from photolala.lib.paths import escape_path
from tests.photos import make_jpeg, make_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def library(alice, root) -> Library:
    root.mkdir()
    return Library.objects.create(
        owner=alice, name="Family", root=escape_path(os.fsencode(root)), time_zone="Europe/Berlin"
    )


def scan(library, **params):
    operation = start(
        "scan",
        library.owner,
        active_key=library.scan_key,
        params={"library": str(library.pk), **params},
        enqueue=False,
    )
    operation = execute(operation.pk)
    library.refresh_from_db()
    return operation


def counts(operation):
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {key: operation.result[key] for key in ("found", "added", "changed", "moved", "unchanged", "gone", "failed")}


def facts(library):
    """Everything a scan wrote of the photos, by path."""
    skipped = {"added_at", "claim_token"}
    return {
        photo.path: {
            f.attname: getattr(photo, f.attname) for f in Photo._meta.concrete_fields if f.attname not in skipped
        }
        for photo in Photo.objects.filter(library=library)
    }


@pytest.mark.promise("S4-013", "S4-014", "S4-037", "S4-038", "S4-042", "S4-034", "S4-035", "S4-X06")
@pytest.mark.cache_in_bucket
def test_a_first_scan_knows_everything_of_a_photo(library, root, monkeypatch):
    real, opened = LocalSource.open, []
    monkeypatch.setattr(
        LocalSource, "open", lambda self, path, **more: (opened.append(path), real(self, path, **more))[1]
    )
    path = make_jpeg(root / "2024" / "IMG_1.JPG", size=(80, 60), orientation=6)
    assert counts(scan(library)) == dict(found=1, added=1, changed=0, moved=0, unchanged=0, gone=0, failed=0)
    photo = Photo.objects.get()
    assert opened == ["2024/IMG_1.JPG"] * 2  # for its head, and once for all the rest
    content = path.read_bytes()
    assert photo.path == "2024/IMG_1.JPG"
    assert photo.photo_md5 == hashlib.md5(content).hexdigest()
    assert photo.fast_photo_key == f"{hashlib.md5(content[:4096]).hexdigest()}:{len(content)}"
    assert photo.pk == photo_id(library.pk, "2024/IMG_1.JPG", photo.fast_photo_key)
    assert (photo.width, photo.height, photo.orientation) == (60, 80, 6)
    assert photo.taken_local.isoformat() == "2024-05-17T12:00:00+00:00"
    assert photo.taken_at.isoformat() == "2024-05-17T10:00:00+00:00"  # noon in Berlin's summer
    assert (photo.taken_day, photo.taken_source, photo.taken_offset_minutes) == (20240517, "exif", None)
    assert (photo.camera_make, photo.camera_model) == ("Canon", "Canon EOS 6D")
    assert photo.state == Photo.State.READY and photo.has_thumbnail and not photo.needs_digest
    assert '"cameraModel":"Canon EOS 6D"' in PhotoMetadata.objects.get(photo=photo).body
    row = HashCache.objects.get()
    assert (row.path, row.photo_md5, row.size_bytes) == ("2024/IMG_1.JPG", photo.photo_md5, len(content))
    assert (library.photo_count, library.size_bytes, library.problem_count) == (1, len(content), 0)


@pytest.mark.promise("S4-010", "S4-015", "S4-016", "S4-029", "S4-039", "S4-041", "S4-043")
@pytest.mark.cache_in_bucket
def test_picture_and_metadata_lie_in_the_cache_under_the_hash(library, root):
    make_jpeg(root / "2024" / "IMG_1.JPG", size=(800, 600))
    scan(library)
    photo = Photo.objects.get()
    md5 = photo.photo_md5
    with cache().open(f"local/thumbnails/{md5[:2]}/{md5}.jpg") as file:
        picture = Image.open(file)
        assert (picture.format, picture.size) == ("JPEG", (256, 192))
    with cache().open(f"local/metadata/{md5[:2]}/{md5}.json") as file:
        body = json.loads(file.read())
    assert body == json.loads(PhotoMetadata.objects.get(photo=photo).body)
    assert (body["photoMD5"], body["width"], body["cameraModel"]) == (md5, 800, "Canon EOS 6D")


@pytest.mark.promise("S4-004", "S4-059")
def test_before_its_file_is_read_a_photo_is_known_by_its_fast_key(library, root, monkeypatch):
    path = make_jpeg(root / "2024" / "IMG_1.JPG", size=(80, 60))
    with monkeypatch.context() as patch:
        patch.setattr("catalog.scanning.scan.Scan.digest", lambda *_: 1 / 0)
        assert scan(library).state == State.FAILED
    head = hashlib.md5(path.read_bytes()[:4096]).hexdigest()
    early = Photo.objects.get()
    assert (early.state, early.is_shown, early.photo_md5) == (Photo.State.SURVEYED, True, "")
    assert early.fast_photo_key == f"{head}:{path.stat().st_size}"
    assert early.pk == photo_id(library.pk, "2024/IMG_1.JPG", early.fast_photo_key)
    assert not Snapshot.objects.exists()  # a snapshot is of what is known to its end
    scan(library)
    late = Photo.objects.get()
    assert (late.pk, late.fast_photo_key, late.state) == (early.pk, early.fast_photo_key, Photo.State.READY)
    assert Snapshot.objects.exists()


@pytest.mark.promise("S2-030", "S2-052", "X-05")
def test_what_was_done_is_kept_every_hundred_photos(library, root, monkeypatch):
    make_library(root, 250, per_folder=50)
    real, batches = entries_rows.apply_digests, []

    def apply(of_library, rows):
        if len(batches) == 2:
            raise MemoryError
        batches.append(len(rows))
        return real(of_library, rows)

    monkeypatch.setattr("catalog.scanning.digest.FLUSH_SECONDS", 1000.0)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.entries.rows.apply_digests", apply)
        failed = scan(library)
    assert failed.state == State.FAILED and batches == [100, 100]
    assert Photo.objects.filter(needs_digest=False).count() == 200
    resume(failed)
    done = execute(failed.pk)
    assert done.state == State.COMPLETED, done.error
    assert done.result["added"] == 250
    assert not Photo.objects.filter(needs_digest=True).exists()


@pytest.mark.promise("S4-060")
def test_a_batch_is_written_whole_or_not_at_all(library, root, monkeypatch):
    make_library(root, 4)

    def end(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("catalog.entries.rows.remember_hashes", end)  # the last of what a batch writes
        failed = scan(library)
    assert failed.state == State.FAILED
    assert set(Photo.objects.values_list("needs_digest", "photo_md5")) == {(True, "")}
    assert not PhotoMetadata.objects.exists() and not HashCache.objects.exists() and not Snapshot.objects.exists()
    resume(failed)
    assert counts(execute(failed.pk))["added"] == 4
    assert HashCache.objects.count() == PhotoMetadata.objects.count() == 4


@pytest.mark.promise("S4-003", "S4-007", "S2-014", "S2-060", "S4-075")
def test_a_second_scan_opens_no_file_and_changes_nothing(library, root, monkeypatch):
    make_library(root, 30, per_folder=10)
    scan(library)
    before = facts(library)

    def refuse(self, path, **_):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr("catalog.sources.local.LocalSource.open", refuse)
    assert counts(scan(library)) == dict(found=30, added=0, changed=0, moved=0, unchanged=30, gone=0, failed=0)
    assert facts(library) == before


@pytest.mark.promise("S4-053", "S4-054", "S4-055", "S4-056", "S4-X05", "S2-X02")
def test_added_changed_and_gone_are_told_apart(library, root, monkeypatch):
    make_library(root, 12, per_folder=12)
    scan(library)
    folder, pointer = root / "2000" / "01", root / ".photolala.md5"
    earlier = pointer.read_text().split()
    (folder / "IMG_00003.JPG").unlink()
    make_jpeg(folder / "IMG_00004.JPG", seed=400, mtime=1_600_000_000)
    make_jpeg(folder / "new.jpg", seed=900)
    kept = Photo.objects.get(filename="IMG_00004.JPG").pk
    drawn = []
    write_thumbnail = tree.write_thumbnail
    monkeypatch.setattr(tree, "write_thumbnail", lambda md5, *more: (drawn.append(md5), write_thumbnail(md5, *more))[1])
    again = scan(library)
    assert counts(again) == dict(found=12, added=1, changed=1, moved=0, unchanged=10, gone=1, failed=0)
    assert again.metrics["files_read"] == 2
    anew = {hashlib.md5((folder / name).read_bytes()).hexdigest() for name in ("IMG_00004.JPG", "new.jpg")}
    assert sorted(drawn) == sorted(anew)
    gone = Photo.objects.get(filename="IMG_00003.JPG")
    assert gone.state == Photo.State.MISSING and not gone.is_shown and gone.missing_since
    assert Photo.objects.get(filename="IMG_00004.JPG").pk == kept
    assert library.missing_count == 1 and library.photo_count == 12
    latest, *others = pointer.read_text().split()
    assert others == earlier and latest == library.snapshot_md5
    with closing(sqlite3.connect(f"file:{root}/.photolala.{latest}.sqlite?immutable=1", uri=True)) as snapshot:
        entries = dict(snapshot.execute("SELECT filename, photo_md5 FROM entries"))
    assert entries == {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    make_jpeg(folder / "IMG_00003.JPG", seed=3, mtime=1_500_000_003)
    scan(library)
    back = Photo.objects.get(filename="IMG_00003.JPG")
    assert back.pk == gone.pk and back.state == Photo.State.READY and back.missing_since is None


def test_a_moved_photo_stays_the_same_photo(library, root, alice):
    make_library(root, 20, per_folder=20)
    scan(library)
    photo = Photo.objects.get(filename="IMG_00007.JPG")
    Favourite.objects.create(user=alice, photo=photo)
    (root / "best").mkdir()
    (root / "2000" / "01" / "IMG_00007.JPG").rename(root / "best" / "sunset.jpg")
    assert counts(scan(library)) == dict(found=20, added=0, changed=0, moved=1, unchanged=19, gone=0, failed=0)
    moved = Photo.objects.get(pk=photo.pk)
    assert moved.path == "best/sunset.jpg" and moved.state == Photo.State.READY and moved.has_thumbnail
    assert Photo.objects.count() == 20 and Favourite.objects.get().photo_id == photo.pk
    assert PhotoMetadata.objects.filter(photo=moved).exists()


def test_a_whole_library_tidied_into_other_folders_moves_without_a_question(library, root):
    make_library(root, 12, per_folder=6)
    scan(library)
    ids = {photo.photo_md5: photo.pk for photo in Photo.objects.all()}
    (root / "2000").rename(root / "Archive")
    assert counts(scan(library))["moved"] == 12
    assert {photo.photo_md5: photo.pk for photo in Photo.objects.all()} == ids


def test_much_gone_at_once_changes_nothing_until_a_person_confirms(library, root):
    make_library(root, 10, per_folder=5)
    scan(library)
    before = facts(library)
    shutil.rmtree(root / "2000" / "02")
    refused = scan(library)
    assert refused.state == State.FAILED and refused.error_code == "confirm_gone"
    assert "5 of 10" in refused.error and refused.result == {"gone": 5, "known": 10}
    assert facts(library) == before
    resume(refused, confirm_gone=True)
    assert counts(execute(refused.pk))["gone"] == 5
    assert Photo.objects.filter(state=Photo.State.MISSING).count() == 5


def test_an_unreachable_root_changes_nothing(library, root):
    make_library(root, 4)
    scan(library)
    before = facts(library)
    root.rename(root.with_name("elsewhere"))
    failed = scan(library)
    assert failed.state == State.FAILED and failed.error_code == "root_unavailable"
    assert str(root) in failed.error
    assert facts(library) == before


@pytest.mark.promise("S4-X07", "S4-033")
def test_bad_files_are_listed_with_their_reason_and_stop_nothing(library, root):
    make_library(root, 3)
    (root / "empty.jpg").write_bytes(b"")
    (root / "page.png").write_text("<html><body>hello</body></html>")
    whole = make_jpeg(root / "whole.jpg", size=(640, 480)).read_bytes()
    (root / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (root / ".hidden.jpg").write_bytes(whole)
    (root / "notes.txt").write_text("not a photo")
    (root / "link.jpg").symlink_to(root / "whole.jpg")
    os.mkfifo(root / "pipe.jpg")
    result = scan(library)
    assert counts(result)["found"] == 7 and counts(result)["failed"] == 3
    broken = dict(Photo.objects.filter(state="broken").values_list("filename", "problem"))
    assert "empty" in broken["empty.jpg"] and broken["page.png"]
    half = Photo.objects.get(filename="half.jpg")
    assert half.state in (Photo.State.DAMAGED, Photo.State.BROKEN) and half.problem
    assert {problem["path"] for problem in result.result["problems"]} == {"pipe.jpg"}
    assert not Photo.objects.filter(filename__in=[".hidden.jpg", "link.jpg", "notes.txt"]).exists()


def test_an_unreadable_file_is_tried_again_at_the_next_scan(library, root, monkeypatch):
    make_library(root, 2)
    original = __import__("catalog.sources.local", fromlist=["LocalSource"]).LocalSource.open

    def refuse(self, path, **options):
        if path.endswith("00001.JPG"):
            raise PermissionError(13, "Permission denied", path)
        return original(self, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr("catalog.sources.local.LocalSource.open", refuse)
        scan(library)
    assert Photo.objects.get(filename="IMG_00001.JPG").state == Photo.State.BROKEN
    assert counts(scan(library))["changed"] == 1
    assert Photo.objects.get(filename="IMG_00001.JPG").state == Photo.State.READY


def test_a_changed_sidecar_is_read_again(library, root):
    path = make_jpeg(root / "a.jpg", taken=None, mtime=1_500_000_000)
    scan(library)
    sidecar = path.with_name("a.jpg.xmp")
    sidecar.write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    assert counts(scan(library))["changed"] == 1
    assert Photo.objects.get().rating == 4
    assert counts(scan(library))["unchanged"] == 1


def test_names_that_are_no_utf8_and_twins_are_kept_apart(library, root):
    base = os.fsencode(root)
    content = make_jpeg(root / "x.jpg").read_bytes()
    names = [
        b"caf\xe9.jpg",
        "café.jpg".encode(),
        "cafe\u0301.jpg".encode(),
        b"new\nline.jpg",
        b"-rf.jpg",
        b"back\\slash.jpg",
    ]
    for name in names:
        with open(base + b"/" + name, "wb") as file:
            file.write(content)
    assert counts(scan(library)) == dict(found=7, added=7, changed=0, moved=0, unchanged=0, gone=0, failed=0)
    assert {photo.filename for photo in Photo.objects.all()} == {"x.jpg", *(escape_path(name) for name in names)}
    assert Photo.objects.values("photo_md5").distinct().count() == 1
    assert counts(scan(library))["unchanged"] == 7


@pytest.mark.promise("S4-X01")
def test_same_head_and_size_with_other_content_is_another_photo(library, root):
    content = make_jpeg(root / "a.jpg", size=(900, 700)).read_bytes()
    assert len(content) > 5000
    (root / "b.jpg").write_bytes(content[:-3] + b"\x00" + content[-2:])
    (root / "copy.jpg").write_bytes(content)
    scan(library)
    by_name = {photo.filename: photo for photo in Photo.objects.all()}
    assert by_name["a.jpg"].fast_photo_key == by_name["b.jpg"].fast_photo_key == by_name["copy.jpg"].fast_photo_key
    assert by_name["a.jpg"].photo_md5 == by_name["copy.jpg"].photo_md5 != by_name["b.jpg"].photo_md5
    assert len({photo.pk for photo in by_name.values()}) == 3


@pytest.mark.promise("S4-002", "S4-021", "S4-022", "S4-023", "S4-024", "S4-045", "S4-047")
@pytest.mark.cache_in_bucket
def test_snapshot_and_pointer_are_published_in_root_and_cache(library, root):
    make_library(root, 5)
    md5 = scan(library).result["snapshot_md5"]
    assert library.snapshot_md5 == md5 and library.root_has_pointer and library.warning == ""
    in_root = root / f".photolala.{md5}.sqlite"
    assert hashlib.md5(in_root.read_bytes()).hexdigest() == md5
    assert (root / ".photolala.md5").read_text() == f"{md5}\n"
    cached = cache_location(hashlib.md5(f"file://{root}".encode()).hexdigest())
    assert cached.names() == [f".photolala.{md5}.sqlite", ".photolala.md5"]
    row = Snapshot.objects.get()
    assert (row.md5, row.entry_count, row.in_cache, row.in_root) == (md5, 5, True, True)
    with open_snapshot(in_root, md5) as snapshot:
        assert snapshot.header.library_id == str(library.pk)
        entries = {entry.path: entry for entry in snapshot.entries()}
        assert len(list(snapshot.metadata())) == 5
    photo = Photo.objects.order_by("filename").first()
    entry = entries[photo.path]
    assert (entry.photo_id, entry.photo_md5, entry.size_bytes) == (str(photo.pk), photo.photo_md5, photo.size_bytes)
    assert entry.taken_at == photo.taken_text == "2000-01-01T00:30:00"


@pytest.mark.cache_in_bucket
def test_a_scan_without_changes_keeps_the_snapshot_and_one_with_changes_keeps_history(library, root):
    make_library(root, 10)
    first = scan(library).result["snapshot_md5"]
    assert scan(library).result["snapshot_md5"] == first
    make_jpeg(root / "new.jpg", seed=77)
    second = scan(library).result["snapshot_md5"]
    assert (root / ".photolala.md5").read_text() == f"{second}\n{first}\n"
    (root / "new.jpg").unlink()
    assert scan(library).result["snapshot_md5"] == first
    assert (root / ".photolala.md5").read_text() == f"{first}\n{second}\n"


@pytest.mark.promise("S4-065", "S4-066", "S4-X03")
def test_a_root_that_takes_no_files_keeps_its_snapshot_in_the_cache(library, root, monkeypatch, caplog):
    make_library(root, 3)

    def refuse(self):
        if self.label != "the cache":
            raise OSError(30, "Read-only file system")
        prepare(self)

    prepare = FolderLocation.prepare  # what comes before anything is put there
    monkeypatch.setattr(FolderLocation, "prepare", refuse)
    operation = scan(library)
    assert operation.state == State.COMPLETED
    assert "Read-only file system" in library.warning and "Read-only file system" in caplog.text
    row = Snapshot.objects.get()
    assert (row.in_cache, row.in_root) == (True, False) and not library.root_has_pointer
    assert counts(scan(library))["unchanged"] == 3


def test_another_disk_under_the_same_name_is_noticed(library, root):
    make_library(root, 3)
    scan(library)
    (root / ".photolala.md5").unlink()
    before = facts(library)
    refused = scan(library)
    assert refused.state == State.FAILED and refused.error_code == "confirm_gone" and ".photolala.md5" in refused.error
    assert facts(library) == before
    resume(refused, confirm_gone=True)
    assert execute(refused.pk).state == State.COMPLETED
    assert (root / ".photolala.md5").exists()


def test_a_folder_that_lost_its_snapshot_gets_the_one_that_the_cache_keeps(library, root, monkeypatch):
    make_library(root, 3)
    scan(library)
    library.refresh_from_db()
    name = f".photolala.{library.snapshot_md5}.sqlite"
    whole = (root / name).read_bytes()
    real = publish.write_snapshot
    monkeypatch.setattr(publish, "write_snapshot", None)
    for path in root.glob(".photolala.*"):
        path.unlink()
    assert counts(scan(library, confirm_gone=True))["unchanged"] == 3
    assert (root / name).read_bytes() == whole
    library.refresh_from_db()
    assert library.root_has_pointer and library.warning == ""
    assert Snapshot.objects.get().entry_count == 3
    with LocalSource(root) as source:
        location = cache_location(source.root_md5)
    location.delete(name)  # the cache lost it, too: then it is written anew
    for path in root.glob(".photolala.*"):
        path.unlink()
    monkeypatch.setattr(publish, "write_snapshot", real)
    scan(library, confirm_gone=True)
    assert (root / name).read_bytes() == whole


@pytest.mark.django_db(transaction=True)
def test_sqlite_copies_into_a_snapshot_what_is_else_handed_over_row_by_row(library, root, tmp_path, monkeypatch):
    make_library(root, 5)
    make_jpeg(root / "IMG_00001 copy.jpg", seed=1)
    make_jpeg(root / "Zürich\n%s.jpg", seed=71)
    scan(library)
    Photo.objects.filter(filename="IMG_00002.JPG").update(state="missing")
    by_row = (*(rows(library) for rows in (history_rows.entry_rows, history_rows.metadata_rows)), (), ())
    if connection.vendor != "sqlite":
        assert not any(isinstance(rows, Selection) for rows in history_rows.rows_of(library))
        return
    database = tmp_path / "a # b?.sqlite3"
    with closing(sqlite3.connect(database)) as copy:
        connection.connection.backup(copy)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(database))
    with transaction.atomic():
        assert not any(isinstance(rows, Selection) for rows in history_rows.rows_of(library))
    copied = history_rows.rows_of(library)
    assert [isinstance(rows, Selection) for rows in copied] == [True, True, False, False]
    other_library = Library.objects.create(owner=library.owner, name="Large", root="/large", photo_count=10**6)
    by_index = history_rows.rows_of(library)  # of a library that is a small part of the database
    assert by_index[1].sql != copied[1].sql
    header = SnapshotHeader(str(library.pk))
    with write_snapshot(tmp_path, header, *by_row) as one:
        assert one.entry_count == Photo.objects.exclude(state="missing").count() == 6
        for rows in (copied, by_index):
            with write_snapshot(tmp_path, header, *rows) as other:
                assert one.md5 == other.md5
    other_library.delete()
    content = bytearray(database.read_bytes())
    content[4096 * 2 :] = bytes(len(content) - 4096 * 2)
    database.write_bytes(content)
    entries_counts.bump_revision(library)
    run = SimpleNamespace(token=1, still_mine=lambda: True, operation=SimpleNamespace(created_at=timezone.now()))
    with LocalSource(root) as source, pytest.raises(DatabaseError):  # as everywhere, so that a rebuild goes on without
        publish.publish_if_due(library, source, run)


def test_sqlite_makes_the_rows_of_a_snapshot_as_python_does(library, root):
    make_library(root, 6)
    make_jpeg(root / "top.jpg", seed=70, taken=None)
    scan(library)
    for number, (minutes, taken) in enumerate(
        ((None, "1998-02-03T04:05:06"), (330, "2020-01-02T03:04:05.678900"), (-570, "1826-01-01T00:00:00"))
    ):
        photo = Photo.objects.order_by("filename")[number]
        Photo.objects.filter(pk=photo.pk).update(
            taken_local=f"{taken}Z", taken_offset_minutes=minutes, taken_source="exif"
        )
    Photo.objects.filter(filename="IMG_00004.JPG").update(
        taken_source="", photo_md5="", head_md5="", media_type="", rating=3
    )
    columns = history_rows._selected(library, history_rows._ENTRY_COLUMNS)
    expected = [history_rows._entry_row(row) for row in columns]
    assert list(history_rows.entry_rows(library)) == expected
    assert {row[10] for row in expected} >= {
        None, "1998-02-03T04:05:06", "2020-01-02T03:04:05.678900+05:30", "1826-01-01T00:00:00-09:30",
    }  # fmt: skip
