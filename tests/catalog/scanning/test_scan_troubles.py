"""The scan when the world changes under it: sources that vanish, files that return, decoders that lie, full disks."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from catalog.cache import tree
from catalog.edits.stars import star
from catalog.entries import counts as entries_counts
from catalog.entries import known as entries_known
from catalog.history import publish
from catalog.libraries.forget import forget_library
from catalog.media.pool import DecoderPool
from catalog.models import Favourite, HashCache, Library, Photo
from catalog.roots import root_check
from catalog.scanning import queue
from catalog.scanning.scan import Scan
from catalog.snapshots.read import open_snapshot
from catalog.sources.local import LocalSource
from operations.control import resume
from operations.models import Operation, State
from operations.running import execute, start
from photolala.lib.paths import escape_path
from photolala.lib.process import identity
from tests.photos import make_jpeg, make_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def library(alice, root) -> Library:
    root.mkdir()
    return Library.objects.create(owner=alice, name="Family", root=escape_path(os.fsencode(root)))


def begin(library, **params):
    return start(
        "scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk), **params}, enqueue=False
    )


def scan(library, **params):
    operation = execute(begin(library, **params).pk)
    library.refresh_from_db()
    return operation


def go_on(operation, **params):
    resume(operation, **params)
    return execute(operation.pk)


def counts(operation):
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {key: operation.result[key] for key in ("found", "added", "changed", "moved", "unchanged", "gone")}


def states(library):
    return dict(Photo.objects.filter(library=library).values_list("filename", "state"))


def before(monkeypatch, owner, name, deed):
    """Let `deed` happen once, right before the first call of `owner.name`."""
    original = getattr(owner, name)
    done = []

    def wrapped(*args, **kwargs):
        if not done:
            done.append(True)
            deed()
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


def unplug(root, *, leaves_mount_point):
    def deed():
        root.rename(root.with_name("unplugged"))
        if leaves_mount_point:
            root.mkdir()

    return deed


def plug_in(root):
    if root.exists():
        root.rmdir()
    root.with_name("unplugged").rename(root)


@pytest.mark.parametrize("leaves_mount_point", [False, True])
@pytest.mark.parametrize("step", ["survey", "digest", "finish"])
@pytest.mark.parametrize("known", [False, True])
def test_a_source_that_vanishes_meanwhile_breaks_and_loses_nothing(
    library, root, monkeypatch, step, leaves_mount_point, known
):
    make_library(root, 12, per_folder=6)
    make_jpeg(root / "top.jpg", seed=500)
    if known:
        scan(library)
        make_jpeg(root / "2000" / "01" / "new.jpg", seed=501)
        make_jpeg(root / "new_at_top.jpg", seed=502)
    with monkeypatch.context() as patch:
        before(patch, Scan, step, unplug(root, leaves_mount_point=leaves_mount_point))
        failed = scan(library)
    assert (failed.state, failed.error_code) == (State.FAILED, "root_unavailable"), failed.error_detail
    assert str(root) in failed.error
    assert not set(states(library).values()) & {"broken", "missing"}
    assert not root.exists() or not list(root.iterdir())
    plug_in(root)
    assert counts(go_on(failed))["found"] == (15 if known else 13)
    assert set(states(library).values()) == {"ready"}


def test_a_source_whose_every_file_fails_is_not_taken_for_broken_photos(library, root, monkeypatch):
    make_library(root, 40)

    def fails(self, path, **_):
        raise OSError(errno.EIO, "Input/output error", path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalSource, "open", fails)
        failed = scan(library)
    assert (failed.state, failed.error_code) == (State.FAILED, "root_unavailable")
    assert "Input/output error" in failed.error
    assert Photo.objects.count() == 0
    assert counts(go_on(failed))["added"] == 40


def test_one_file_on_a_bad_sector_is_listed_and_tried_again(library, root, monkeypatch):
    make_library(root, 12)
    original = LocalSource.open

    def fails(self, path, **options):
        if path.endswith("00004.JPG"):
            raise OSError(errno.EIO, "Input/output error", path)
        return original(self, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(LocalSource, "open", fails)
        assert counts(scan(library))["added"] == 12
    photo = Photo.objects.get(filename="IMG_00004.JPG")
    assert photo.state == Photo.State.BROKEN and "Input/output error" in photo.problem
    assert counts(scan(library))["changed"] == 1
    assert set(states(library).values()) == {"ready"}


def test_a_file_that_cannot_be_opened_for_its_digest_is_tried_again(library, root, monkeypatch):
    make_library(root, 3)
    original = LocalSource.open
    refused = []

    def forbid():
        def refuse(self, path, **options):
            if path.endswith("00001.JPG"):
                refused.append(path)
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return original(self, path, **options)

        patch.setattr(LocalSource, "open", refuse)

    with monkeypatch.context() as patch:
        before(patch, Scan, "digest", forbid)
        scan(library)
    assert refused and states(library)["IMG_00001.JPG"] == "broken"
    assert counts(scan(library))["changed"] == 1
    assert states(library)["IMG_00001.JPG"] == "ready"


@pytest.mark.parametrize("step", ["survey", "digest"])
def test_a_file_removed_meanwhile_is_not_broken(library, root, monkeypatch, step):
    make_library(root, 10)
    path = root / "2000" / "01" / "IMG_00002.JPG"
    with monkeypatch.context() as patch:
        before(patch, Scan, step, path.unlink)
        first = scan(library)
    assert first.state == State.COMPLETED and "broken" not in states(library).values()
    scan(library)
    assert states(library).get("IMG_00002.JPG", "missing") == "missing"
    assert Photo.objects.filter(needs_digest=True).count() == 0


def test_a_copy_at_the_place_a_photo_moved_away_from_is_another_photo(library, root, alice):
    make_library(root, 10)
    first = make_jpeg(root / "a.jpg", seed=700, mtime=1_600_000_000)
    scan(library)
    photo = Photo.objects.get(filename="a.jpg")
    Favourite.objects.create(user=alice, photo=photo)
    first.rename(root / "b.jpg")
    assert counts(scan(library))["moved"] == 1
    shutil.copy2(root / "b.jpg", first)
    assert counts(scan(library))["added"] == 1
    assert Photo.objects.get(filename="b.jpg").pk == photo.pk == Favourite.objects.get().photo_id
    copy = Photo.objects.get(filename="a.jpg")
    assert copy.pk != photo.pk and copy.state == Photo.State.READY
    # Another picture in its place, then the first one again: a change of a row whose first id is taken.
    make_jpeg(first, seed=701, mtime=1_600_000_100)
    scan(library)
    shutil.copy2(root / "b.jpg", first)
    assert counts(scan(library))["changed"] == 1
    assert Photo.objects.get(filename="a.jpg").pk == copy.pk


def test_what_went_long_ago_and_returns_elsewhere_is_counted_as_moved_only(library, root):
    make_library(root, 10)
    path = root / "2000" / "01" / "IMG_00002.JPG"
    scan(library)
    photo = Photo.objects.get(filename=path.name)
    path.rename(root.with_name("aside.jpg"))
    assert counts(scan(library))["gone"] == 1
    root.with_name("aside.jpg").rename(root / "back.jpg")
    assert counts(scan(library)) == dict(found=10, added=0, changed=0, moved=1, unchanged=9, gone=0)
    assert Photo.objects.get(filename="back.jpg").pk == photo.pk
    assert not HashCache.objects.filter(path="2000/01/IMG_00002.JPG").exists()


def test_a_move_is_followed_by_the_scan_after_the_one_that_was_given_up(library, root, monkeypatch):
    make_library(root, 10)
    scan(library)
    photo = Photo.objects.get(filename="IMG_00002.JPG")
    (root / "2000" / "01" / "IMG_00002.JPG").rename(root / "moved.jpg")

    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        before(patch, Scan, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            execute(begin(library).pk, foreground=True)
    assert Photo.objects.get(filename="moved.jpg").pk != photo.pk
    assert counts(scan(library)) == dict(found=10, added=0, changed=0, moved=1, unchanged=9, gone=0)
    assert Photo.objects.get(filename="moved.jpg").pk == photo.pk


@pytest.mark.parametrize(
    "at", [(Scan, "digest"), (Scan, "finish"), (publish, "publish_if_due"), (entries_counts, "refresh_counts")]
)
def test_counts_are_the_same_however_often_it_is_interrupted(library, root, monkeypatch, at):
    make_library(root, 20)
    scan(library)
    folder = root / "2000" / "01"
    (folder / "IMG_00001.JPG").rename(root / "moved.jpg")
    (folder / "IMG_00002.JPG").unlink()
    make_jpeg(folder / "IMG_00003.JPG", seed=300, mtime=1_600_000_000)
    make_jpeg(folder / "new.jpg", seed=301)

    def stop():
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        before(patch, *at, stop)
        failed = scan(library)
    assert failed.state == State.FAILED
    make_jpeg(folder / "newer.jpg", seed=302)
    assert counts(go_on(failed)) == dict(found=21, added=2, changed=1, moved=1, unchanged=17, gone=1)


def test_a_crash_right_after_marking_what_is_gone_leaves_no_stale_snapshot(library, root, monkeypatch):
    make_library(root, 10)
    scan(library)
    (root / "2000" / "01" / "IMG_00002.JPG").unlink()

    def die(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(entries_counts, "bump_revision", die)
        failed = scan(library)
    assert failed.state == State.FAILED
    md5 = go_on(failed).result["snapshot_md5"]
    with open_snapshot(root / f".photolala.{md5}.sqlite", md5) as snapshot:
        assert len(list(snapshot.entries())) == 9


def test_a_confirmation_is_good_for_what_was_asked_and_no_more(library, root, monkeypatch):
    make_library(root, 10, per_folder=5)
    scan(library)
    shutil.rmtree(root / "2000" / "02")
    asked = scan(library)
    assert asked.error_code == "confirm_gone"

    def stop():
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        before(patch, Scan, "finish", stop)
        interrupted = go_on(asked, confirm_gone=True)
    assert interrupted.state == State.FAILED and states(library)["IMG_00007.JPG"] == "missing"
    shutil.rmtree(root / "2000" / "01")
    again = go_on(interrupted)
    assert (again.state, again.error_code) == (State.FAILED, "confirm_gone")
    assert states(library)["IMG_00001.JPG"] == "ready"


def test_a_confirmed_root_without_its_pointer_is_not_asked_about_twice(library, root, monkeypatch):
    make_library(root, 4)
    scan(library)
    (root / ".photolala.md5").unlink()
    make_jpeg(root / "new.jpg", seed=77)
    asked = scan(library)
    assert asked.error_code == "confirm_gone"

    def stop():
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        before(patch, Scan, "finish", stop)
        go_on(asked, confirm_gone=True)
    asked.refresh_from_db()
    assert counts(go_on(asked))["found"] == 5


def test_a_pointer_that_cannot_be_read_is_no_missing_pointer(library, root, monkeypatch):
    make_library(root, 4)
    scan(library)

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(root_check, "read_pointer", fails)
    failed = scan(library)
    assert (failed.state, failed.error_code) == (State.FAILED, "root_unavailable")


def test_a_library_forgotten_meanwhile_ends_its_scan_in_peace(library, root, monkeypatch):
    make_library(root, 4)
    with monkeypatch.context() as patch:
        before(patch, Scan, "finish", lambda: forget_library(Library.objects.get(pk=library.pk)))
        ended = execute(begin(library).pk)
    assert ended.state == State.CANCELLED or ended.error_code == "library_gone", ended.error_detail
    assert not Photo.objects.exists()


def test_an_owner_deleted_meanwhile_ends_the_scan_in_peace(library, root, monkeypatch):
    make_library(root, 4)
    with monkeypatch.context() as patch:
        before(patch, Scan, "digest", lambda: library.owner.delete())
        assert execute(begin(library).pk) is None
    assert not Photo.objects.exists() and not Operation.objects.exists()


LIES = {
    "media_type": "image/" + "x" * 300,
    "width": 2**40,
    "height": -3,
    "orientation": 70_000,
    "duration_ms": -1,
    "offset_minutes": 10**6,
    "taken_local": "yesterday",
    "taken_at": "0001-01-01T00:00:00+14:00",
    "taken_source": "a crystal ball",
    "placeholder": "#0000000000",
}
MORE_LIES = {
    "iso": -5,
    "rating": 77,
    "aperture": 1e400,
    "latitude": 1e300,
    "longitude": -1e300,
    "focal_length": -1.0,
    "shutter_speed": "1/" + "9" * 99,
    "size_bytes": -1,
}


def test_a_decoder_that_lies_costs_one_file_and_never_the_scan(library, root, monkeypatch):
    make_library(root, 3)

    def lying(verb, lies):
        original = getattr(DecoderPool, verb)

        def results(self, jobs):
            for job, result in original(self, jobs):
                if job.name == "IMG_00001.JPG":
                    for name, value in lies.items():
                        setattr(result, name, value)
                yield job, result

        monkeypatch.setattr(DecoderPool, verb, results)

    lying("survey", LIES)
    lying("digest", {**LIES, **MORE_LIES})
    assert counts(scan(library))["added"] == 3
    photo = Photo.objects.get(filename="IMG_00001.JPG")
    assert (photo.width, photo.height, photo.orientation, photo.duration_ms) == (None, None, 1, None)
    assert (photo.rating, photo.iso, photo.latitude, photo.taken_source) == (None, None, None, "")
    assert photo.size_bytes >= 0 and photo.photo_md5


def test_a_full_disk_is_one_sentence_and_the_scan_goes_on_later(library, root, monkeypatch):
    make_library(root, 5)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tree, "write_thumbnail", full)
        failed = scan(library)
    assert (failed.state, failed.error_code) == (State.FAILED, "no_space")
    assert "full" in failed.error and "OSError" not in failed.error
    assert counts(go_on(failed))["added"] == 5


def test_a_cache_that_is_away_is_one_sentence(library, root, monkeypatch):
    make_library(root, 3)

    class EndpointConnectionError(Exception):
        pass

    def away(*_):
        raise EndpointConnectionError('Could not connect to the endpoint URL: "http://cache/"')

    with monkeypatch.context() as patch:
        patch.setattr(tree, "write_thumbnail", away)
        failed = scan(library)
    assert (failed.state, failed.error_code) == (State.FAILED, "cache_unavailable")
    assert "cache" in failed.error
    assert counts(go_on(failed))["added"] == 3


def test_a_run_that_was_overtaken_marks_nothing_missing(library, root, monkeypatch):
    make_library(root, 10)
    scan(library)
    (root / "2000" / "01" / "IMG_00002.JPG").unlink()

    def overtake():
        Operation.objects.filter(state=State.RUNNING).update(token=99)

    with monkeypatch.context() as patch:
        before(patch, entries_known, "mark_missing", overtake)
        scan(library)
    assert states(library)["IMG_00002.JPG"] == "ready"


def test_a_path_too_long_is_reported_once(library, root):
    make_library(root, 2)
    deep = os.fsencode(root)
    for _ in range(9):
        deep += b"/" + b"d" * 250
        os.mkdir(deep) if len(deep) < 3000 else None
    shutil.copy(root / "2000" / "01" / "IMG_00000.JPG", os.fsdecode(deep) + "/long.jpg")
    operation = scan(library)
    assert counts(operation)["found"] == 2
    assert operation.result["problem_count"] == len(operation.result["problems"]) == 1


def test_slow_claims_are_not_claimed_twice_by_the_same_run(library):
    Photo.objects.create(
        library=library, filename="a.jpg", size_bytes=1, mtime_ns=1, head_md5="", added_at="2026-01-01T00:00:00Z"
    )
    assert len(queue.claim_digests(library, "x:1:", 10)) == 1
    Photo.objects.update(claimed_until="2020-01-01T00:00:00Z")
    assert queue.claim_digests(library, "x:1:", 10) == []
    assert len(queue.claim_digests(library, "x:2:", 10)) == 1
    assert connection.is_usable()


def test_a_file_and_a_folder_may_take_each_others_name(library, root):
    make_library(root, 10)
    make_jpeg(root / "name.jpg", seed=1, mtime=1_600_000_000)
    scan(library)
    (root / "name.jpg").rename(root / "aside")
    (root / "name.jpg").mkdir()
    (root / "aside").rename(root / "name.jpg" / "inner.jpg")
    assert counts(scan(library))["moved"] == 1
    (root / "name.jpg" / "inner.jpg").rename(root / "aside")
    (root / "name.jpg").rmdir()
    (root / "aside").rename(root / "name.jpg")
    assert counts(scan(library))["moved"] == 1
    assert Photo.objects.count() == 11


def test_a_folder_renamed_in_case_only_keeps_its_photos(library, root):
    make_library(root, 10)
    scan(library)
    ids = set(Photo.objects.values_list("pk", flat=True))
    (root / "2000" / "01").rename(root / "2000" / "O1")
    assert counts(scan(library))["moved"] == 10
    (root / "2000" / "O1").rename(root / "2000" / "o1")
    assert counts(scan(library))["moved"] == 10
    assert set(Photo.objects.values_list("pk", flat=True)) == ids


def test_a_new_time_zone_dates_again_what_does_not_know_its_offset(library, root):
    make_jpeg(root / "a.jpg", taken="2024:05:17 12:00:00", mtime=1_500_000_000)
    make_jpeg(root / "b.png.jpg", taken=None, mtime=1_500_000_000)
    assert counts(scan(library))["added"] == 2
    assert counts(scan(library))["unchanged"] == 2
    library.time_zone = "Asia/Tokyo"
    library.save()
    assert counts(scan(library))["changed"] == 2
    exif, by_file = Photo.objects.order_by("filename")
    assert (exif.taken_local.hour, exif.taken_at.hour) == (12, 3)
    assert (by_file.taken_at.timestamp(), by_file.taken_local.hour) == (1_500_000_000, 11)  # 02:40 UTC
    assert counts(scan(library))["unchanged"] == 2


def test_half_written_objects_go_with_their_dead_writer_only(folder_cache):
    aside = folder_cache / ".writing"
    aside.mkdir()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = identity(process.pid)
    process.communicate(b"\n")
    for name in (f"{dead}=1", f"{identity()}=2", "another-machine|1:1=3", "another-machine|1:1=4"):
        (aside / name).touch()
    for name in ("another-machine|1:1=4", f"{identity()}=2"):  # the clock was set ahead since they were begun
        os.utime(aside / name, (1, 1))
    assert tree.cache().remove_abandoned_writes() == 2
    assert {path.name for path in aside.iterdir()} == {f"{identity()}=2", "another-machine|1:1=3"}


def ids(library):
    """Return the id and favourites' count of each content."""
    return dict(Photo.objects.filter(library=library).exclude(state="missing").values_list("photo_md5", "pk"))


