"""A publisher, a restore and a rebuild that sleep until others took over publish nothing and switch nothing."""

import importlib
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.ratings import set_ratings
from catalog.history.copies import root_md5
from catalog.history.restore import start_restore
from catalog.libraries import adding
from catalog.models import Library, Photo
from catalog.roots.snapshot_locations import cache_location, root_location
from catalog.scanning.rebuild import start_rebuild
from catalog.scanning.rebuild_work import ReadEntry, RebuildWork, own_work, remove_work
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import EntryRow, md5_of_name, snapshot_name
from operations.models import Operation, State
from operations.running import execute, start
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.test_13_restore import assert_snapshot_says_the_same
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, tmp_path, settings, monkeypatch) -> Library:
    """A library of six photos with stars, which keeps one earlier snapshot, so that each new one removes one."""
    folder = {"BACKEND": "catalog.cache.storage.AtomicFolderStorage", "OPTIONS": {"location": str(tmp_path / "cache")}}
    settings.STORAGES = {**settings.STORAGES, "cache": folder}  # a bucket has no names to be renamed
    monkeypatch.setattr("catalog.history.retention.NEWEST", 2)
    settings.KEEP_SNAPSHOTS = (0, 0, 0)
    settings.PHOTO_ROOTS = [str(tmp_path)]
    root = tmp_path / "photos"
    root.mkdir()
    for number in range(6):
        (root / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
        os.utime(root / f"{number}.jpg", (1_600_000_000, 1_600_000_000))
    library = adding.add_library(alice, str(root), ratings="database")
    scan(library)
    rate(library, "0.jpg", 1)
    scan(library)
    return library


def rate(library: Library, name: str, stars: int) -> None:
    set_ratings(library.owner, [Photo.objects.get(library=library, filename=name).pk], stars)


def sleeping_at(monkeypatch, step: str, number: int, meanwhile) -> None:
    """Let `meanwhile` happen right before the n-th call of the step, as if whoever calls it slept that long."""
    module, _, path = step.partition(":")
    owner = importlib.import_module(module)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    left = [number]

    def sleep(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            meanwhile()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, sleep)


def taken_over(operation: Operation) -> State:
    """Let another worker claim the operation, whose holder is taken for dead, and do it to its end."""
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1), worker="")
    return execute(operation.pk).state


def everything(library: Library) -> dict:
    """What both places hold, by name, and what the rows say."""
    library.refresh_from_db()
    folders = [Path(library.root), Path(os.fsdecode(cache_location(root_md5(library)).path(".photolala.md5"))).parent]
    found: dict = {"rows": sorted(Photo.objects.filter(library=library).values_list("filename", "rating", "state"))}
    for number, folder in enumerate(folders):
        found |= {(number, p.name): p.read_bytes() for p in folder.iterdir() if p.name.startswith(".photolala")}
    fields = ("snapshot_md5", "snapshot_revision", "revision", "warning")
    return found | {name: getattr(library, name) for name in fields}


def assert_consistent(library: Library) -> None:
    library.refresh_from_db()
    for place in (root_location(library), cache_location(root_md5(library))):
        md5s = read_pointer(place).md5s
        assert md5s[0] == library.snapshot_md5
        assert {md5 for name in place.names() if (md5 := md5_of_name(name))} == set(md5s)
        assert not [name for name in place.names() if ".claim-" in name or name.endswith(".tmp")]
    assert_snapshot_says_the_same(library)


def starts(kind: str, library: Library) -> Operation:
    if kind == "rebuild":
        return start_rebuild(library, library.owner, full=True, enqueue=False)
    if kind == "restore":
        earlier = read_pointer(root_location(library)).md5s[1]
        return start_restore(library, library.owner, earlier, enqueue=False)
    params = {"library": str(library.pk)}
    return start("scan", library.owner, active_key=library.scan_key, params=params, enqueue=False)


