"""Reports of folder exports: what became of each photo, as CSV and JSON; and the calendar that leads to what lacks."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from exports.destinations.folders import add_destination
from exports.ledger.state import summarize_month
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.originals import folder_export
from exports.originals.lacking import month_calendar
from exports.originals.report import remove_old_reports, report_path
from exports.originals.requests import start_folder_export
from operations import control
from operations.models import Operation, State
from operations.running import OperationFailed, execute
from tests.factories import make_photo


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    return add_destination(cast.alice, "Disk", "backup", "{year}/{month}/")


def export(cast: Any, destination: ExportDestination) -> Operation:
    ended = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert ended is not None
    return ended


def read(client: Any, destination: ExportDestination, operation: Operation) -> dict[str, list[str]]:
    """Return the rows of the report by path, after comparing its two forms."""
    url = f"/api/v1/export-destinations/{destination.pk}/reports/{operation.pk}"
    as_json = json.loads(b"".join(client.get(f"{url}.json").streaming_content))
    assert (as_json["operation"], as_json["state"]) == (str(operation.pk), operation.state)
    text = b"".join(client.get(f"{url}.csv").streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["photo_id"] for row in rows] == [photo["photo_id"] for photo in as_json["photos"]]
    assert [row["result"] for row in rows] == [photo["result"] for photo in as_json["photos"]]
    return {row["path"]: [row["result"], row["exported_as"], row["reason"]] for row in rows}


def test_each_photo_is_told_once_with_its_result(cast: Any, api: Any, destination: ExportDestination) -> None:
    make_photo(cast.library, "a.jpg")
    first = export(cast, destination)
    make_photo(cast.library, "=b.jpg")
    make_photo(cast.library, "gone.jpg", on_disk=False)
    Operation.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    second = export(cast, destination)
    reason = "The file is not in its place. A scan finds it if it was moved."
    assert read(api(cast.alice), destination, first) == {"a.jpg": ["exported", "2024/05/a.jpg", ""]}
    rows = read(api(cast.alice), destination, second)
    assert rows.pop("a.jpg")[1:] == ["2024/05/a.jpg", ""]
    assert rows == {
        "'=b.jpg": ["exported", "2024/05/=b.jpg", ""],  # no spreadsheet runs it
        "gone.jpg": ["failed", "", reason],
    }
    listed = api(cast.alice).get(f"/api/v1/export-destinations/{destination.pk}/reports/").json()["results"]
    assert [(one["operation"], one["copied"], one["failed"], one["has_report"]) for one in listed] == [
        (str(second.pk), 1, 1, True),
        (str(first.pk), 1, 0, True),
    ]


def test_what_was_there_is_told_apart_from_what_this_run_copied_before_it_was_stopped(
    cast: Any, api: Any, destination: ExportDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_photo(cast.library, "old.jpg", taken=datetime(2023, 1, 1, tzinfo=UTC))
    export(cast, destination)
    with Ledger(destination.records_folder) as ledger:  # long ago
        record = ledger.export_info(str(old.pk))
        assert record is not None
        values = {name: getattr(record, name) for name in type(record).__slots__}
        ledger.put_all([type(record)(**{**values, "export_date": datetime(2024, 1, 1, tzinfo=UTC)})])
    for day in (1, 2):
        make_photo(cast.library, f"{day}.jpg", taken=datetime(2024, 5, day, tzinfo=UTC))
    monkeypatch.setattr(folder_export, "GROUP_FILES", 1)
    plan = folder_export.FolderExport._plan

    def stop(self: Any, row: Any) -> Any:
        if row.filename == "1.jpg":
            raise OperationFailed("The plug was pulled.", "destination")
        return plan(self, row)

    monkeypatch.setattr(folder_export.FolderExport, "_plan", stop)
    stopped = export(cast, destination)
    assert stopped.state == State.FAILED
    assert read(api(cast.alice), destination, stopped) == {"2.jpg": ["exported", "2024/05/2.jpg", ""]}
    monkeypatch.setattr(folder_export.FolderExport, "_plan", plan)
    control.resume(stopped)
    ended = execute(stopped.pk)
    assert ended is not None
    assert {path: row[0] for path, row in read(api(cast.alice), destination, ended).items()} == {
        "1.jpg": "exported", "2.jpg": "exported", "old.jpg": "already there",
    }  # fmt: skip


def test_reports_are_ones_own_and_go_with_their_operation(
    cast: Any, api: Any, browser: Any, destination: ExportDestination
) -> None:
    make_photo(cast.library, "a.jpg")
    run = export(cast, destination)
    other = add_destination(cast.charlie, "His", "his", "{year}/")
    for suffix in (f"reports/{run.pk}.csv", f"reports/{run.pk}.json", "reports/", "lacking/2024/5/"):
        for where, person in ((destination, cast.charlie), (other, cast.charlie)):
            if not (where == other and suffix in ("reports/", "lacking/2024/5/")):
                assert api(person).get(f"/api/v1/export-destinations/{where.pk}/{suffix}").status_code == 404
                assert browser(person).get(f"/destinations/{where.pk}/{suffix}").status_code == 404
    page = browser(cast.alice).get(f"/destinations/{destination.pk}/").text
    assert f"/destinations/{destination.pk}/reports/{run.pk}.csv" in page
    sent = browser(cast.alice).get(f"/destinations/{destination.pk}/reports/{run.pk}.csv")
    assert "attachment" in sent["Content-Disposition"]
    remove_old_reports()
    assert report_path(run).exists()
    run.delete()
    remove_old_reports()
    assert not report_path(run).exists()


@pytest.mark.once
def test_the_calendar_tells_shares_and_only_all_is_all() -> None:
    counts = {1: (0, 9), 2: (1, 1000), 3: (1, 2), 4: (999, 1000), 5: (3, 3), 6: (5, 3), 7: (2, 0)}
    months = [summarize_month(2024, month, *pair) for month, pair in counts.items()]
    [(newer, _), (older, shares)] = month_calendar([summarize_month(2025, 1, 1, 1), *months])
    assert (newer, older) == (2025, 2024)
    found = [(share.percent, share.level) if share else None for share in shares]
    assert found == [(0, 0), (1, 1), (50, 2), (99, 3), (100, 4), (100, 4), (100, 4), *[None] * 5]


def test_a_month_leads_to_the_photos_that_it_lacks(cast: Any, browser: Any, destination: ExportDestination) -> None:
    make_photo(cast.library, "there.jpg")
    export(cast, destination)
    lacking = make_photo(cast.library, "lacking.jpg")
    make_photo(cast.library, "june.jpg", taken=datetime(2024, 6, 1, tzinfo=UTC))
    page = browser(cast.alice).get(f"/destinations/{destination.pk}/").text
    assert "2024-05: 1 of 2 exported" in page
    assert f"/destinations/{destination.pk}/lacking/2024/5/" in page
    month = browser(cast.alice).get(f"/destinations/{destination.pk}/lacking/2024/5/")
    assert f"/photos/{lacking.pk}/" in month.text
    assert "there.jpg" not in month.text
    assert "june.jpg" not in month.text
    export(cast, destination)
    assert "All photos of this month are there" in browser(cast.alice).get(month.request["PATH_INFO"]).text
    assert browser(cast.alice).get(f"/destinations/{destination.pk}/lacking/2024/13/").status_code == 404
