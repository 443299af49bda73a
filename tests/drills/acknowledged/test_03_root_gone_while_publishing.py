"""The library's disk is unplugged while a scan, a restore or a rebuild publishes its snapshot: nothing is written elsewhere."""

import importlib
from pathlib import Path

import pytest

from catalog.edits.ratings import set_ratings
from catalog.history.restore import start_restore
from catalog.libraries import adding
from catalog.models import Library, Snapshot
from catalog.scanning import requests
from catalog.scanning.rebuild import start_rebuild
from catalog.snapshots.pointer import POINTER_NAME
from operations.models import Operation, State
from operations.running import execute
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, tmp_path, settings) -> Library:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    for number in range(3):
        make_jpeg(tmp_path / "photos" / f"{number}.jpg", seed=number)
    return adding.add_library(alice, str(tmp_path / "photos"), ratings="database")


def unplugged_at(monkeypatch, step: str, number: int, root: Path) -> Path:
    """Let the folder be replaced by an empty one right before the n-th call of the step; return where it lies then."""
    module, _, path = step.partition(":")
    owner = importlib.import_module(module)
    original, away, left = getattr(owner, path), root.with_name("away"), [number]

    def unplug(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            root.rename(away)
            root.mkdir()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, path, unplug)
    return away


def begin(kind: str, library: Library) -> Operation:
    begun = {"scan": requests.start_scan, "restore": start_restore, "rebuild": start_rebuild}[kind]
    return begun(library, library.owner)


WRITES, PUBLISHES = "catalog.history.publish:write_snapshot", "catalog.history.publish:publish"
IN_THE_ROOT, PRUNES = "catalog.snapshots.publish:_has_whole", "catalog.snapshots.publish:_prune"


@pytest.mark.parametrize(
    ("kind", "step", "number"),
    [
        ("first scan", WRITES, 1),
        ("first scan", IN_THE_ROOT, 2),
        ("scan", PUBLISHES, 1),
        ("scan", PRUNES, 2),
        ("restore", PUBLISHES, 1),
        ("restore", IN_THE_ROOT, 2),
        ("rebuild", WRITES, 1),
        ("rebuild", IN_THE_ROOT, 2),
    ],
)
def test_nothing_is_written_elsewhere(library, monkeypatch, kind, step, number):
    root = Path(library.root)
    if kind != "first scan":
        assert execute(begin("scan", library).pk).state == State.COMPLETED
        photo = library.photos.order_by("pk").first()
        set_ratings(library.owner, [photo.pk], 4)
        make_jpeg(root / "more.jpg", seed=9)
    before = sorted(Snapshot.objects.values_list("md5", flat=True))
    with monkeypatch.context() as patch:
        away = unplugged_at(patch, step, number, root)
        done = execute(begin(kind.removeprefix("first "), library).pk)
    assert away.is_dir(), "the step was not reached"
    assert list(root.iterdir()) == []
    assert (done.state, done.error_code) == (State.FAILED, "root_unavailable"), done.error + done.error_detail
    assert sorted(Snapshot.objects.values_list("md5", flat=True)) == before
    root.rmdir()
    away.rename(root)
    library.refresh_from_db()
    assert execute(begin("scan", library).pk).state == State.COMPLETED
    library.refresh_from_db()
    assert library.root_has_pointer and (root / POINTER_NAME).is_file()
