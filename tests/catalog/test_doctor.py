"""The doctor: each illness is found, said with what to do, and healed where that is harmless; health is not an illness."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.utils import timezone

from catalog import checks, doctor
from catalog.cache import tree
from catalog.doctor import examine
from catalog.examinations import cache as cache_examination
from catalog.examinations import database as database_examination
from catalog.examinations import server
from catalog.examinations.cache import examine_cache
from catalog.examinations.database import examine_database
from catalog.examinations.findings import Severity
from catalog.examinations.libraries import examine_libraries
from catalog.examinations.server import Tool, examine_broker, examine_operations, examine_tools, judge_space
from catalog.media.pool import DecoderPool
from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.roots.snapshot_locations import cache_location, root_location
from catalog.scanning import redraw
from catalog.snapshots.pointer import POINTER_NAME
from catalog.snapshots.schema import snapshot_name
from operations.models import Operation, State
from operations.running import execute, start
from photolala.broker import broker_url
from photolala.broker.store import open_store
from tests.factories import make_library, make_photos
from tests.photos import make_library as make_files

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).resolve().parents[2]
TWO_DAYS = 2 * 24 * 3600


@pytest.fixture
def library(alice, tmp_path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    make_files(tmp_path / "photos", 3)
    scan(library)
    return library


def scan(library) -> Operation:
    params = {"library": str(library.pk)}
    operation = execute(start("scan", library.owner, active_key=library.scan_key, params=params, enqueue=False).pk)
    assert operation.state == State.COMPLETED, operation.error
    library.refresh_from_db()
    return operation


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def cache_mirror(library):
    source = source_for(library)
    source.close()
    return cache_location(source.root_md5)


def damage(place, name: str) -> None:
    """Change one byte, as a failing disk would."""
    with place.open(name) as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    place.delete(name)
    place.put_bytes(name, bytes(data))


def make_old(name: str, monkeypatch) -> None:
    """Let an object be two days old; in a bucket, whose times cannot be set, let nothing be too young."""
    storage = tree.cache()
    if isinstance(storage, FileSystemStorage):
        os.utime(storage.path(name), (time.time() - TWO_DAYS,) * 2)
    else:
        monkeypatch.setattr(cache_examination, "ABANDONED_AFTER_SECONDS", -5.0)


# Libraries and their snapshots


def test_a_healthy_library_has_no_findings(library):
    assert list(examine_libraries(full=True)) == []
    assert list(examine_cache(full=True)) == []


@pytest.mark.parametrize("where", ["root", "cache"])
def test_a_damaged_snapshot_is_found_left_alone_and_healed_by_the_next_scan(library, where):
    place = root_location(library) if where == "root" else cache_mirror(library)
    name = snapshot_name(library.snapshot_md5)
    damage(place, name)
    (finding,) = examine_libraries()
    assert (finding.code, finding.severity) == ("snapshot.latest", Severity.WARNING)
    assert "damaged" in finding.sentence and place.label in finding.sentence and "--heal" in finding.advice
    assert name in place.names() and codes(examine_libraries()) == ["snapshot.latest"]  # only looking changes nothing
    (healed,) = examine_libraries(heal=True)
    assert healed.healed
    scan(library)
    assert list(examine_libraries(full=True)) == []


def test_a_lost_snapshot_in_the_cache_is_published_again(library):
    place = cache_mirror(library)
    for name in place.names():
        place.delete(name)
    assert codes(examine_libraries(heal=True)) == ["snapshot.pointer"]
    scan(library)
    assert list(examine_libraries()) == []


def test_a_root_without_its_pointer_is_a_persons_business(library):
    (Path(library.root) / POINTER_NAME).unlink()
    (finding,) = examine_libraries(heal=True)
    assert finding.code == "snapshot.pointer" and "another disk" in finding.advice and not finding.healed


def test_earlier_snapshots_are_read_in_full_only(library, tmp_path):
    earlier = library.snapshot_md5
    make_files(tmp_path / "photos", 4)
    scan(library)
    damage(root_location(library), snapshot_name(earlier))
    assert list(examine_libraries()) == []
    (finding,) = examine_libraries(full=True, heal=True)
    assert finding.code == "snapshot.earlier" and not finding.healed


def test_an_unreachable_root_is_found_and_its_cache_is_still_examined(library):
    damage(cache_mirror(library), snapshot_name(library.snapshot_md5))
    Path(library.root).rename(Path(library.root).with_name("unplugged"))
    found = list(examine_libraries())
    assert codes(found) == ["library.unreachable", "snapshot.latest"]
    assert "Is its disk or share mounted?" in found[0].sentence


@pytest.mark.parametrize(("ratings", "severity"), [("file", Severity.WARNING), ("database", Severity.NOTE)])
def test_a_read_only_root_matters_where_stars_are_to_be_written(library, ratings, severity, monkeypatch):
    monkeypatch.setattr("catalog.sources.local.LocalSource.root_is_writable", lambda self: False)
    Library.objects.update(ratings=ratings)
    (finding,) = examine_libraries()
    assert (finding.code, finding.severity) == ("library.read_only", severity)
    assert finding.needs_somebody == (severity == Severity.WARNING)


# The cache


def test_missing_and_empty_thumbnails_are_found_and_drawn_again(library):
    lost, empty, _ = Photo.objects.order_by("filename")
    storage = tree.cache()
    names = [tree.thumbnail_name(photo.photo_md5) for photo in (lost, empty)]
    with storage.open(names[0]) as file:
        picture = file.read()
    storage.delete(names[0])
    storage.save(names[1], ContentFile(b""))
    (finding,) = examine_cache()
    assert finding.code == "cache.missing" and finding.sentence.startswith("2 thumbnails are missing of 3 photos.")
    (healed,) = examine_cache(heal=True)
    assert healed.healed == "2 thumbnails were drawn again."
    with storage.open(names[0]) as file:
        assert file.read() == picture
    assert list(examine_cache()) == []


def test_a_thumbnail_whose_photo_is_gone_or_another_now_is_not_drawn(library):
    gone, changed, good = Photo.objects.order_by("filename")
    for photo in (gone, changed, good):
        tree.cache().delete(tree.thumbnail_name(photo.photo_md5))
    root = Path(library.root)
    (root / gone.path).unlink()
    (root / changed.path).write_bytes((root / good.path).read_bytes())
    (finding,) = examine_cache(heal=True)
    assert "1 thumbnail was drawn again. The others: " in finding.advice and not finding.healed
    assert not tree.cache().exists(tree.thumbnail_name(changed.photo_md5))
    assert tree.cache().exists(tree.thumbnail_name(good.photo_md5))


def test_no_thumbnail_is_drawn_from_a_root_that_is_away(library):
    photo = Photo.objects.first()
    Path(library.root).rename(Path(library.root).with_name("unplugged"))
    drawn = redraw.draw_again([photo.photo_md5])
    assert (drawn.photo_md5s, drawn.problems) == (set(), [])


def test_objects_of_no_photo_are_found_once_old_and_removed(library, monkeypatch):
    young, old = (tree.thumbnail_name(digit * 32) for digit in "ab")
    kept = tree.thumbnail_name(Photo.objects.first().photo_md5)
    for name in (young, old):
        tree.cache().save(name, ContentFile(b"x" * 1000))
    if isinstance(tree.cache(), FileSystemStorage):
        assert list(examine_cache()) == []  # they may belong to a scan that is under way
    else:
        tree.cache().delete(young)
    make_old(old, monkeypatch)
    make_old(kept, monkeypatch)
    (finding,) = examine_cache()
    assert finding.code == "cache.orphans"
    assert finding.sentence.startswith("1 object of the cache (1.0 kB) belong")
    assert tree.cache().exists(old)
    (healed,) = examine_cache(heal=True)
    assert healed.healed == "1 object was removed."
    assert not tree.cache().exists(old) and tree.cache().exists(kept)
    assert list(examine_cache()) == []


def test_a_large_catalog_is_sampled_and_looked_at_in_full_when_asked(library, monkeypatch):
    monkeypatch.setattr(cache_examination, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(cache_examination, "SAMPLE", 1)
    make_photos(library, 40, has_thumbnail=True)
    for photo in Photo.objects.exclude(photo_md5=""):  # of all of them, so that any sample shows it
        tree.cache().delete(tree.thumbnail_name(photo.photo_md5))
    (sampled,) = examine_cache()
    assert sampled.code == "cache.missing" and "of a sample" in sampled.sentence
    (full,) = examine_cache(full=True)
    assert full.sentence.startswith("43 thumbnails are missing of 43 photos. ")


def test_photos_without_thumbnails_want_none(library):
    Photo.objects.update(has_thumbnail=False)
    for photo in Photo.objects.all():
        tree.cache().delete(tree.thumbnail_name(photo.photo_md5))
    assert list(examine_cache()) == []


def test_a_cache_that_takes_nothing_is_an_error(monkeypatch):
    def refuse(self, name, content, max_length=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tree.cache()), "save", refuse)
    (finding,) = examine_cache()
    assert finding.code == "cache.unreachable" and "No space left on device" in finding.sentence


# The machine


def test_tools_that_do_not_load_or_crash_are_found_and_the_others_are_not():
    tools = (
        Tool("Good", "nothing", "print(1)"),
        Tool("Missing", "raw photos", "import surely_not_there"),
        Tool("Crashing", "videos", "import os; os.kill(os.getpid(), 11)"),
    )
    missing, crashing = examine_tools(tools)
    assert (missing.code, crashing.code) == ("tool.missing", "tool.crashing")
    assert "No module named 'surely_not_there'" in missing.sentence and "raw photos cannot be shown" in missing.sentence
    assert "it crashed (signal 11)" in crashing.sentence


def test_the_tools_of_this_installation_load():
    assert [code for code in codes(examine_tools()) if code != "tool.exiftool"] == []


def test_an_exiftool_that_does_not_run_is_found(tmp_path, monkeypatch):
    for name in ("exiftool", "perl"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'Can not locate Image/ExifTool.pm' >&2\nexit 2\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (finding,) = examine_tools(())
    assert finding.code == "tool.exiftool" and "ExifTool.pm" in finding.sentence


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "found"),
    [
        (50 * 10**9, None, []),
        (50 * 10**9, 10**6, []),
        (10**9, 10**6, ["disk.nearly_full"]),
        (10**8, 10**6, ["disk.full"]),
        (50 * 10**9, 100, ["disk.files"]),
    ],
)
def test_space_on_disks(free_bytes, free_files, found):
    assert codes(judge_space("/data", free_bytes, free_files)) == found


def test_the_disks_are_asked(settings, monkeypatch):
    monkeypatch.setattr(server, "LITTLE_SPACE_BYTES", 1 << 62)
    monkeypatch.setattr(server, "NO_SPACE_BYTES", 1 << 61)
    settings.EXPORTS_DIR = Path(settings.DATA_DIR) / "not" / "there" / "yet"
    assert codes(server.examine_disks()) == ["disk.full"]  # one disk, said once


def test_a_broker_that_does_not_answer(settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    (finding,) = examine_broker()
    assert finding.code == "broker.unreachable" and "nothing is lost" in finding.sentence


def test_dead_messages_of_the_last_week(settings, tmp_path):
    settings.CELERY_BROKER_URL = broker_url(str(tmp_path / "my broker.sqlite3"))
    assert list(examine_broker()) == []
    store = open_store(tmp_path / "my broker.sqlite3")
    for reason in ("it is old", "its worker crashed"):
        store.put("files", "{}")
        store.bury(store.take("files").tag, reason)
    store._file.write(lambda db: db.execute("UPDATE dead SET buried_at = 1 WHERE reason = 'it is old'"))
    (finding,) = examine_broker()
    assert finding.code == "broker.dead_messages"
    assert finding.sentence.startswith("1 messages") and "its worker crashed" in finding.sentence
    store.close()


def test_operations_that_nobody_works_on(alice):
    def operation(state, **fields):
        made = Operation.objects.create(owner=alice, kind="scan", subject="Holidays", state=state, **fields)
        Operation.objects.filter(pk=made.pk).update(updated_at=timezone.now() - timedelta(minutes=7))
        return made

    operation(State.COMPLETED)
    Operation.objects.create(owner=alice, kind="scan", state=State.PENDING)
    assert list(examine_operations()) == []
    operation(State.PENDING)
    operation(State.RUNNING, lease_until=timezone.now() - timedelta(minutes=6))
    abandoned, waiting = examine_operations()
    assert (abandoned.code, waiting.code) == ("operation.abandoned", "operation.waiting")
    assert "has waited for a worker for 7 min" in waiting.sentence and waiting.severity == Severity.ERROR
    operation(State.RUNNING, lease_until=timezone.now() + timedelta(minutes=6))
    assert [one.severity for one in examine_operations()] == [Severity.WARNING, Severity.NOTE]


# The database


def test_this_database_is_whole_and_up_to_date():
    assert list(examine_database()) == []


def test_migrations_to_be_made_are_found(monkeypatch):
    class Behind(database_examination.MigrationExecutor):
        def migration_plan(self, targets, clean_start=False):
            return [(self.loader.graph.nodes[node], False) for node in targets if node[0] == "catalog"]

    monkeypatch.setattr(database_examination, "MigrationExecutor", Behind)
    (finding,) = examine_database()
    assert finding.code == "database.migrations" and "catalog." in finding.sentence and "migrate" in finding.advice


DOCTOR_WITHOUT_TOOLS = """
import django; django.setup()
from django.core.management import call_command
from catalog import doctor
doctor.examine_tools = lambda: ()
call_command("doctor", "--json")
"""


def test_a_damaged_or_absent_database_leaves_the_rest_of_the_examination(tmp_path):
    """In processes of their own, because the file is really damaged."""
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "photolala.settings"}

    def codes_in(folder: Path) -> list[str]:
        own = {**environment, "PHOTOLALA_DATA": str(folder)}
        command = [sys.executable, "-c", DOCTOR_WITHOUT_TOOLS]
        done = subprocess.run(command, env=own, cwd=PROJECT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1, done.stderr
        report = json.loads(done.stdout)
        assert (
            report["examined"] == ["settings", "tools", "sandbox", "disks", "broker", "database"]
            and report["fine"] is False
        )
        return [finding["code"] for finding in report["findings"]]

    (tmp_path / "new").mkdir()
    assert "database.migrations" in codes_in(tmp_path / "new")  # nobody has ever migrated
    path = tmp_path / "photolala.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE filled (words TEXT)")
        database.executemany("INSERT INTO filled VALUES (?)", [(f"{number:0900}",) for number in range(200)])
    database.close()
    data = bytearray(path.read_bytes())
    page = int.from_bytes(data[16:18], "big")
    for first_damaged in (len(data) // page - 20, 0):  # somewhere in the table, then the very start
        for offset in range(first_damaged * page, len(data), page):
            data[offset : offset + 40] = b"\xff" * 40
        path.write_bytes(data)
        assert "database.damaged" in codes_in(tmp_path)


# The whole


@pytest.fixture
def quiet_machine(monkeypatch, settings, tmp_path):
    """A machine whose settings, tools and disks are as they should be, whatever the one is like that runs the tests."""
    settings.CELERY_BROKER_URL = broker_url(str(tmp_path / "broker.sqlite3"))
    for name in ("examine_settings", "examine_tools", "examine_sandbox", "examine_disks"):
        monkeypatch.setattr(doctor, name, lambda: iter(()))


def test_all_is_well(library, quiet_machine):
    out = StringIO()
    call_command("doctor", stdout=out)
    assert out.getvalue().startswith("All is well: settings, tools, sandbox, disks, broker, database")


def test_findings_are_printed_worst_first_and_end_with_1(library, quiet_machine):
    tree.cache().delete(tree.thumbnail_name(Photo.objects.first().photo_md5))
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("doctor", "--full", stdout=out)
    assert left.value.code == 1
    assert out.getvalue().startswith("warning: 1 thumbnail is missing of 3 photos.")
    out = StringIO()
    call_command("doctor", "--heal", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert report["fine"] is True
    assert [(one["severity"], one["code"], one["healed"]) for one in report["findings"]] == [
        ("warning", "cache.missing", "1 thumbnail was drawn again.")
    ]


def test_an_examination_that_fails_is_a_finding_and_the_others_go_on(library, quiet_machine, monkeypatch):
    def broken():
        raise RuntimeError("no idea")
        yield

    monkeypatch.setattr(doctor, "examine_operations", broken)
    report = examine()
    assert codes(report.findings) == ["operations.examination"] and not report.is_fine
    assert report.examined[-1] == "cache"


def test_progress_is_an_argument(library, quiet_machine):
    told = []

    def progress(items, doing):
        told.append(doing)
        return items

    examine(progress=progress)
    assert "Examining libraries" in told and "Comparing photos and cache, in parts" in told


def test_the_layers_of_the_sandbox_are_told():
    (finding,) = server.examine_sandbox()
    assert finding.severity == "note" and finding.code == "sandbox.layers"
    assert "landlock" in finding.sentence and "seccomp" in finding.sentence


def test_a_layer_that_is_missing_is_found(monkeypatch):
    pool = DecoderPool(1, worker_module="tests.catalog.media.hostile_without_seccomp")
    monkeypatch.setattr(server, "writing_decoder", lambda: pool)
    (finding,) = server.examine_sandbox()
    assert finding.severity == "warning" and "without seccomp" in finding.sentence


def test_a_kernel_without_layers_is_refused_where_they_are_required(settings, monkeypatch):
    monkeypatch.setattr(checks, "missing_layers", lambda: ["landlock"])
    assert [message.id for message in checks.check_sandbox()] == ["photolala.W008"]
    settings.SANDBOX_REQUIRED = True
    assert [message.id for message in checks.check_sandbox()] == ["photolala.E008"]


def test_settings_that_cannot_work_are_found(settings, monkeypatch):
    settings.PHOTO_ROOTS = ["photos"]
    assert "photolala.E002" in codes(server.examine_settings())
