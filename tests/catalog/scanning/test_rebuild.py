"""Rebuilding the catalog from the files: complete, beside the old one, and only then the switch."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from catalog.edits.stars import star
from catalog.history.restore import start_restore
from catalog.media.exiftool import exiftool_command
from catalog.models import Favourite, HashCache, Library, Photo
from catalog.scanning import rebuild as scanning_rebuild
from catalog.scanning.rebuild import start_rebuild
from catalog.scanning.rebuild_work import PRESENT, REMEMBERED, Known, ReadEntry, RebuildWork
from catalog.snapshots.read import open_snapshot
from catalog.snapshots.schema import EntryRow
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_scan import facts, scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db
PAST = 1_600_000_000
GIF_OF_TWO_SIZES = bytes.fromhex(
    "474946383961020002008300000000ff1100ff2200ff3300ff4400ff5500ff6600ff7700ff0088ff0099ff00aaff00bb"
    "ff00ccff00ddff00eeff00ffff2c0100000003000100000403418c08002c000001000200020000040428a91501002c00"
    "000400010001000004022e02002c0200000004000300000409a49883925aacb91701003b"
)
"""Its header says 2 × 2, its frames fill 4 × 2."""


def put(library: Library, path: str, data: bytes) -> Path:
    file = Path(library.root) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, (PAST, PAST))
    return file


@pytest.fixture
def library(alice, tmp_path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number in range(6):
        put(library, f"{number % 2}/{number}.jpg", make_jpeg(seed=number))
    scan(library)
    return library


def rebuild(library, **params):
    operation = execute(start_rebuild(library, library.owner, enqueue=False, **params).pk)
    library.refresh_from_db()
    return operation


def done(operation) -> dict:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return operation.result


def ids(library) -> dict:
    return {photo.path: str(photo.pk) for photo in Photo.objects.filter(library=library).exclude(state="missing")}


@pytest.mark.promise("S2-057", "S2-X05")
def test_a_rebuild_of_a_good_catalog_changes_nothing(library):
    before, snapshot = facts(library), library.snapshot_md5
    result = done(rebuild(library, full=True))
    assert (result["added"], result["changed"], result["gone"], result["recognised"]) == (0, 0, 0, 6)
    assert (result["read"], result["cache_hits"]) == (6, 0)
    assert facts(library) == before
    assert result["rebuilt_md5"] == snapshot == library.snapshot_md5


@pytest.mark.promise("S2-057")
def test_known_hashes_spare_the_second_reading(library):
    totals = {}
    started = start_rebuild(library, library.owner, enqueue=False)
    result = done(execute(started.pk, on_progress=lambda seen: totals.update({seen.phase: seen.total})))
    library.refresh_from_db()
    assert totals["Reading all files"] == 6  # so that one sees how far it is
    assert (result["read"], result["cache_hits"]) == (0, 6)
    assert result["rebuilt_md5"] == library.snapshot_md5


def test_a_hash_is_not_believed_if_the_head_is_another(library):
    file = Path(library.root) / "0/0.jpg"
    other = bytearray(file.read_bytes())
    other[30] ^= 1  # within the comment: same size, same time, another head
    put(library, "0/0.jpg", bytes(other))
    result = done(rebuild(library))
    assert (result["read"], result["cache_hits"]) == (1, 5)
    assert Photo.objects.get(library=library, filename="0.jpg").head_md5 != ""


def test_what_the_rows_have_lost_comes_back_with_its_identity(library):
    before = facts(library)
    star(library.owner, Photo.objects.get(library=library, filename="2.jpg").pk, 5)
    Photo.objects.filter(library=library, filename__in=["1.jpg", "3.jpg"]).delete()
    Photo.objects.filter(library=library, filename="4.jpg").update(width=1, camera_make="nonsense", photo_md5="")
    result = done(rebuild(library))
    assert (result["added"], result["gone"]) == (2, 0)
    after = facts(library)
    for path, row in before.items():
        same = {name: value for name, value in row.items() if name not in ("rating", "rating_held", "rated_at")}
        assert {name: after[path][name] for name in same} == same, path
    assert Photo.objects.get(library=library, filename="2.jpg").rating == 5  # it waits for its file, and is kept
    assert Favourite.objects.get().rating == 5


def test_an_emptied_table_is_rebuilt_from_files_and_snapshot(library):
    before = ids(library)
    Photo.objects.filter(library=library).delete()
    HashCache.objects.filter(library=library).delete()
    done(rebuild(library))
    assert ids(library) == before


@pytest.mark.promise("S2-070", "S2-X07")
def test_the_stars_in_the_files_are_read_again(library):
    file = put(library, "starred.jpg", make_jpeg(seed=50))
    words = [*exiftool_command(), "-q", "-overwrite_original", "-XMP-xmp:Rating=4", str(file)]
    subprocess.run(words, check=True)
    Photo.objects.filter(library=library).delete()
    HashCache.objects.filter(library=library).delete()
    done(rebuild(library))
    assert Photo.objects.get(library=library, filename="starred.jpg").rating == 4
    assert Photo.objects.filter(library=library, rating=None).count() == 6


def test_what_moved_was_edited_added_or_removed_since(library):
    before = ids(library)
    root = Path(library.root)
    (root / "elsewhere").mkdir()
    (root / "0/0.jpg").rename(root / "elsewhere/moved.jpg")
    shutil.copy2(root / "1/1.jpg", root / "aside")
    (root / "1/3.jpg").rename(root / "1/1.jpg")
    (root / "aside").rename(root / "1/3.jpg")  # two that exchanged their names
    (root / "0/2.jpg").unlink()
    put(library, "new.jpg", make_jpeg(seed=40))
    put(library, "0/4.jpg", make_jpeg(seed=41))
    done(rebuild(library))
    after = ids(library)
    assert after["elsewhere/moved.jpg"] == before["0/0.jpg"]
    assert (after["1/3.jpg"], after["1/1.jpg"]) == (before["1/1.jpg"], before["1/3.jpg"])
    assert after["0/4.jpg"] == before["0/4.jpg"]
    assert after["new.jpg"] not in before.values()
    assert Photo.objects.get(pk=before["0/2.jpg"]).state == Photo.State.MISSING


@pytest.mark.promise("S2-038", "S2-039", "S2-X06")
def test_the_old_catalog_is_the_backup_and_comes_back(library):
    photo = Photo.objects.get(library=library, filename="5.jpg")
    Photo.objects.filter(pk=photo.pk).update(caption="by hand", width=17)
    Library.objects.filter(pk=library.pk).update(revision=library.revision + 1)
    result = done(rebuild(library))
    assert result["backup_md5"] != result["rebuilt_md5"]
    assert Photo.objects.get(pk=photo.pk).width == 64
    operation = execute(start_restore(library, library.owner, result["backup_md5"], enqueue=False).pk)
    assert operation.state == State.COMPLETED, operation.error
    assert Photo.objects.get(pk=photo.pk).width == 17


MOMENTS = [
    "catalog.scanning.rebuild_work.RebuildWork.add",
    "catalog.scanning.rebuild_work.RebuildWork.identify",
    "catalog.scanning.rebuild.write_snapshot",
    "catalog.scanning.rebuild.Rebuild._back_up",
    "catalog.scanning.rebuild.switch_to",
    "catalog.history.switch.Switch.apply",
    "catalog.history.switch.Switch._write",
]


@pytest.mark.promise("S2-035", "S2-036", "S2-037", "S2-053")
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_step_the_old_catalog_stands_and_the_next_claim_finishes(library, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    Photo.objects.filter(library=library, filename="1.jpg").update(width=3, photo_md5="")
    put(library, "new.jpg", make_jpeg(seed=50))
    before, pointer = facts(library), (Path(library.root) / ".photolala.md5").read_bytes()
    operation = start_rebuild(library, library.owner, enqueue=False)
    with monkeypatch.context() as patch:
        patch.setattr(moment, die)
        with pytest.raises(Killed):
            execute(operation.pk)
    assert facts(library) == before
    pointer_now = (Path(library.root) / ".photolala.md5").read_bytes()
    assert pointer_now.endswith(pointer)  # at most the backup came in front
    Operation.objects.filter(pk=operation.pk).update(lease_until=None, worker="")
    finished = execute(operation.pk)
    assert done(finished)["added"] == 1
    assert Photo.objects.get(library=library, filename="1.jpg").width == 64
    assert not list(scanning_rebuild.work_folder(operation.pk).parent.glob("rebuild-of-*"))


def test_what_was_read_before_a_kill_is_not_read_again(library, monkeypatch):
    operation = start_rebuild(library, library.owner, full=True, enqueue=False)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.scanning.rebuild.Rebuild._back_up", lambda self: 1 / 0)
        assert execute(operation.pk).state == State.FAILED
    Operation.objects.filter(pk=operation.pk).update(state=State.PENDING)
    assert done(execute(operation.pk))["read"] == 0


def test_an_empty_or_unplugged_root_stops_it(library):
    before = facts(library)
    root = Path(library.root)
    root.rename(root.with_name("unplugged"))
    assert rebuild(library).error_code == "root_unavailable"
    root.mkdir()
    assert rebuild(library).error_code == "confirm_gone"
    shutil.copy(root.with_name("unplugged") / ".photolala.md5", root)
    assert rebuild(library).error_code == "root_empty"
    assert facts(library) == before


def test_work_of_rebuilds_that_are_over_is_removed(library, settings):
    operation = start_rebuild(library, library.owner, enqueue=False)
    for key in (operation.pk, "5f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10"):
        scanning_rebuild.work_folder(key).mkdir(parents=True)
    assert scanning_rebuild.remove_abandoned_work() == 1
    assert scanning_rebuild.work_folder(operation.pk).exists()


def test_a_damaged_work_file_is_begun_anew(tmp_path):
    path = tmp_path / "work.sqlite"
    path.write_bytes(b"no database" * 1000)
    work = RebuildWork(path)
    assert work.count() == 0
    work.close()


def test_the_rebuilt_snapshot_is_a_good_one(library):
    result = done(rebuild(library, full=True))
    path = Path(library.root) / f".photolala.{result['rebuilt_md5']}.sqlite"
    snapshot = open_snapshot(path, result["rebuilt_md5"])
    assert snapshot.entry_count == 6
    snapshot.close()


def test_if_much_is_gone_a_person_is_asked(library):
    before = facts(library)
    for name in ("0/0.jpg", "0/2.jpg"):
        (Path(library.root) / name).unlink()
    operation = rebuild(library)
    assert (operation.state, operation.error_code, operation.result) == (
        State.FAILED,
        "confirm_gone",
        {"gone": 2, "known": 6},
    )
    assert facts(library) == before
    Operation.objects.filter(pk=operation.pk).update(
        state=State.PENDING, params={**operation.params, "confirm_gone": True}
    )
    assert done(execute(operation.pk))["gone"] == 2
    assert Photo.objects.filter(library=library, state="missing").count() == 2


def test_a_person_may_say_that_it_is_the_right_folder_without_its_pointer(library):
    before = ids(library)
    for path in Path(library.root).glob(".photolala*"):
        path.unlink()
    operation = rebuild(library)
    assert operation.error_code == "confirm_gone"
    Operation.objects.filter(pk=operation.pk).update(
        state=State.PENDING, params={**operation.params, "confirm_gone": True}
    )
    done(execute(operation.pk))
    assert ids(library) == before
    assert (Path(library.root) / ".photolala.md5").exists()


def test_the_rows_word_goes_before_an_old_snapshots(tmp_path):
    """Two photos claim one place: the one that lies there now, and one that a snapshot remembers there."""
    work = RebuildWork(tmp_path / "work.sqlite")
    row = EntryRow("a.jpg", "a.jpg", 1, 1, "0" * 32, "1" * 32, None, None, None, None, None, None, None, None, None)
    work.see(["a.jpg"])
    work.add([ReadEntry(row, "", None)])
    known = [
        Known("z" * 36, "a.jpg", "2" * 32, None, None, None, None, None, PRESENT),
        Known("a" * 36, "a.jpg", "3" * 32, None, None, None, None, None, REMEMBERED),
    ]
    assert work.identify(known) == {PRESENT: 1}
    assert next(work.entries())[-1] == "z" * 36
    work.close()


@pytest.mark.parametrize("full", [True, False])
def test_pictures_whose_header_is_wrong_keep_the_size_that_they_were_drawn_with(alice, tmp_path, full):
    name = "frames.gif"
    library = make_library(alice, tmp_path / "photos")
    put(library, name, GIF_OF_TWO_SIZES)
    scan(library)
    before = facts(library)
    assert (before[name]["width"], before[name]["height"]) == (4, 2)
    result = done(rebuild(library, full=full))
    assert (result["added"], result["changed"], result["gone"]) == (0, 0, 0)
    assert facts(library) == before
