"""Imports: files come into their folders whole, once, with what belongs to them; whatever goes wrong harms nothing."""

import errno
import hashlib
import json
import os
import shutil
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.ratings import set_rating
from catalog.entries.pending_writes import start_writing
from catalog.files.trash import trash_photos
from catalog.importing import cataloguing, cleanup, importer, listing, placer, requests, windows
from catalog.importing.origins import FolderOrigin
from catalog.importing.outcomes import Outcomes
from catalog.importing.requests import ImportRefused, open_batch, start_folder_import, start_importing
from catalog.importing.staging import staged_path
from catalog.libraries.adding import add_library
from catalog.libraries.forget import forget_library
from catalog.media.results import DigestResult
from catalog.models import FileWrite, Import, ImportItem, Library, Photo, Upload
from catalog.roots.folders import LibraryRefused
from catalog.scanning.schedule import start_due_scans
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


def run_imports(library):
    operation = Operation.objects.filter(active_key=f"import:{library.pk}").order_by("-created_at").first()
    if operation is None or operation.state != State.PENDING:
        operation = start_importing(library, library.owner)
    done = execute(operation.pk)
    assert done.state == State.COMPLETED, done.error + done.error_detail
    return done


def take(library, folder, layout="month", user=None):
    wanted = start_folder_import(library, user or library.owner, str(folder), layout)
    run_imports(library)
    wanted.refresh_from_db()
    return wanted


def rescan(library):
    """Do the scan that the import asked for, or another one."""
    asked = Operation.objects.filter(active_key=library.scan_key, state=State.PENDING).first()
    return execute(asked.pk) if asked else scan(library)


def ends(wanted):
    return {item.path: (str(item.state), item.code, item.target) for item in wanted.items.all()}


def files_of(library):
    root = Path(library.root)
    return {
        str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.promise("S2-017")
def test_files_come_into_the_folders_of_their_dates_and_into_the_catalog(library, card):
    make_jpeg(card / "DCIM" / "IMG_1.JPG", seed=1, taken="2024:05:17 12:00:00")
    make_jpeg(card / "DCIM" / "IMG_2.JPG", seed=2, taken="2023:12:31 23:59:59")
    make_jpeg(card / "scan.jpg", seed=3, taken=None)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in card.rglob("*.[jJ]*")}
    wanted = take(library, card)
    assert ends(wanted) == {
        "DCIM/IMG_1.JPG": ("imported", "", "2024/05/IMG_1.JPG"),
        "DCIM/IMG_2.JPG": ("imported", "", "2023/12/IMG_2.JPG"),
        "scan.jpg": ("imported", "", "2017/07/scan.jpg"),
    }
    assert wanted.finished_at is not None and not wanted.error
    for path, (data, mtime) in before.items():  # the card is as it was, and the copies are its files
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (data, mtime)
        item = wanted.items.get(filename=path.name)
        copy = Path(library.root) / item.target
        assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (data, mtime)
        photo = Photo.objects.get(library=library, directory=item.target_directory, filename=item.target_filename)
        assert photo.state == "ready" and photo.photo_md5 == item.photo_md5 and photo.has_thumbnail
    library.refresh_from_db()
    assert library.photo_count == 4
    rescan = Operation.objects.get(active_key=library.scan_key, state=State.PENDING)  # asked for by the import
    done = execute(rescan.pk)
    assert (done.result["added"], done.result["changed"], done.result["unchanged"]) == (0, 0, 4)
    library.refresh_from_db()
    assert done.result["snapshot_md5"] == library.snapshot_md5 and library.snapshot_revision == library.revision


@pytest.mark.promise("S2-048")
def test_what_is_there_already_is_told_at_once_and_not_copied(library, card):
    shutil.copy2(Path(library.root) / "2020" / "old.jpg", card / "again.jpg")
    make_jpeg(card / "a.jpg", seed=1)
    make_jpeg(card / "b.jpg", seed=1)
    wanted = take(library, card)
    assert {path: end[:2] for path, end in ends(wanted).items()} == {
        "again.jpg": ("duplicate", "in_library"),
        "a.jpg": ("imported", ""),
        "b.jpg": ("duplicate", "same_import"),
    }
    assert "2020/old.jpg" in wanted.items.get(filename="again.jpg").reason
    files = files_of(library)
    assert {end[1] for end in ends(take(library, card)).values()} == {"in_library"}  # once more: nothing comes in
    assert files_of(library) == files


