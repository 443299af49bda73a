"""How quick operations were: stages of one, charts of many, and starting over."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.scanning.rebuild import start_rebuild, work_folder
from catalog.scanning.requests import start_scan
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_photo


def scan(cast):
    return execute(start_scan(cast.library, cast.alice).pk)


def chart_of(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page).group(1))


@pytest.mark.promise("S2-063")
def test_a_scan_tells_how_long_each_stage_took_and_how_much_it_did(cast, alice):
    for number in range(3):
        make_photo(cast.library, f"{number}.jpg").delete()
    operation = scan(cast)
    stages = {stage["name"]: stage for stage in operation.metrics["stages"]}
    assert next(iter(stages)) == "Looking through the folders"
    assert list(stages)[-1] == "Writing the catalog snapshot"
    assert stages["Reading the heads of new files"]["done"] == 3
    assert all(stage["seconds"] >= 0 for stage in stages.values())
    assert 0 < sum(stage["seconds"] for stage in stages.values()) <= operation.seconds + 0.1
    page = alice.get(f"/operations/{operation.pk}/").content.decode()
    for name in stages:
        assert f"<td>{name}</td>" in page


@pytest.mark.promise("S2-074")
def test_finished_operations_are_charted_oldest_first(cast, alice, bob):
    assert "Nothing has run to its end yet" in alice.get("/operations/figures/").content.decode()
    now = timezone.now()
    for hours, found in ((3, 100), (1, 50), (2, 300)):
        Operation.objects.create(
            owner=cast.alice,
            kind="scan",
            subject="</script><b>",
            state=State.COMPLETED,
            started_at=now - timedelta(hours=hours, seconds=10),
            finished_at=now - timedelta(hours=hours),
            created_at=now - timedelta(hours=hours),
            metrics={"bytes_read": 20_000_000},
            result={"found": found, "cache_hits": found - 20, "cache_misses": 20},
        )
    Operation.objects.create(owner=cast.alice, kind="scan", state=State.FAILED, finished_at=now)
    page = alice.get("/operations/figures/").content.decode()
    chart = chart_of(page)
    values = {series["title"]: series["values"] for series in chart["series"]}
    assert chart["times"] == sorted(chart["times"]) and len(chart["times"]) == 3
    assert values["Rate"] == [10.0, 30.0, 5.0]
    assert values["Read"] == [2.0, 2.0, 2.0]
    assert values["Time"] == [10.0, 10.0, 10.0]
    assert values["Known already"] == [80.0, 93.3, 60.0]
    assert "<b>" not in page
    assert "Nothing has run to its end yet" in bob.get("/operations/figures/").content.decode()


def test_a_rebuild_can_start_over_and_reads_everything_again(cast, alice):
    make_photo(cast.library, "a.jpg").delete()
    scan(cast)
    rebuild = start_rebuild(cast.library, cast.alice)
    Operation.objects.filter(pk=rebuild.pk).update(state=State.INTERRUPTED, done=1, total=2)
    folder = work_folder(rebuild.pk)
    folder.mkdir(parents=True)
    (folder / "work.sqlite").write_bytes(b"no work file of any use")
    page = alice.get(f"/operations/{rebuild.pk}/").content.decode()
    assert "Start over</button>" in page and "It stood at 1 of 2" in page
    assert alice.post(f"/operations/{rebuild.pk}/resume/", {"start_over": "1"}).status_code == 302
    ended = execute(rebuild.pk)
    assert (ended.state, ended.error) == (State.COMPLETED, "")
    assert "start_over" not in ended.params


@pytest.mark.parametrize("kind", ["scan", "export_folder"])
def test_what_has_nothing_to_throw_away_can_only_be_resumed(cast, alice, kind):
    operation = Operation.objects.create(owner=cast.alice, kind=kind, state=State.INTERRUPTED)
    assert "Start over" not in alice.get(f"/operations/{operation.pk}/").content.decode()
    alice.post(f"/operations/{operation.pk}/resume/", {"start_over": "1"})
    operation.refresh_from_db()
    assert (operation.state, operation.params) == (State.INTERRUPTED, {})