def give_star(owner, photo):
    """The owner's star, which stays in the database here."""
    Library.objects.update(ratings="database")
    star(owner, photo.pk, 5)


def test_swapped_names_leave_each_photo_what_people_gave_it(library, root, alice):
    make_library(root, 10)
    folder = root / "2000" / "01"
    scan(library)
    known = ids(library)
    names = [folder / f"IMG_0000{number}.JPG" for number in range(3)]
    give_star(alice, Photo.objects.get(filename=names[0].name))
    liked = Favourite.objects.get().photo.photo_md5
    for source, target in [(0, "x"), (1, 0), (2, 1), ("x", 2)]:  # three in a ring
        (names[source] if source != "x" else folder / "x").rename(names[target] if target != "x" else folder / "x")
    assert counts(scan(library)) == dict(found=10, added=0, changed=0, moved=3, unchanged=7, gone=0)
    assert ids(library) == known and Favourite.objects.get().photo.photo_md5 == liked
    for photo in Photo.objects.all():
        content = (root / photo.path).read_bytes()
        assert photo.photo_md5 == hashlib.md5(content).hexdigest() and photo.replaced_md5 == ""
        assert photo.photo_md5 in photo.metadata.body
    assert counts(scan(library))["unchanged"] == 10


def test_photos_that_move_up_by_one_name_are_followed(library, root):
    make_library(root, 10)
    folder = root / "2000" / "01"
    scan(library)
    known = ids(library)
    for number in reversed(range(3)):
        target = folder / ("IMG_new.JPG" if number == 2 else f"IMG_0000{number + 1}.JPG")
        (folder / f"IMG_0000{number}.JPG").rename(target)
    assert counts(scan(library)) == dict(found=10, added=0, changed=0, moved=3, unchanged=7, gone=0)
    assert ids(library) == known and Photo.objects.count() == 10