@pytest.mark.promise("S2-017", "S2-027", "S2-048")
def test_a_card_that_is_put_in_again_is_not_read_again(library, card, monkeypatch, caplog):
    for number in range(6):
        make_jpeg(card / "DCIM" / f"IMG_{number}.JPG", seed=number, mtime=1_600_000_000)
    take(library, card)
    make_jpeg(card / "DCIM" / "IMG_3.JPG", seed=30, mtime=1_600_000_000)  # another one, of another size
    make_jpeg(card / "DCIM" / "IMG_4.JPG", seed=4, mtime=1_600_000_999)  # the same, written again
    make_jpeg(card / "DCIM" / "IMG_9.JPG", seed=9, mtime=1_600_000_000)
    trash_photos(library.owner, [Photo.objects.get(library=library, filename="IMG_5.JPG").pk])
    assert (card / "DCIM" / "IMG_3.JPG").stat().st_size != Photo.objects.get(filename="IMG_3.JPG").size_bytes
    real, opened = FolderOrigin.open, []
    monkeypatch.setattr(FolderOrigin, "open", lambda self, item: (opened.append(item.filename), real(self, item))[1])
    with caplog.at_level("INFO", logger="catalog.importing.importer"):
        wanted = take(library, card)
    assert set(opened) == {"IMG_3.JPG", "IMG_4.JPG", "IMG_9.JPG"}
    found = {path.removeprefix("DCIM/IMG_"): end[:2] for path, end in ends(wanted).items()}
    assert found == {
        "0.JPG": ("duplicate", "in_library"),
        "1.JPG": ("duplicate", "in_library"),
        "2.JPG": ("duplicate", "in_library"),
        "3.JPG": ("imported", ""),
        "4.JPG": ("duplicate", "in_library"),
        "5.JPG": ("duplicate", "in_trash"),
        "9.JPG": ("imported", ""),
    }
    assert "4 files were known from earlier imports" in caplog.text
    assert Operation.objects.filter(kind="import").order_by("created_at").last().result["known"] == 4
    assert "2024/05/IMG_0.JPG" in wanted.items.get(filename="IMG_0.JPG").reason


@pytest.mark.settling
def test_what_the_library_lost_since_is_read_and_imported_again(library, card):
    make_jpeg(card / "a.jpg", seed=1, mtime=1_600_000_000)
    make_jpeg(card / "b.jpg", seed=2)
    for number in range(6):
        make_jpeg(Path(library.root) / "2019" / f"{number}.jpg", seed=100 + number)
    os.utime(card / "b.jpg")  # written just now: its time proves nothing
    wanted = take(library, card)
    rescan(library)
    (Path(library.root) / wanted.items.get(filename="a.jpg").target).unlink()
    rescan(library)
    wanted = take(library, card)
    assert {path: end[:2] for path, end in ends(wanted).items()} == {
        "a.jpg": ("imported", ""),
        "b.jpg": ("duplicate", "in_library"),
    }
    assert wanted.items.get(filename="b.jpg").detail == ""


def test_a_file_that_got_stars_here_is_known_by_what_it_was_before(library, card):
    """Its bytes are others since; the alias from its old MD5 leads to the photo."""
    photo = Photo.objects.get(library=library)
    shutil.copy2(Path(library.root) / photo.path, card / "from the phone.jpg")
    old = photo.photo_md5
    set_rating(library.owner, photo, 4)
    execute(start_writing(library, library.owner).pk)
    photo.refresh_from_db()
    assert photo.photo_md5 != old and FileWrite.objects.get().state == "done"
    assert ends(take(library, card))["from the phone.jpg"][:2] == ("duplicate", "in_library")


def test_names_that_are_taken_get_numbers_and_nothing_is_ever_overwritten(library, card):
    place = Path(library.root) / "2024" / "05"
    kept = make_jpeg(place / "img_1.jpg", seed=50, taken="2024:05:01 10:00:00").read_bytes()
    (place / "IMG_1 (2).JPG").write_text("somebody else's")
    make_jpeg(card / "A" / "IMG_1.JPG", seed=1, taken="2024:05:17 12:00:00")
    make_jpeg(card / "B" / "IMG_1.JPG", seed=2, taken="2024:05:18 12:00:00")
    wanted = take(library, card)
    assert [end[2] for end in ends(wanted).values()] == ["2024/05/IMG_1 (3).JPG", "2024/05/IMG_1 (4).JPG"]
    assert (place / "img_1.jpg").read_bytes() == kept
    assert (place / "IMG_1 (2).JPG").read_text() == "somebody else's"


