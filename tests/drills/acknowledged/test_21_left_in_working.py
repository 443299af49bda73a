"""Also: what rebuilds read stays as long as they can go on from it, and not a scan longer."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from catalog.examinations.leftovers import _working
from catalog.scanning import rebuild, rebuild_work
from catalog.scanning.rebuild import start_rebuild
from operations.control import resume
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_rebuild import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan

pytestmark = pytest.mark.django_db


def left():
    """Return what lies in `working`."""
    folder = settings.DATA_DIR / "working"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.is_dir() else []


def a_failed_rebuild(library, monkeypatch):  # noqa: F811
    operation = start_rebuild(library, library.owner, full=True, enqueue=False)
    with monkeypatch.context() as patch:
        patch.setattr(rebuild.Rebuild, "_back_up", lambda self: 1 / 0)
        assert execute(operation.pk).state == State.FAILED
    assert left()
    return operation


def test_a_failed_rebuild_that_a_scan_superseded_leaves_nothing(library, monkeypatch):  # noqa: F811
    a_failed_rebuild(library, monkeypatch)
    scan(library)
    assert left() == []


def test_one_that_can_go_on_keeps_what_it_read_until_then(library, monkeypatch):  # noqa: F811
    operation = a_failed_rebuild(library, monkeypatch)
    assert rebuild.remove_abandoned_work() == 0 and left()
    operation.refresh_from_db()
    resume(operation)
    done = execute(operation.pk)
    assert (done.state, done.result["read"], left()) == (State.COMPLETED, 0, [])


@pytest.mark.parametrize("step", ["own_work", "RebuildWork"])
def test_one_that_wakes_after_its_successor_is_done_leaves_nothing(library, monkeypatch, step):  # noqa: F811
    operation = start_rebuild(library, library.owner, enqueue=False)
    real, others = getattr(rebuild, step), []

    def frozen(*arguments, **named):
        if not others:
            others.append(operation)
            Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(days=1))
            assert execute(operation.pk).state == State.COMPLETED
            rebuild.work_folder(operation.pk).mkdir(parents=True, exist_ok=True)  # it was about to make it
        return real(*arguments, **named)

    monkeypatch.setattr(rebuild, step, frozen)
    execute(operation.pk)
    assert others and left() == []


def test_a_claim_that_died_over_its_copy_costs_nothing_that_was_read(tmp_path):
    first = rebuild_work.RebuildWork(rebuild_work.own_work(tmp_path, 1))
    first.close()
    (tmp_path / "work-2.part").write_bytes(b"half")
    (tmp_path / "work-2.part-journal").write_bytes(b"half")
    before = (tmp_path / "work-1.sqlite").stat().st_size
    assert rebuild_work.own_work(tmp_path, 3).stat().st_size == before
    assert [path.name for path in tmp_path.iterdir()] == ["work-3.sqlite"]
    rebuild_work.remove_work(tmp_path, 3)
    assert not list(tmp_path.iterdir())


def test_doctor_tells_of_it_and_removes_it(library, monkeypatch, settings):  # noqa: F811
    operation = a_failed_rebuild(library, monkeypatch)
    monkeypatch.setattr("catalog.examinations.leftovers.QUIET_SECONDS", -1)
    assert not list(_working(heal=True)) and left()
    Operation.objects.filter(pk=operation.pk).update(superseded=True)
    (finding,) = _working(heal=True)
    assert finding.code == "leftover.working" and finding.healed and left() == []
