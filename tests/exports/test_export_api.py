"""Exports and export destinations through the API."""

import gc
import io
import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.signals import request_finished
from django.db import IntegrityError, InterfaceError, close_old_connections, transaction
from django.utils import timezone

from exports import tasks
from exports.catalogs.partials import remove_partials
from exports.downloads import MOST_DOWNLOADS
from exports.formats.sink import ExportSink
from exports.ledger.load import FOLDER_NAME, LOG_NAME
from exports.ledger.store import Ledger
from exports.models import Export, ExportDestination, ExportDownload
from exports.originals.checks import start_verification
from exports.tasks import purge_exports
from operations.models import Operation, State
from operations.running import execute
from photolala.lib.process import identity
from photolala.web.problem_types import PREFIX
from tests.factories import make_library, make_photo, make_photos

EXPORTS = "/api/v1/exports/"
DESTINATIONS = "/api/v1/export-destinations/"


def start(client: Any, **body: Any) -> dict[str, Any]:
    response = client.post(EXPORTS, {"format": "json", **body})
    assert response.status_code == 202, response.content
    return response.json()


def finish(client: Any, **body: Any) -> dict[str, Any]:
    started = start(client, **body)
    assert execute(started["operation"]).state == State.COMPLETED
    return client.get(f"{EXPORTS}{started['id']}/").json()


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.promise(*("S3-020", "S3-021", "S3-022", "S3-023", "S3-024", "S3-026", "S3-027"))
def test_an_export_from_queued_to_completed(cast: Any, api: Any) -> None:
    make_photos(cast.library, 3, rating=4)
    alice = api(cast.alice)
    days = {"start_date": "2024-05-17", "end_date": "2024-05-17"}
    started = start(alice, date_range=days, filter={"rating": 4}, include_media=True)
    assert (started["status"], started["completed_at"], started["download"]) == ("queued", None, None)
    done = finish_of(alice, started)
    assert (done["status"], done["photo_count"], done["progress"]["photos_processed"]) == ("completed", 3, 3)
    assert (done["progress"]["photos_total"], done["progress"]["percent"]) == (3, 100.0)
    assert (done["id"], done["created_at"]) == (started["id"], started["created_at"])
    assert Export.objects.get(pk=done["id"]).user == cast.alice
    options = {"format": "json", "date_range": days, "filter": {"rating": 4}, "include_media": True}
    assert {name: done[name] for name in options} == options
    assert done["completed_at"] >= done["created_at"]
    assert done["folder"].endswith(f"_{done['id']}")
    assert done["size_bytes"] > 0
    second = finish(alice, format="csv")
    assert [row["id"] for row in alice.get(EXPORTS).json()["results"]] == [second["id"], done["id"]]


@pytest.mark.promise("S3-037", "S3-058")
def test_an_export_is_queued_runs_and_is_completed_or_failed_with_a_reason(
    cast: Any, api: Any, monkeypatch: Any
) -> None:
    make_photos(cast.library, 3)
    alice = api(cast.alice)

    def words_of(format: str) -> list[tuple[str, str]]:
        started = start(alice, format=format)
        seen = [(started["status"], started["error"])]

        def look(_: Any = None) -> None:
            now = alice.get(f"{EXPORTS}{started['id']}/").json()
            if (now["status"], now["error"]) != seen[-1]:
                seen.append((now["status"], now["error"]))

        execute(started["operation"], on_progress=look)
        look()
        return seen

    assert words_of("json") == [("queued", ""), ("running", ""), ("completed", "")]
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(ExportSink, "write_batch", lambda *_: (_ for _ in ()).throw(full))
    queued, running, (failed, reason) = words_of("csv")
    assert (queued, running, failed) == (("queued", ""), ("running", ""), "failed")
    assert "No space left on device" in reason and "Free some space" in reason