def test_the_files_of_one_shot_stay_together(library, card):
    """A RAW and its JPEG, the picture and the film of a Live Photo, and what stands beside them."""
    make_jpeg(Path(library.root) / "2024" / "05" / "IMG_1.JPG", seed=50, taken="2024:05:01 10:00:00")
    make_jpeg(card / "IMG_1.JPG", seed=1, taken="2024:05:31 23:59:00")
    make_jpeg(card / "IMG_1.jpeg", seed=2, taken="2024:06:01 00:00:30")  # a second of the same shot, over midnight
    (card / "IMG_1.JPG.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
    (card / "IMG_1.AAE").write_text("<plist/>")
    make_jpeg(card / "IMG_2.JPG", seed=3, taken="2024:05:17 12:00:00")
    make_jpeg(card / "IMG_2.jpeg", seed=4, taken="2019:05:17 12:00:00")  # only shares the name
    wanted = take(library, card)
    assert {path: end[2] for path, end in ends(wanted).items()} == {
        "IMG_1.JPG": "2024/05/IMG_1 (2).JPG",
        "IMG_1.jpeg": "2024/05/IMG_1 (2).jpeg",
        "IMG_1.JPG.xmp": "2024/05/IMG_1 (2).JPG.xmp",
        "IMG_1.AAE": "2024/05/IMG_1 (2).AAE",
        "IMG_2.JPG": "2024/05/IMG_2.JPG",
        "IMG_2.jpeg": "2019/05/IMG_2.jpeg",
    }
    assert {end[0] for end in ends(wanted).values()} == {"imported"}


@pytest.mark.promise("S2-U08")
def test_each_file_that_cannot_come_in_has_its_reason(library, card, monkeypatch):
    make_jpeg(card / "good.jpg", seed=1)
    (card / "notes.txt").write_text("hello")
    (card / "broken.jpg").write_bytes(b"this is no picture" * 100)
    (card / "lonely.xmp").write_text("<x/>")
    locked = make_jpeg(card / "locked.jpg", seed=2)
    slow = make_jpeg(card / "slow.jpg", seed=3)
    real_open = importer.origin_of

    def origin(wanted, keepalive):
        inner = real_open(wanted, keepalive)
        opened = inner.open

        def open_one(item):
            if item.filename == locked.name:
                raise PermissionError(errno.EACCES, "Permission denied")
            return opened(item)

        inner.open = open_one
        return inner

    real_copy = placer.copy_into

    def copy(folder, name, *args, **more):
        if name == slow.name.encode():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_copy(folder, name, *args, **more)

    monkeypatch.setattr(importer, "origin_of", origin)
    monkeypatch.setattr(placer, "copy_into", copy)
    wanted = take(library, card)
    assert {path: end[1] for path, end in ends(wanted).items()} == {
        "good.jpg": "",
        "notes.txt": "unsupported",
        "broken.jpg": "corrupted",
        "lonely.xmp": "no_photo",
        "locked.jpg": "permission",
        "slow.jpg": "no_space",
    }
    assert all(item.reason.endswith(".") for item in wanted.items.filter(state="rejected"))
    assert not list(Path(library.root).rglob(".photolala-write*"))
    monkeypatch.undo()
    assert requests.retry(wanted, library.owner) == 3
    run_imports(library)
    assert {path: end[0] for path, end in ends(wanted).items() if end[0] == "imported"} == {
        "good.jpg": "imported",
        "locked.jpg": "imported",
        "slow.jpg": "imported",
    }


@pytest.mark.parametrize("moment", ["planned", "first copied", "all copied", "catalogued"])
def test_killed_anywhere_it_goes_on_and_nothing_comes_in_twice(library, card, monkeypatch, moment):
    class Killed(BaseException):
        pass

    for number in range(6):
        make_jpeg(card / f"{number}.jpg", seed=number, taken="2024:05:17 12:00:00")
    (card / "3.jpg.xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')

    def die(*args, **more):
        raise Killed

    copied = []
    real = placer.copy_into

    def copy(*args, **more):
        if moment == "first copied" and copied:
            raise Killed
        copied.append(1)
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(placer, "copy_into", copy)
        if moment == "planned":
            patch.setattr(placer.Placer, "place", die)
        if moment == "all copied":
            patch.setattr(cataloguing, "write_derived", die)
        if moment == "catalogued":
            patch.setattr(Outcomes, "discard", die)
        wanted = start_folder_import(library, library.owner, str(card), "month")
        operation = Operation.objects.get(kind="import")
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    if moment == "all copied":
        scan(library)  # it finds the files before the import goes on
    done = execute(operation.pk)
    assert done.state == State.COMPLETED, done.error_detail
    assert done.result["imported"] == 6  # photos; the XMP file comes along
    assert {end[0] for end in ends(wanted).values()} == {"imported"}
    assert len(files_of(library)) == 8
    assert Photo.objects.filter(library=library, state="ready").count() == 7
    assert not list(Path(library.root).rglob(".photolala-write*"))
    again = rescan(library)
    assert (again.result["added"], again.result["changed"], again.result["gone"]) == (0, 0, 0)


def test_an_unplugged_or_read_only_library_gets_nothing(library, card, tmp_path):
    make_jpeg(card / "a.jpg", seed=1)
    away = tmp_path / "away"
    os.rename(library.root, away)
    Path(library.root).mkdir()  # an empty mount point
    wanted = start_folder_import(library, library.owner, str(card), "month")
    operation = execute(Operation.objects.get(kind="import").pk)
    assert (operation.state, operation.error_code) == (State.FAILED, "root_unavailable")
    assert not list(Path(library.root).iterdir())
    Path(library.root).rmdir()
    os.rename(away, library.root)
    start_importing(library, library.owner)
    run_imports(library)
    assert ends(wanted)["a.jpg"][0] == "imported"


def test_only_folders_that_one_may_read(library, card, tmp_path, bob, settings):
    other = add_library(bob, str(make_jpeg(tmp_path / "bobs" / "x.jpg", seed=7).parent))
    with pytest.raises(LibraryRefused, match="cannot be read for you"):
        start_folder_import(library, library.owner, other.root, "month")
    with pytest.raises(ImportRefused, match="catalogued by a scan"):
        start_folder_import(library, library.owner, str(Path(library.root) / "2020"), "month")
    with pytest.raises(LibraryRefused):
        start_folder_import(library, library.owner, "/etc", "month")
    Library.objects.filter(pk=library.pk).update(source="s3")
    with pytest.raises(ImportRefused, match="bucket"):
        start_folder_import(Library.objects.get(pk=library.pk), library.owner, str(card), "month")
    assert not Import.objects.exists()


def test_who_lost_the_right_imports_nothing_more(library, card, bob):
    from catalog.libraries.members import remove_member, set_member

    make_jpeg(card / "a.jpg", seed=1)
    set_member(library, bob, "editor")
    wanted = start_folder_import(library, bob, str(card), "month")
    remove_member(library, bob)
    run_imports(library)
    wanted.refresh_from_db()
    assert "may not change the library any more" in wanted.error and not files_of(library).get("2024/05/a.jpg")


def test_the_quota_of_the_owner_holds(library, card, alice):
    for number in range(3):
        make_jpeg(card / f"{number}.jpg", seed=number)
    size = (card / "0.jpg").stat().st_size
    alice.quota_bytes = Photo.objects.get(library=library).size_bytes + size + size // 2
    alice.save()
    wanted = take(library, card)
    assert sorted(end[1] for end in ends(wanted).values()) == ["", "quota", "quota"]


@pytest.mark.parametrize(
    ("layout", "target"),
    [("month", "2024/05/a.jpg"), ("day", "2024/2024-05-17/a.jpg"), ("year", "2024/a.jpg"), ("keep", "Trip/a.jpg")],
)
def test_layouts(library, card, layout, target):
    make_jpeg(card / "Trip" / "a.jpg", seed=1)
    assert ends(take(library, card, layout))["Trip/a.jpg"][2] == target


def takeout(card, name="takeout-001.zip"):
    folder = card / "unpacked"
    photo = make_jpeg(folder / "Photos from 2019" / "IMG_0001.jpg", seed=1, taken=None, camera=None)
    (folder / "Photos from 2019" / "IMG_0001.jpg.supplemental-metadata.json").write_text(
        json.dumps(
            {
                "title": "IMG_0001.jpg",
                "description": "At the lake",
                "photoTakenTime": {"timestamp": "1554712445"},
                "geoData": {"latitude": 47.5, "longitude": 8.5},
                "favorited": True,
            }
        )
    )
    (folder / "Photos from 2019" / "metadata.json").write_text("{}")
    archive = card / name
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, f"Takeout/Google Photos/{path.relative_to(folder)}")
        packed.writestr("../../evil.jpg", photo.read_bytes())
        packed.writestr("__MACOSX/._IMG_0001.jpg", b"x")
    shutil.rmtree(folder)
    return archive


def test_google_takeout_brings_dates_places_captions_and_favourites(library, card):
    takeout(card)
    take(library, card)
    archive = Import.objects.get(kind="archive")
    end = ends(archive)
    assert end["Takeout/Google Photos/Photos from 2019/IMG_0001.jpg"][2] == "2019/04/IMG_0001.jpg"
    assert end["../../evil.jpg"][:2] == ("rejected", "unreadable")
    assert end["Takeout/Google Photos/Photos from 2019/metadata.json"][0] == "rejected"
    photo = Photo.objects.get(library=library, directory="2019/04")
    assert (photo.caption, photo.latitude, photo.taken_source) == ("At the lake", 47.5, "sidecar")
    assert photo.rating == 5 and FileWrite.objects.get(photo=photo).wanted == {"rating": 5}
    assert not (Path(library.root).parent / "evil.jpg").exists()
    again = rescan(library)
    assert (again.result["added"], again.result["changed"]) == (0, 0)


def test_damaged_and_hostile_archives_harm_nothing(library, card):
    (card / "no.zip").write_bytes(b"PK\x03\x04 no archive at all")
    whole = takeout(card, "cut.zip")
    data = bytearray(whole.read_bytes())
    data[60:90] = b"\0" * 30  # the packed bytes of the first file
    whole.write_bytes(data)
    with zipfile.ZipFile(card / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.jpg", b"\xff\xd8" + b"\0" * 30_000_000)
    take(library, card)
    assert "cannot be read" in Import.objects.get(source__endswith="no.zip").error
    assert ends(Import.objects.get(source__endswith="bomb.zip"))["bomb.jpg"][:2] == ("rejected", "corrupted")
    codes = {end[1] for end in ends(Import.objects.get(source__endswith="cut.zip")).values()}
    assert "corrupted" in codes
    assert files_of(library).keys() == {"2020/old.jpg"}


def send(wanted, name, data, directory="", mtime_ns=1_500_000_000 * 10**9):
    upload = Upload.objects.create(
        user=wanted.user,
        import_run=wanted,
        directory=directory,
        filename=name,
        size_bytes=len(data),
        mtime_ns=mtime_ns,
        expires_at=timezone.now() + timedelta(days=1),
    )
    path = staged_path(wanted.user_id, upload.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    requests.take_in(upload)
    return upload


def test_what_was_sent_comes_in_and_its_staged_copy_goes(library, card, settings):
    wanted = open_batch(library, library.owner)
    data = make_jpeg(card / "a.jpg", seed=1).read_bytes()
    send(wanted, "a.jpg", data)
    run_imports(library)
    send(wanted, "a.jpg", data)  # the same once more
    send(wanted, "a.jpg.xmp", b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')  # its sidecar comes late
    send(wanted, "b.jpg", b"no picture")
    send(wanted, "c.exe", b"MZ")
    run_imports(library)
    assert {path: end[:2] for path, end in ends(wanted).items()} == {
        "a.jpg": ("imported", ""),
        "a (2).jpg": ("duplicate", "in_library"),
        "a.jpg.xmp": ("imported", ""),
        "b.jpg": ("rejected", "corrupted"),
        "c.exe": ("rejected", "unsupported"),
    }
    assert (Path(library.root) / "2024/05/a.jpg.xmp").is_file()
    staged = [path for path in Path(settings.UPLOADS_DIR).rglob("*") if path.is_file()]
    assert sorted(Upload.objects.values_list("filename", flat=True)) == ["b.jpg", "c.exe"] and len(staged) == 2
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=8)) == 2
    assert not [path for path in Path(settings.UPLOADS_DIR).rglob("*") if path.is_file()]


def test_an_archive_that_was_sent_is_an_import_of_its_own(library, card, settings):
    wanted = open_batch(library, library.owner)
    send(wanted, "takeout.zip", takeout(card).read_bytes())
    run_imports(library)
    archive = Import.objects.get(kind="archive")
    assert archive.finished_at and archive.items.filter(state="imported", is_sidecar=False).count() == 1


def test_stopped_by_a_person_it_stays_stopped_until_asked_again(library, card):
    for number in range(3):
        make_jpeg(card / f"{number}.jpg", seed=number)
    wanted = start_folder_import(library, library.owner, str(card), "month")
    assert requests.stop(wanted) == 0
    run_imports(library)
    assert files_of(library).keys() == {"2020/old.jpg"} and requests.start_all_waiting() == 0
    requests.retry(wanted, library.owner)
    run_imports(library)
    assert {end[0] for end in ends(wanted).values()} == {"imported"}


def test_a_scan_that_was_under_way_is_followed_by_another(library, card):
    make_jpeg(card / "a.jpg", seed=1)
    running = Operation.objects.create(
        kind="scan", owner=library.owner, active_key=library.scan_key, params={"library": str(library.pk)}
    )
    take(library, card)
    assert Operation.objects.filter(active_key=library.scan_key).count() == 2  # none could be begun
    execute(running.pk)
    assert start_due_scans() == 1  # the schedule makes up for it
    assert start_due_scans() == 0


def test_a_missing_photo_that_is_imported_again_is_itself_again(library, card):
    photo = Photo.objects.get(library=library)
    shutil.move(Path(library.root) / photo.path, card / "found.jpg")
    make_jpeg(Path(library.root) / "other.jpg", seed=77)
    scan(library, confirm_gone=True)
    take(library, card)
    execute(Operation.objects.get(active_key=library.scan_key, state=State.PENDING).pk)
    photo.refresh_from_db()
    assert (photo.state, photo.path) == ("ready", "2020/01/found.jpg")


def test_many_windows(library, card, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 3)
    monkeypatch.setattr(listing, "LIST_BATCH", 4)
    for number in range(10):
        make_jpeg(card / f"{number:02}.jpg", seed=number)
        if number % 2:
            make_jpeg(card / f"{number:02}.jpeg", seed=100 + number)
    wanted = take(library, card)
    assert ImportItem.objects.filter(import_run=wanted, state="imported").count() == 15
    assert Photo.objects.filter(library=library, state="ready").count() == 16


def test_a_sidecar_that_waits_for_its_photo_keeps_nobody_busy(library, card, settings):
    """Its photo is still being sent: the importer ends, and comes back when the photo is there."""
    wanted = open_batch(library, library.owner)
    coming = Upload.objects.create(
        user=library.owner, import_run=wanted, filename="a.jpg", size_bytes=1, mtime_ns=1,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    send(wanted, "a.jpg.xmp", b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
    run_imports(library)
    assert ends(wanted)["a.jpg.xmp"][0] == "waiting" and requests.start_all_waiting() == 0
    coming.delete()
    send(wanted, "a.jpg", make_jpeg(card / "a.jpg", seed=1).read_bytes())
    run_imports(library)
    assert {end[0] for end in ends(wanted).values()} == {"imported"}
    assert not Upload.objects.exists()
    assert not [path for path in Path(settings.UPLOADS_DIR).rglob("*") if path.is_file()]


def test_staged_files_of_forgotten_libraries_and_people_go(library, card, settings):
    wanted = open_batch(library, library.owner)
    send(wanted, "a.jpg", b"no picture")
    kept = staged_path(library.owner.pk, Upload.objects.get().pk)
    forget_library(library)
    assert not Upload.objects.exists() and kept.is_file()
    assert cleanup.forget_old_uploads(timezone.now()) == 0  # it may be being written
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=2)) == 1
    assert not kept.exists()


@pytest.mark.promise("S2-U08")
def test_a_file_that_takes_too_long_is_told_so_and_tried_again_when_asked(library, card, monkeypatch):
    make_jpeg(card / "slow.jpg", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(importer.DecoderPool, "digest", slow_digest)
        wanted = take(library, card)
    assert ends(wanted)["slow.jpg"][:2] == ("rejected", "timeout")
    assert requests.retry(wanted, library.owner) == 1
    run_imports(library)
    assert ends(wanted)["slow.jpg"][0] == "imported"


def slow_digest(pool, jobs, in_flight):
    """Answer as the pool does for files that ran beyond the time limit."""
    for job in jobs:
        yield job, DigestResult(problem="The decoder ran beyond its time limit on this file 2 times.")


def test_the_second_of_two_comes_in_if_the_first_cannot(library, card, monkeypatch):
    make_jpeg(card / "a.jpg", seed=1)
    shutil.copy2(card / "a.jpg", card / "b.jpg")
    real = placer.copy_into

    def copy(folder, name, *args, **more):
        if name == b"a.jpg":
            raise OSError(errno.EACCES, "Permission denied")
        return real(folder, name, *args, **more)

    monkeypatch.setattr(placer, "copy_into", copy)
    assert {path: end[:2] for path, end in ends(take(library, card)).items()} == {
        "a.jpg": ("rejected", "permission"),
        "b.jpg": ("imported", ""),
    }


def test_a_library_that_is_unplugged_in_the_middle_gets_nothing_elsewhere(library, card, tmp_path, monkeypatch):
    for number in range(24):
        make_jpeg(card / f"{number:02}.jpg", seed=number, taken="2024:05:17 12:00:00")
    root, away, real = Path(library.root), tmp_path / "away", placer.copy_into
    copied = []

    def copy(*args, **more):
        copied.append(1)
        if len(copied) == 15:
            root.rename(away)
            root.mkdir()  # the mount point, bare
        return real(*args, **more)

    wanted = start_folder_import(library, library.owner, str(card), "month")
    with monkeypatch.context() as patch:
        patch.setattr(placer, "copy_into", copy)
        operation = execute(Operation.objects.get(kind="import").pk)
    assert (operation.state, operation.error_code) == (State.FAILED, "root_unavailable")
    assert "Was its disk or share unplugged? Mount it, then retry. What was imported stays." in operation.error
    assert not list(root.iterdir())
    imported = ImportItem.objects.filter(import_run=wanted, state="imported").count()
    assert imported < 15 and Photo.objects.filter(library=library).count() == imported + 1
    root.rmdir()
    away.rename(root)
    start_importing(library, library.owner)
    assert run_imports(library).result["imported"] == 24 - imported
    assert {end[0] for end in ends(wanted).values()} == {"imported"} and len(files_of(library)) == 25
    assert not list(root.rglob(".photolala-write*"))


def test_another_card_with_a_file_of_the_same_name_size_and_time_is_read(library, card):
    make_jpeg(card / "DCIM" / "IMG_1.JPG", seed=1, mtime=1_600_000_000)
    first = (card / "DCIM" / "IMG_1.JPG").read_bytes()
    make_jpeg(card / "DCIM" / "IMG_1.JPG", seed=2, mtime=1_600_000_000)
    second = (card / "DCIM" / "IMG_1.JPG").read_bytes()
    size = max(len(first), len(second)) + 10
    first, second = first.ljust(size, b"\0"), second.ljust(size, b"\0")
    assert first[:4096] != second[:4096]
    for data, name in ((first, "2024/05/IMG_1.JPG"), (second, "2024/05/IMG_1 (2).JPG")):
        (card / "DCIM" / "IMG_1.JPG").write_bytes(data)
        os.utime(card / "DCIM" / "IMG_1.JPG", (1_600_000_000, 1_600_000_000))
        assert ends(take(library, card)) == {"DCIM/IMG_1.JPG": ("imported", "", name)}
    assert (Path(library.root) / "2024/05/IMG_1 (2).JPG").read_bytes() == second
    assert ends(take(library, card)) == {"DCIM/IMG_1.JPG": ("duplicate", "in_library", "")}


def test_what_was_remembered_without_a_head_is_read_again(library, card):
    make_jpeg(card / "a.jpg", seed=1, mtime=1_600_000_000)
    take(library, card)
    ImportItem.objects.update(head_md5="")  # as an earlier version left it
    for known in (0, 1):
        take(library, card)
        assert Operation.objects.filter(kind="import").order_by("created_at").last().result["known"] == known


def test_what_arrived_after_an_import_failed_is_imported_by_the_schedule(library, card, monkeypatch):
    """Whoever took it in was killed before it could start an importer."""
    start_importing(library, library.owner)
    Operation.objects.filter(kind="import").update(state=State.FAILED)
    assert requests.start_all_waiting() == 0
    send(open_batch(library, library.owner), "a.jpg", make_jpeg(card / "a.jpg", seed=1).read_bytes())
    assert requests.start_all_waiting() == 1
    Operation.objects.filter(kind="import", state=State.PENDING).update(state=State.FAILED, updated_at=timezone.now())
    assert requests.start_all_waiting() == 0  # that one waits for a person