def test_a_name_given_to_another_photo_does_not_inherit(library, root, alice):
    make_library(root, 10)
    first = root / "2000" / "01" / "IMG_00001.JPG"
    scan(library)
    photo = Photo.objects.get(filename=first.name)
    give_star(alice, photo)
    first.rename(root / "archived.jpg")
    make_jpeg(first, seed=900, mtime=1_600_000_000)
    assert counts(scan(library)) == dict(found=11, added=1, changed=0, moved=1, unchanged=9, gone=0)
    assert Photo.objects.get(filename="archived.jpg").pk == photo.pk == Favourite.objects.get().photo_id
    assert Photo.objects.get(filename=first.name).pk != photo.pk


def test_an_edited_photo_and_one_laid_over_another_stay_where_they_are(library, root):
    make_library(root, 10)
    folder = root / "2000" / "01"
    scan(library)
    before_ids = dict(Photo.objects.values_list("filename", "pk"))
    make_jpeg(folder / "IMG_00001.JPG", seed=901, mtime=1_600_000_000)
    (folder / "IMG_00002.JPG").rename(folder / "IMG_00003.JPG")
    assert counts(scan(library)) == dict(found=9, added=0, changed=2, moved=0, unchanged=7, gone=1)
    assert dict(Photo.objects.values_list("filename", "pk")) == before_ids
    assert not Photo.objects.exclude(replaced_md5="").exists()


@pytest.mark.promise("S2-032")
def test_failed_files_are_tried_again_alone(library, root, monkeypatch):
    make_jpeg(root / "good.jpg", seed=1)
    (root / "bad.jpg").write_bytes(b"\xff\xd8 nothing that can be read")
    assert scan(library).result["failed"] == 1
    facts = (root / "bad.jpg").stat()
    read = []
    monkeypatch.setattr("catalog.sources.local.LocalSource.walk", lambda self: read.append("walked") or iter(()))
    result = scan(library, only_failed=True).result
    assert (result["retried"], result["mended"], result["failed"]) == (1, 0, 1)
    make_jpeg(root / "bad.jpg", seed=2)
    os.utime(root / "bad.jpg", ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    result = scan(library, only_failed=True).result
    assert (result["retried"], result["mended"], result["failed"], result["failures"]) == (1, 1, 0, [])
    assert Photo.objects.get(filename="bad.jpg").state == Photo.State.READY
    assert not read
