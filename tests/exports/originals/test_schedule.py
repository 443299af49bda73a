"""Exports that begin by themselves: when, in whose name, one at a time."""

from datetime import UTC, datetime
from typing import Any

import pytest

from exports.destinations.changing import change_destination
from exports.destinations.folders import add_destination
from exports.models import ExportDestination
from exports.originals.requests import start_folder_export
from exports.originals.schedule import last_due, start_due_exports
from operations.models import Operation
from operations.running import execute
from photolala.settings.tasks import CELERY_BEAT_SCHEDULE
from tests.factories import make_library, make_photo

SATURDAY = datetime(2026, 11, 28, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.once
@pytest.mark.parametrize(
    ("schedule", "hour", "weekday", "due"),
    [
        ("daily", 12, 0, datetime(2026, 11, 28, 12, tzinfo=UTC)),
        ("daily", 13, 0, datetime(2026, 11, 27, 13, tzinfo=UTC)),
        ("weekly", 3, 5, datetime(2026, 11, 28, 3, tzinfo=UTC)),
        ("weekly", 13, 5, datetime(2026, 11, 21, 13, tzinfo=UTC)),
        ("weekly", 3, 6, datetime(2026, 11, 22, 3, tzinfo=UTC)),
    ],
)
def test_it_is_due_at_the_last_such_hour(schedule: str, hour: int, weekday: int, due: datetime) -> None:
    fields = {"schedule": schedule, "schedule_hour": hour, "schedule_weekday": weekday}
    assert last_due(ExportDestination(**fields, scheduled_since=LONG_AGO), SATURDAY) == due
    assert last_due(ExportDestination(**fields, scheduled_since=SATURDAY), SATURDAY) == (
        due if due == SATURDAY else None
    )


def test_each_library_is_exported_once_and_one_after_the_other(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = add_destination(cast.alice, "", "backup", "{year}/")
    other = make_library(cast.alice, cast.root.parent / "other", name="Other")
    gone = make_library(cast.bob, cast.root.parent / "gone", name="A")  # alice may not see it any more
    destination.libraries.add(cast.library, other, gone)
    make_photo(cast.library, "a.jpg")
    change_destination(destination, {"schedule": "daily", "schedule_hour": 0})
    assert start_due_exports() == 0  # not before the next such hour
    ExportDestination.objects.update(scheduled_since=LONG_AGO)
    subjects = []
    for _ in range(2):
        assert start_due_exports() == 1
        assert start_due_exports() == 0  # while that one is at work
        operation = Operation.objects.get(state="pending")
        assert operation.owner == cast.alice
        subjects.append(operation.subject)
        execute(operation.pk)
    assert subjects == ["Holidays to backup", "Other to backup"]
    assert start_due_exports() == 0
    assert (destination.path / "2024/a.jpg").exists()
    change_destination(destination, {"schedule": ""})
    destination.refresh_from_db()
    assert destination.scheduled_since is None


def test_what_a_person_began_counts_and_a_folder_that_others_took_is_left_alone(cast: Any, settings: Any) -> None:
    (cast.root.parent / "disk").mkdir()
    destination = add_destination(cast.alice, "", str(cast.root.parent / "disk"), "{year}/")
    change_destination(destination, {"schedule": "weekly"})
    ExportDestination.objects.update(scheduled_since=LONG_AGO)
    execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert start_due_exports() == 0
    Operation.objects.update(created_at=LONG_AGO)
    settings.PHOTO_ROOTS = []  # the administrator allows it no more
    assert start_due_exports() == 0
    settings.PHOTO_ROOTS = [str(cast.root.parent)]
    cast.alice.is_active = False
    cast.alice.save()
    assert start_due_exports() == 0
    cast.alice.is_active = True
    cast.alice.save()
    assert start_due_exports() == 1


def test_what_cannot_begin_is_told_its_owner_and_logged_once(
    cast: Any, browser: Any, api: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (cast.root.parent / "disk").mkdir()
    destination = add_destination(cast.alice, "", str(cast.root.parent / "disk"), "{year}/")
    destination.libraries.add(cast.library)
    change_destination(destination, {"schedule": "daily"})
    ExportDestination.objects.update(scheduled_since=LONG_AGO)
    settings.PHOTO_ROOTS = []
    url = f"/api/v1/export-destinations/{destination.pk}/"
    assert [start_due_exports(), start_due_exports(), start_due_exports()] == [0, 0, 0]
    assert caplog.text.count("is refused") == 1
    told = api(cast.alice).get(url).json()
    assert "not free, or not among those" in told["refusal"]
    assert told["refused_at"] is not None
    page = browser(cast.alice).get(f"/destinations/{destination.pk}/").text
    assert "The last scheduled export could not begin, <time" in page and "</time>: That folder" in page
    assert "cannot begin by itself" in browser(cast.alice).get("/exports/").text
    settings.PHOTO_ROOTS = [str(cast.root.parent)]
    assert start_due_exports() == 1
    told = api(cast.alice).get(url).json()
    assert (told["refusal"], told["refused_at"]) == ("", None)
    ExportDestination.objects.update(refusal="Old", refused_at=LONG_AGO)
    destination.refresh_from_db()
    change_destination(destination, {"schedule_hour": 5})
    destination.refresh_from_db()
    assert (destination.refusal, destination.refused_at) == ("", None)


@pytest.mark.once
def test_it_is_on_the_timetable() -> None:
    assert "exports.tasks.start_due_exports" in {one["task"] for one in CELERY_BEAT_SCHEDULE.values()}


def test_the_schedule_is_set_on_the_page_and_through_the_api(cast: Any, browser: Any, api: Any) -> None:
    destination = add_destination(cast.alice, "Disk", "backup", "{year}/")
    page, url = f"/destinations/{destination.pk}/", f"/api/v1/export-destinations/{destination.pk}/"
    sent = {
        "name": "Disk", "template": "{year}/", "schedule": "weekly", "schedule_hour": "4", "schedule_weekday": "6",
    }  # fmt: skip
    assert browser(cast.charlie).post(f"{page}change/", sent).status_code == 404
    assert browser(cast.alice).post(f"{page}change/", sent).status_code == 302
    assert "every week from 04:00 on Sunday" in browser(cast.alice).get(page).text
    body = api(cast.alice).get(url).json()
    assert {name: body[name] for name in ("schedule", "schedule_hour", "schedule_weekday")} == {
        "schedule": "weekly", "schedule_hour": 4, "schedule_weekday": 6,
    }  # fmt: skip
    for bad in ({"schedule_hour": "24"}, {"template": "{owner}/"}, {"schedule": "hourly"}):
        refused = browser(cast.alice).post(f"{page}change/", {**sent, **bad})
        assert refused.status_code == 422
        assert "Nothing was changed" in refused.text
    assert api(cast.alice).patch(url, {"schedule_hour": 24}, format="json").status_code == 400
    assert api(cast.alice).patch(url, {"schedule": "daily"}, format="json").json()["schedule"] == "daily"
    destination.refresh_from_db()
    assert destination.scheduled_since is not None