FOLDER = "catalog.snapshots.claimed:ClaimedFolder"
CASES = [
    # In each place: the snapshot, the pointer, and the removal of the oldest snapshot.
    *((f"{FOLDER}._replace", number, "scan") for number in (1, 2, 3, 4)),
    *((f"{FOLDER}._rename", number, "scan") for number in (1, 2, 3, 4, 5, 6)),
    (f"{FOLDER}.delete", 1, "scan"),
    (f"{FOLDER}.clear", 1, "scan"),
    (f"{FOLDER}._rename", 2, "restore"),
    (f"{FOLDER}._rename", 3, "rebuild"),
    ("catalog.history.publish:publish", 1, "scan"),
    ("catalog.history.publish:_keep_copy", 1, "scan"),
    ("catalog.history.publish:publish_written", 1, "restore"),
    ("catalog.history.switch:Switch.apply", 1, "restore"),
    ("catalog.history.switch:Switch.apply", 1, "rebuild"),
    ("catalog.scanning.rebuild:open_snapshot", 1, "rebuild"),
    ("catalog.scanning.rebuild_work:RebuildWork.identify", 1, "rebuild"),
]


@pytest.mark.parametrize(("step", "number", "kind"), CASES, ids=lambda value: str(value).rpartition(".")[2])
def test_who_wakes_late_changes_nothing(library, monkeypatch, step, number, kind):
    rate(library, "1.jpg", 4)
    operation = starts(kind, library)
    states = []
    left = {}

    def meanwhile() -> None:
        with monkeypatch.context() as patch:
            patch.undo()
            states.append(taken_over(operation))
            rate(library, "2.jpg", 5)
            scan(library)
            left.update(everything(library))

    sleeping_at(monkeypatch, step, number, meanwhile)
    execute(operation.pk)
    if not states:
        pytest.fail("The step was never reached.")
    assert states == [State.COMPLETED]
    assert everything(library) == left
    assert_consistent(library)
    assert Photo.objects.get(filename="2.jpg").rating == 5


@pytest.mark.parametrize("suffix", ["tmp", "old"])
def test_what_a_killed_publisher_left_is_removed_by_the_next_run(library, suffix):
    root = Path(library.root)
    current = snapshot_name(library.snapshot_md5)
    claim = "0000000000000001-000001"
    (root / f".photolala.md5.claim-{claim}.tmp").write_bytes(b"half")
    if suffix == "old":  # it was removing one that is needed again by now
        (root / current).rename(root / f"{current}.claim-{claim}.old")
        (root / f".photolala.{'0' * 32}.sqlite.claim-{claim}.old").write_bytes(b"not needed")
    scan(library)
    assert_consistent(library)


def test_a_late_rebuild_writes_into_a_file_that_nobody_reads(tmp_path):
    """Its successor goes on from a copy of what it had read, and keeps its own when the late one ends or starts over."""
    row = EntryRow("a.jpg", "a.jpg", 1, 1, "0" * 32, "1" * 32, *(None,) * 9)
    late = RebuildWork(own_work(tmp_path, 1))
    late.add([ReadEntry(row, "", None)])
    following = RebuildWork(own_work(tmp_path, 2))
    with pytest.raises(sqlite3.OperationalError):  # its file is gone, so it ends there
        late.add([ReadEntry(row._replace(path="b.jpg"), "", None)])
    following.add([ReadEntry(row._replace(path="c.jpg"), "", None)])
    remove_work(tmp_path, 1)
    own_work(tmp_path, 1, anew=True)
    assert [entry[0] for entry in following.entries()] == ["a.jpg", "c.jpg"]
    late.close()
    following.close()
    assert [entry[0] for entry in RebuildWork(own_work(tmp_path, 3)).entries()] == ["a.jpg", "c.jpg"]
    assert list(RebuildWork(own_work(tmp_path, 4, anew=True)).entries()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work-4.sqlite"]