@pytest.mark.promise("S3-028")
def test_a_catalog_is_exported_as_json_or_csv_and_as_nothing_else(cast: Any, api: Any) -> None:
    make_photos(cast.library, 1)
    alice = api(cast.alice)
    for format in ("json", "csv"):
        done = finish(alice, format=format)
        assert done["format"] == format
        assert (Export.objects.get(pk=done["id"]).folder / f"photos.{format}").is_file()
    for other in ("xml", "JSON", "", None):
        assert alice.post(EXPORTS, {"format": other}).status_code == 400
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.create(user=cast.alice, library=cast.library, format="xml")


def finish_of(client: Any, started: dict[str, Any]) -> dict[str, Any]:
    assert execute(started["operation"]).state == State.COMPLETED
    return client.get(f"{EXPORTS}{started['id']}/").json()


@pytest.mark.promise("S3-U12")
def test_the_same_export_again_meets_409_and_another_one_waits_and_says_its_place(
    cast: Any, api: Any, monkeypatch: Any
) -> None:
    alice = api(cast.alice)
    first = start(alice)
    again = alice.post(EXPORTS, {"format": "json"})
    assert (again.status_code, again.json()["operation"]) == (409, first["operation"])
    assert again["Content-Type"] == "application/problem+json"
    second = start(alice, format="csv")
    assert (first["queue_place"], second["queue_place"], second["status"]) == (0, 1, "queued")
    assert execute(second["operation"]) is None
    assert [row["queue_place"] for row in alice.get(EXPORTS).json()["results"]] == [1, 0]
    assert alice.delete(f"{EXPORTS}{first['id']}/").status_code == 409
    assert alice.get(f"{EXPORTS}{first['id']}/download/").status_code == 409
    assert start(api(cast.bob), format="csv")["queue_place"] == 0
    assert finish_of(alice, first)["queue_place"] is None
    assert alice.get(f"{EXPORTS}{second['id']}/").json()["queue_place"] == 0
    assert finish_of(alice, second)["status"] == "completed"
    monkeypatch.setattr("exports.catalogs.requests.MOST_WAITING", 1)
    start(alice)
    full = alice.post(EXPORTS, {"format": "csv"})
    assert (full.status_code, full.json()["type"]) == (409, f"{PREFIX}queue_full")


@pytest.mark.promise("S3-U15", "X-10")
def test_exports_are_ones_own(cast: Any, api: Any) -> None:
    make_photos(cast.library, 2)
    export = finish(api(cast.alice))
    for client in (api(cast.bob), api(cast.charlie)):
        assert client.get(EXPORTS).json()["results"] == []
        for address in (f"{EXPORTS}{export['id']}/", f"{EXPORTS}{export['id']}/download/"):
            assert client.get(address).status_code == 404
        assert client.delete(f"{EXPORTS}{export['id']}/").status_code == 404
    anonymous = api(None)
    for address in (EXPORTS, f"{EXPORTS}{export['id']}/", f"{EXPORTS}{export['id']}/download/", DESTINATIONS):
        assert anonymous.get(address).status_code == 401
    foreign = api(cast.charlie).post(EXPORTS, {"format": "json", "library": str(cast.library.pk)})
    assert foreign.status_code == 404
    assert api(cast.alice).get(f"{EXPORTS}{uuid4()}/").status_code == 404
    assert api(cast.alice).put(f"{EXPORTS}{export['id']}/", {}).status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"format": "xml"}, 400),
        ({}, 400),
        ({"format": "json", "library": "x"}, 400),
        ({"format": "json", "filter": {"colour": "red"}}, 400),
        ({"format": "json", "filter": {"rating": [1]}}, 400),
        ({"format": "json", "filter": {"rating": 9}}, 400),
        ({"format": "json", "date_range": {"start_date": "2024-05-02", "end_date": "2024-05-01"}}, 422),
        ({"format": "json", "date_range": {"end_date": "2999-01-01"}}, 422),
        ({"format": "json", "date_range": {"start_date": "yesterday"}}, 422),
        ({"format": "json", "date_range": {"start_date": "20240501"}}, 422),
    ],
)
@pytest.mark.promise("S3-U13")
def test_bad_wishes_are_told_what_is_wrong(cast: Any, api: Any, body: dict, status: int) -> None:
    response = api(cast.alice).post(EXPORTS, body)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert not Export.objects.exists()
    assert not Operation.objects.exists()


@pytest.mark.promise("S3-029")
def test_who_sees_several_libraries_must_say_which_and_gets_the_photos_of_that_one(cast: Any, api: Any) -> None:
    other = make_library(cast.alice, cast.root.parent / "other", name="Other")
    alice = api(cast.alice)
    assert alice.post(EXPORTS, {"format": "json"}).status_code == 422
    for library in (cast.library, other):
        [photo] = make_photos(library, 1)
        done = finish(alice, library=str(library.pk))
        assert done["library"] == str(library.pk)
        [row] = json.loads((Export.objects.get(pk=done["id"]).folder / "photos.json").read_bytes())
        assert (row["id"], row["library_id"], row["owner_id"]) == (str(photo.pk), str(library.pk), str(cast.alice.pk))


@pytest.mark.promise("S3-X06")
def test_today_is_a_last_day_and_a_range_narrows(cast: Any, api: Any) -> None:
    make_photo(cast.library, taken=timezone.now())
    make_photo(cast.library, taken=timezone.now() - timedelta(days=9))
    today = timezone.now().date().isoformat()
    done = finish(api(cast.alice), date_range={"start_date": today, "end_date": today})
    assert (done["photo_count"], done["date_range"]) == (1, {"start_date": today, "end_date": today})


@pytest.mark.promise("S3-025")
def test_the_download_is_one_zip_that_can_be_taken_in_pieces(cast: Any, api: Any) -> None:
    for number in range(3):
        make_photo(cast.library, f"{number}.jpg")
    alice = api(cast.alice)
    export = finish(alice, include_media=True)
    address = export["download"]
    whole = alice.get(address)
    data = body_of(whole)
    assert (whole.status_code, whole["Content-Type"]) == (200, "application/zip")
    assert 'filename="photos-2024.zip"' in whole["Content-Disposition"]
    assert len(data) == int(whole["Content-Length"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert f"{export['folder']}/manifest.json" in names
        assert len(names) == 5
        assert len(json.loads(archive.read(f"{export['folder']}/photos.json"))) == 3
    head = alice.head(address)
    assert (head.status_code, head["ETag"], head["Content-Length"]) == (200, whole["ETag"], str(len(data)))
    for cut in (1, 1000, len(data) // 2, len(data) - 1):
        rest = alice.get(address, HTTP_RANGE=f"bytes={cut}-", HTTP_IF_RANGE=whole["ETag"])
        assert (rest.status_code, rest["Content-Range"]) == (206, f"bytes {cut}-{len(data) - 1}/{len(data)}")
        assert data[:cut] + body_of(rest) == data
    middle = alice.get(address, HTTP_RANGE="bytes=10-19")
    assert body_of(middle) == data[10:20]
    assert alice.get(address, HTTP_RANGE=f"bytes={len(data)}-").status_code == 416
    assert alice.get(address, HTTP_IF_NONE_MATCH=whole["ETag"]).status_code == 304
    assert body_of(alice.get(address, HTTP_RANGE="bytes=5-", HTTP_IF_RANGE='"older"')) == data


def test_ten_downloads_of_a_user_are_under_way_at_most_and_each_is_recorded(cast: Any, api: Any) -> None:
    make_photos(cast.library, 2)
    alice, bob = api(cast.alice), api(cast.bob)
    address = finish(alice)["download"]
    others = finish(bob)["download"]
    under_way = [alice.get(address, HTTP_RANGE=f"bytes={number}-") for number in range(MOST_DOWNLOADS)]
    refused = alice.get(address)
    assert (refused.status_code, refused.json()["type"], refused["Retry-After"]) == (
        429,
        f"{PREFIX}too_many_downloads",
        "30",
    )
    assert "Wait until one has ended" in refused.json()["detail"]
    assert alice.head(address).status_code == 200
    assert len(body_of(bob.get(others))) > 0
    request_finished.disconnect(close_old_connections)  # that would be the test's own
    under_way[3].close()  # the client left
    request_finished.connect(close_old_connections)
    assert body_of(under_way[4])
    whole = alice.get(address)
    assert whole.status_code == 200
    size = int(whole["Content-Length"])
    of_alice = ExportDownload.objects.filter(user=cast.alice)
    assert of_alice.count() == MOST_DOWNLOADS + 1
    left, done = of_alice.get(first_byte=3), of_alice.get(first_byte=4)
    assert (left.sent_bytes, left.reached_the_end, left.ended_at is None) == (0, False, False)
    assert (done.sent_bytes, done.reached_the_end, done.size_bytes) == (size - 4, True, size)
    assert (done.export_name, done.address) == (Export.objects.get(user=cast.alice).folder_name, "127.0.0.1")
    tenth = alice.get(address, HTTP_RANGE="bytes=0-0")
    assert tenth.status_code == 206
    assert alice.get(address).status_code == 429
    del tenth, whole  # answers that are never sent
    gc.collect()
    tenth = alice.get(address)
    assert tenth.status_code == 200
    assert of_alice.filter(ended_at=None).count() == MOST_DOWNLOADS - 1
    under_way.append(alice.get(address))
    of_alice.update(server="")  # it cannot be told whether that process is alive
    assert alice.get(address).status_code == 429
    of_alice.update(started_at=timezone.now() - timedelta(hours=2))
    assert alice.get(address).status_code == 200
    assert alice.delete(f"{EXPORTS}{Export.objects.get(user=cast.alice).pk}/").status_code == 204
    assert of_alice.filter(export=None).count() == of_alice.count()


def test_an_export_expires_and_its_files_are_deleted(cast: Any, api: Any, settings: Any, monkeypatch: Any) -> None:
    make_photos(cast.library, 2)
    alice = api(cast.alice)
    settings.EXPORT_DAYS = 7
    old, new = finish(alice), finish(alice, format="csv")
    assert new["expires_at"] > (timezone.now() + timedelta(days=6)).isoformat()
    now = timezone.now()
    Export.objects.filter(pk=old["id"]).update(completed_at=now - timedelta(days=8), expires_at=now - timedelta(days=1))
    expired = alice.get(old["download"])
    assert (expired.status_code, expired.json()["type"]) == (404, f"{PREFIX}expired")
    body = alice.get(f"{EXPORTS}{old['id']}/").json()
    assert (body["status"], body["download"], body["expires_at"] > body["completed_at"]) == ("completed", None, True)
    folders = {key: Export.objects.get(pk=key).folder for key in (old["id"], new["id"])}
    settings.EXPORT_DAYS = 1  # holds for those that are made from now on
    # This installation has to have been there for the week that was promised, whatever the clock says.
    monkeypatch.setattr("exports.tasks.time_ago", lambda length: now - (length + timedelta(days=2)))
    assert purge_exports() == 0
    monkeypatch.setattr("exports.tasks.time_ago", lambda length: now - length)
    with monkeypatch.context() as set_clock:
        set_clock.setattr("exports.tasks.is_suspect", lambda: True)
        assert purge_exports() == 0
    sent = ExportDownload.objects.create(export_id=old["id"], user=cast.alice, size_bytes=1, server=identity())
    assert purge_exports() == 0
    ExportDownload.objects.filter(pk=sent.pk).update(ended_at=timezone.now())
    assert (purge_exports(), purge_exports()) == (1, 0)
    assert [folder.is_dir() for folder in folders.values()] == [False, True]
    assert alice.get(new["download"]).status_code == 200
    assert alice.delete(f"{EXPORTS}{old['id']}/").status_code == 204


def test_the_end_of_a_download_is_noted_when_the_database_is_back(cast: Any, api: Any, monkeypatch: Any) -> None:
    make_photos(cast.library, 1)
    alice = api(cast.alice)
    address = finish(alice)["download"]
    answer = alice.get(address)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise InterfaceError("connection already closed")

    with monkeypatch.context() as away:
        away.setattr(ExportDownload.objects.get_queryset().__class__, "update", fail)
        assert body_of(answer)
    assert ExportDownload.objects.get().ended_at is None
    assert body_of(alice.get(address))
    assert not ExportDownload.objects.filter(ended_at=None).exists()


def test_an_export_of_before_there_was_an_end_is_kept(cast: Any, api: Any, settings: Any) -> None:
    make_photos(cast.library, 1)
    settings.EXPORT_DAYS = 0
    kept = finish(api(cast.alice))
    assert kept["expires_at"] is None
    settings.EXPORT_DAYS = 1
    Export.objects.update(completed_at=timezone.now() - timedelta(days=900))
    assert purge_exports() == 0
    assert api(cast.alice).get(kept["download"]).status_code == 200


def test_partial_folders_that_nobody_continues_are_deleted(cast: Any, api: Any) -> None:
    keys = [start(api(cast.alice), format=format)["id"] for format in ("json", "csv")]
    waits, cancelled = (Export.objects.get(pk=key) for key in keys)
    Operation.objects.filter(pk=cancelled.operation_id).update(state=State.CANCELLED, token=1)
    partials = [waits.parent_folder / f".partial-{key}-1" for key in (waits.pk, cancelled.pk, uuid4())]
    for folder in partials:
        (folder / "media").mkdir(parents=True)
    purge_exports()
    assert [folder.exists() for folder in partials] == [True, False, False]


def test_what_is_resumed_while_the_schedule_looks_keeps_its_folder(cast: Any, api: Any, monkeypatch: Any) -> None:
    export = Export.objects.get(pk=start(api(cast.alice))["id"])
    Operation.objects.filter(pk=export.operation_id).update(state=State.FAILED, token=2)
    first, second, third = (export.parent_folder / f".partial-{export.pk}-{token}" for token in (1, 2, 3))
    for folder in (first, second):
        (folder / "media").mkdir(parents=True)
    remove = tasks.remove_partials

    def after_the_next_run_took_it_over(*words: Any, **named: Any) -> None:
        if second.exists():
            second.rename(third)
        remove(*words, **named)

    monkeypatch.setattr(tasks, "remove_partials", after_the_next_run_took_it_over)
    purge_exports()
    assert [folder.exists() for folder in (first, second, third)] == [False, False, True]


def test_a_folder_that_two_delete_at_once_is_no_error(cast: Any, api: Any, monkeypatch: Any) -> None:
    export = Export.objects.get(pk=start(api(cast.alice))["id"])
    partials = [export.parent_folder / f".partial-{export.pk}-{name}" for name in ("1", "1-given-up")]
    for folder in partials:
        (folder / "media").mkdir(parents=True)
        (folder / "media/0.jpg").touch()
    for name in ("unlink", "rmdir"):
        delete = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *what, delete=delete, **where: [delete(*what, **where) for _ in range(2)])
    remove_partials(export, before=2)
    assert list(export.parent_folder.iterdir()) == []


@pytest.mark.promise("S3-X09")
def test_files_that_are_gone_are_said_and_the_export_can_be_deleted(cast: Any, api: Any) -> None:
    make_photos(cast.library, 2)
    alice = api(cast.alice)
    export = finish(alice)
    row = Export.objects.get()
    (row.folder / "photos.json").unlink()
    gone = alice.get(export["download"])
    assert gone.status_code == 404
    assert "export again" in gone.json()["detail"]
    assert alice.delete(f"{EXPORTS}{export['id']}/").status_code == 204
    assert not row.folder.exists()
    assert alice.delete(f"{EXPORTS}{export['id']}/").status_code == 404


@pytest.mark.parametrize("count", [2, 20])
def test_a_page_costs_one_query(cast: Any, api: Any, django_assert_num_queries: Any, count: int) -> None:
    for _ in range(count):
        operation = Operation.objects.create(owner=cast.alice, kind="export")
        Export.objects.create(user=cast.alice, library=cast.library, format="json", operation=operation)
    client = api(cast.alice)
    with django_assert_num_queries(1):
        assert len(client.get(EXPORTS).json()["results"]) == count


# -- destinations


def add(client: Any, folder: str = "backup", **body: Any) -> dict[str, Any]:
    response = client.post(DESTINATIONS, {"folder": folder, **body})
    assert response.status_code == 201, response.content
    return response.json()


def test_destinations_are_added_changed_and_forgotten(cast: Any, api: Any) -> None:
    alice = api(cast.alice)
    destination = add(alice, name="Disk")
    address = f"{DESTINATIONS}{destination['id']}/"
    assert alice.get(address).json() == destination
    assert alice.get(DESTINATIONS).json()["results"] == [destination]
    assert alice.patch(address, {"name": "USB", "template": "{year}/"}).json()["template"] == "{year}/"
    assert alice.patch(address, {"template": "{colour}/"}).status_code == 422
    assert alice.post(DESTINATIONS, {"folder": "backup"}).status_code == 422
    assert alice.post(DESTINATIONS, {"folder": "/etc"}).status_code == 422
    assert alice.post(DESTINATIONS, {}).status_code == 400
    bob = api(cast.bob)
    assert bob.get(DESTINATIONS).json()["results"] == []
    for verb in (bob.get, bob.patch, bob.delete):
        assert verb(address).status_code == 404
    for part in ("months/", "records/x/", "damage/"):
        assert bob.get(f"{address}{part}").status_code == 404
    assert bob.delete(f"{address}damage/").status_code == 404
    assert bob.post(f"{address}export/", {"library": str(cast.library.pk)}).status_code == 404
    path = ExportDestination.objects.get().path
    assert alice.delete(address).status_code == 204
    assert path.is_dir()


@pytest.mark.promise("S0-034", "S0-035", "S0-036", "S0-037", "S0-038", "S0-X03")
def test_records_and_months_tell_what_has_left(cast: Any, api: Any) -> None:
    may = [make_photo(cast.library, f"{number}.jpg") for number in range(2)]
    make_photo(cast.library, "lost.jpg", on_disk=False)
    june = make_photo(cast.library, "june.jpg", taken=datetime(2023, 6, 1, tzinfo=UTC))
    alice = api(cast.alice)
    address = f"{DESTINATIONS}{add(alice)['id']}/"
    assert alice.get(f"{address}months/").json() == {"results": []}
    started = alice.post(f"{address}export/", {"library": str(cast.library.pk)})
    assert started.status_code == 202
    assert alice.post(f"{address}export/", {"library": str(cast.library.pk)}).status_code == 409
    assert alice.delete(address).status_code == 409
    make_photo(cast.library, "april.jpg", taken=datetime(2022, 4, 1, tzinfo=UTC), on_disk=False)
    execute(started.json()["id"])
    months = alice.get(f"{address}months/").json()["results"]
    assert [tuple(month.values()) for month in months] == [
        (2024, 5, 2, 3, "partial"),
        (2023, 6, 1, 1, "complete"),
        (2022, 4, 0, 1, "notExported"),
    ]
    assert len(alice.get(f"{address}months/", {"year": 2023}).json()["results"]) == 1
    for year in ("x", "0", "0002023000000000000000000"):
        assert alice.get(f"{address}months/", {"year": year}).status_code == 400
    record = alice.get(f"{address}records/{june.pk}/").json()
    assert (record["exported"], record["status"], record["relPath"]) == (True, "done", "2023/06/")
    assert record["filename"] == "june.jpg"
    assert alice.get(f"{address}records/{may[0].pk}/?exported").json() == {"exported": True}
    assert alice.get(f"{address}records/ABC/L0/001/?exported").json() == {"exported": False}
    assert alice.get(f"{address}records/ABC/L0/001/").status_code == 404


def test_damage_of_the_records_is_told_and_dismissed(cast: Any, api: Any) -> None:
    make_photo(cast.library, "a.jpg")
    alice = api(cast.alice)
    address = f"{DESTINATIONS}{add(alice)['id']}/"
    whole = {"record_count": 0, "is_whole": True, "now": None, "before": [], "set_aside": []}
    assert alice.get(f"{address}damage/").json() == whole
    folder = ExportDestination.objects.get().records_folder
    folder.mkdir()
    (folder / LOG_NAME).write_bytes(b"garbage\n")
    found = alice.get(f"{address}damage/").json()["now"]
    assert (found["bad_lines"], found["missing_numbers"], len(found["problems"])) == (1, 0, 1)
    operation = alice.post(f"{address}export/", {"library": str(cast.library.pk)}).json()["id"]
    ended = execute(operation)
    assert ended.result["record_problems"] == found["problems"]
    after = alice.get(f"{address}damage/").json()
    assert (after["record_count"], after["is_whole"], after["now"]) == (1, False, None)
    assert after["before"] == [{**found, "found_at": after["before"][0]["found_at"]}]
    assert [name.partition("-2")[0] for name in after["set_aside"]] == [f"{LOG_NAME}.broken"]
    assert alice.delete(f"{address}damage/").status_code == 204
    assert alice.get(f"{address}damage/").json()["is_whole"]
    (folder / LOG_NAME).unlink()
    os.mkfifo(folder / LOG_NAME)
    for part in ("damage/", "months/", "records/x/"):
        refused = alice.get(f"{address}{part}")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:photolala:problem:records_unreadable")
        assert "pipe" in refused.json()["detail"]


def test_an_export_needs_a_library_that_one_may_see_and_a_folder_that_one_may_use(
    cast: Any, api: Any, settings: Any
) -> None:
    alice = api(cast.alice)
    address = f"{DESTINATIONS}{add(alice, str(cast.root.parent / 'disk'))['id']}/export/"
    foreign = make_library(cast.charlie, cast.root.parent / "foreign")
    assert alice.post(address, {"library": str(foreign.pk)}).status_code == 404
    assert alice.post(address, {}).status_code == 400
    settings.PHOTO_ROOTS = []  # the administrator thought again
    assert alice.post(address, {"library": str(cast.library.pk)}).status_code == 422


@pytest.mark.parametrize("linked", ["folder", "records_folder"])
def test_a_link_in_place_of_a_destination_or_of_its_records_shows_and_changes_nothing(
    cast: Any, api: Any, tmp_path: Path, linked: str
) -> None:
    alice = api(cast.alice)
    address = f"{DESTINATIONS}{add(alice)['id']}/"
    destination = ExportDestination.objects.get()
    theirs = tmp_path / "theirs"
    records = theirs / FOLDER_NAME
    records.mkdir(parents=True)
    (records / LOG_NAME).write_bytes(b"garbage\n")
    Ledger(records).close()  # notes the damage
    before = sorted(path.name for path in records.iterdir())
    if linked == "folder":
        destination.path.rmdir()
        destination.path.symlink_to(theirs)
    else:
        destination.records_folder.symlink_to(records)
    for path in ("damage/", "months/", "records/x/"):
        answer = alice.get(f"{address}{path}")
        assert (answer.status_code, "link" in answer.json()["detail"]) == (503, True)
    assert alice.delete(f"{address}damage/").status_code == 422
    ended = execute(start_verification(cast.alice, destination, repair=True).pk)
    assert ended is not None
    assert (ended.state, ended.error_code) == (State.FAILED, "destination")
    assert sorted(path.name for path in records.iterdir()) == before
