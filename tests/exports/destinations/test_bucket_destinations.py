"""Folder exports to a prefix of a bucket: each object whole, each record true, nothing of others touched, nothing sent twice."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Library
from catalog.roots import buckets
from exports.destinations.folders import add_destination, prefix_for_command
from exports.ledger.load import view_ledger
from exports.ledger.records import RecordStatus
from exports.ledger.store import Ledger, Place
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.sources.s3_bucket import refusal
from tests.factories import make_jpeg, make_photo

from .memory_bucket import Killed, MemoryBucket

OUTSIDE = "not free, or not among those"
PREFIX = "out/alice/"


@pytest.fixture
def destination(cast: Any, bucket: MemoryBucket, settings: Any) -> ExportDestination:
    settings.PHOTO_ROOTS = [*settings.PHOTO_ROOTS, "s3://photos/out"]
    return add_destination(cast.alice, "", "s3://photos/out/alice/", "{year}/{month}/")


@pytest.fixture
def photos(cast: Any) -> dict[str, bytes]:
    """Make four photos, of which one is sent in parts; return what each should be in the bucket."""
    files = {"a.jpg": b"first", "b.jpg": b"second", "sub/a.jpg": b"third", "long.jpg": bytes(range(256)) + b"end"}
    for day, (name, data) in enumerate(files.items()):
        make_photo(cast.library, name, data=data, taken=datetime(2024, 5, 20 - day, tzinfo=UTC))
    return {
        f"{PREFIX}2024/05/{name}": files[path]
        for name, path in {"a.jpg": "a.jpg", "b.jpg": "b.jpg", "a (1).jpg": "sub/a.jpg", "long.jpg": "long.jpg"}.items()
    }


def export(cast: Any, destination: ExportDestination) -> Operation:
    ended = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert ended is not None
    return ended


def counts(operation: Operation) -> dict[str, int]:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {name: operation.result[name] for name in ("copied", "skipped", "adopted", "failed")}


def copies(bucket: MemoryBucket) -> dict[str, bytes]:
    return {key: data for key, data in bucket.objects.items() if "/ExportRecords/" not in key}


def require_true_records(destination: ExportDestination, bucket: MemoryBucket) -> None:
    """Fail unless each record that is done tells of an object that is whole."""
    for record in view_ledger(destination.records_folder).state.sorted_records():
        if record.status is RecordStatus.DONE:
            data = bucket.objects[f"{PREFIX}{record.rel_path}{record.filename}"]
            assert hashlib.md5(data).hexdigest() == record.extra["photoMD5"]


def test_originals_become_objects_once_with_their_time_and_digest(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes]
) -> None:
    assert counts(export(cast, destination)) == {"copied": 4, "skipped": 0, "adopted": 0, "failed": 0}
    assert copies(bucket) == photos
    assert not bucket.uploads
    require_true_records(destination, bucket)
    taken = int(datetime(2024, 5, 20, tzinfo=UTC).timestamp())
    assert bucket.metadata[f"{PREFIX}2024/05/a.jpg"]["mtime"] == f"{taken}.000000000"
    assert counts(export(cast, destination)) == {"copied": 0, "skipped": 4, "adopted": 0, "failed": 0}
    assert {key: count for key, count in bucket.sent.items() if key in photos} == dict.fromkeys(photos, 1)


@pytest.mark.parametrize("has_kept", [True, False], ids=["published", "by another program"])
def test_records_in_the_prefix_are_adopted_when_the_server_has_none(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes], has_kept: bool
) -> None:
    export(cast, destination)
    records = f"{PREFIX}ExportRecords/export-records.json"
    if not has_kept:  # as a copy of a folder has them: all in the log
        with Ledger(destination.records_folder) as ledger:
            [first, *_] = ledger.records()
            line = (
                f'{{"op":"upsert","id":"{first.id}","record":{{"id":"{first.id}","year":2024,"month":5,'
                f'"relPath":"2024/05/","filename":"{first.filename}","status":"done"}}}}\n'
            )
        bucket.objects[records + "l"] = line.encode()
        del bucket.objects[records]
    kept = destination.records_folder
    destination.delete()
    again = add_destination(cast.alice, "again", "s3://photos/out/alice", "{year}/{month}/")
    assert again.records_folder != kept
    expected = (0, 4, 0) if has_kept else (0, 1, 3)
    result = counts(export(cast, again))
    assert (result["copied"], result["skipped"], result["adopted"]) == expected
    assert bucket.objects.get(records + "l", b"") == b""
    assert bucket.objects[records] == (again.records_folder / "export-records.json").read_bytes()
    assert copies(bucket) == photos


@pytest.mark.parametrize("name", ["export-records.json", "export-records.jsonl"])
def test_records_that_others_publish_during_an_export_are_not_lost(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    place = f"{PREFIX}ExportRecords/{name}"
    with Ledger(tmp_path) as ledger:
        ledger.mark_exported("first", Place(2020, 1, "2020/01/"), "first.jpg")
        bucket.objects[f"{PREFIX}ExportRecords/export-records.jsonl"] = (tmp_path / "export-records.jsonl").read_bytes()
        ledger.mark_exported("OTHER", Place(2020, 1, "2020/01/"), "other.jpg")
        log = (tmp_path / "export-records.jsonl").read_bytes()
    theirs = {"export-records.json": (tmp_path / "export-records.json").read_bytes(), "export-records.jsonl": log}[name]

    def fault(call: str) -> bool:
        if call == "create":
            bucket.objects[place] = theirs
        return False

    bucket.fault = fault
    result = export(cast, destination).result
    assert (result["copied"], result["record_problems"]) == (4, [])
    known = {record.id for record in view_ledger(destination.records_folder).state.sorted_records()}
    assert {"first", "OTHER"} < known
    published = bucket.objects[f"{PREFIX}ExportRecords/export-records.json"]
    assert published == (destination.records_folder / "export-records.json").read_bytes()
    assert bucket.objects[f"{PREFIX}ExportRecords/export-records.jsonl"] == b""


@pytest.mark.parametrize("is_after", [False, True], ids=["before the call", "after it"])
def test_killed_at_every_call_each_object_is_whole_and_sent_once(
    cast: Any,
    destination: ExportDestination,
    bucket: MemoryBucket,
    photos: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    is_after: bool,
) -> None:
    monkeypatch.setattr("exports.originals.folder_export.GROUP_FILES", 2)
    calls, is_dead, last = 0, False, 0
    write = Ledger._write

    def fault(name: str) -> bool:
        nonlocal calls, is_dead
        if is_dead:
            raise Killed
        calls += 1
        if calls < last:
            return False
        is_dead = True
        if is_after:
            return True  # the call is done, and then `fault` is called again
        raise Killed

    def dead_writes_nothing(ledger: Ledger, changes: Any) -> None:
        if is_dead:
            raise Killed
        write(ledger, changes)

    monkeypatch.setattr(Ledger, "_write", dead_writes_nothing)
    bucket.fault = fault
    operation = start_folder_export(cast.alice, cast.library, destination)
    while True:
        calls, is_dead, last = 0, False, last + 1
        try:
            ended = execute(operation.pk)
        except Killed:
            require_true_records(destination, bucket)
            assert all(photos[key] == data for key, data in copies(bucket).items())
            Operation.objects.filter(pk=operation.pk).update(lease_until=None, attempts=0)
            continue
        break
    assert last > 10
    assert ended is not None
    assert counts(ended)["failed"] == 0
    assert copies(bucket) == photos
    assert not bucket.uploads
    assert {key: bucket.sent[key] for key in photos} == dict.fromkeys(photos, 1)


@pytest.mark.parametrize(("lost", "number"), [("put", 3), ("complete", 1), ("part", 1)])
def test_an_answer_that_is_lost_sends_nothing_twice(
    cast: Any,
    destination: ExportDestination,
    bucket: MemoryBucket,
    photos: dict[str, bytes],
    lost: str,
    number: int,  # the first two objects only tell whether the server replaces any
) -> None:
    count = 0

    def fault(name: str) -> bool:
        nonlocal count
        count += name == lost
        return name == lost and count == number

    bucket.fault = fault
    assert counts(export(cast, destination)) == {"copied": 4, "skipped": 0, "adopted": 0, "failed": 0}
    assert copies(bucket) == photos
    assert all(bucket.sent[key] == 1 for key in photos)


@pytest.mark.parametrize("has_conditions", [True, False])
def test_an_object_of_somebody_else_is_never_replaced(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes], has_conditions: bool
) -> None:
    bucket.has_conditions = has_conditions
    foreign = {f"{PREFIX}2024/05/A.JPG": b"before", f"{PREFIX}2024/05/long.jpg": b"meanwhile"}
    bucket.objects[f"{PREFIX}2024/05/A.JPG"] = b"before"

    def fault(name: str) -> bool:
        if name == "create" or (name == "head" and not has_conditions):  # another program is quicker
            bucket.objects |= foreign
        return False

    bucket.fault = fault
    assert counts(export(cast, destination))["copied"] == 4
    found = copies(bucket)
    assert {key: found.get(key) for key in foreign} == foreign
    assert sorted(found.values()) == sorted([*foreign.values(), *photos.values()])
    assert not bucket.uploads


def test_a_server_that_keeps_other_bytes_is_found_out(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes]
) -> None:
    bucket.spoil = lambda data: data.replace(b"second", b"sec0nd")
    operation = export(cast, destination)
    assert counts(operation) == {"copied": 3, "skipped": 0, "adopted": 0, "failed": 1}
    assert "reads back differently" in operation.result["problems"][0]["reason"]
    assert f"{PREFIX}2024/05/b.jpg" not in bucket.objects
    bucket.spoil = lambda data: data
    assert counts(export(cast, destination))["copied"] == 1
    assert copies(bucket) == photos


def test_what_somebody_put_over_a_copy_at_once_is_not_deleted(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    make_photo(cast.library, "a.jpg", data=b"first")
    bucket.is_encrypted = True  # no ETag proves what is there, so it is looked at
    key = f"{PREFIX}2024/05/a.jpg"

    def fault(name: str) -> bool:
        if name == "head":
            bucket.objects[key], bucket.metadata[key] = b"of somebody else", {}
        return False

    bucket.fault = fault
    operation = export(cast, destination)
    assert counts(operation) == {"copied": 0, "skipped": 0, "adopted": 0, "failed": 1}
    assert "left as it is" in operation.result["problems"][0]["reason"]
    assert bucket.objects[key] == b"of somebody else"


def test_a_server_that_stops_ends_it_with_a_sentence_and_it_goes_on_later(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes]
) -> None:
    puts = 0

    def fault(name: str) -> bool:
        nonlocal puts
        puts += name in ("put", "create")
        if puts > 4:
            raise refusal("ServiceUnavailable", 503)
        return False

    bucket.fault = fault
    stopped = export(cast, destination)
    assert (stopped.state, stopped.error_code) == (State.FAILED, "destination")
    assert "overloaded or broken" in stopped.error
    require_true_records(destination, bucket)
    before = len(copies(bucket))
    assert 0 < before < 4
    bucket.fault = lambda name: False
    assert counts(export(cast, destination)) == {
        "copied": 4 - before, "skipped": before, "adopted": 0, "failed": 0,
    }  # fmt: skip
    assert copies(bucket) == photos


def test_bad_objects_are_found_and_copied_again_beside(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes]
) -> None:
    export(cast, destination)
    bucket.objects[f"{PREFIX}2024/05/a.jpg"] = b"fjrst"
    del bucket.objects[f"{PREFIX}2024/05/long.jpg"]
    found = execute(start_verification(cast.alice, destination, repair=False).pk)
    assert found is not None
    assert {name: found.result[name] for name in ("whole", "damaged", "missing")} == {
        "whole": 2, "damaged": 1, "missing": 1,
    }  # fmt: skip
    repaired = execute(start_verification(cast.alice, destination, repair=True).pk)
    assert repaired is not None
    assert (repaired.result["repaired"], repaired.result["failed"]) == (2, 0)
    assert copies(bucket) == {**photos, f"{PREFIX}2024/05/a.jpg": b"fjrst", f"{PREFIX}2024/05/a (2).jpg": b"first"}


def test_a_prefix_is_had_by_one_person_and_nobody_is_told_whose_it_is(
    cast: Any, destination: ExportDestination, settings: Any, api: Any
) -> None:
    settings.PHOTO_ROOTS = ["s3://photos/out", "s3://photos/{username}"]
    Library.objects.create(owner=cast.bob, name="His", root="s3://photos/out/bob", source="bucket")
    settings.CATALOG_COPIES = "s3://photos/out/copies"
    told = {}
    for name in ("out/alice", "out/alice/below", "out", "out/bob/x", "elsewhere", "alice", "out/copies/catalogs"):
        with pytest.raises(ExportRefused, match=OUTSIDE) as refused:
            add_destination(cast.charlie, "", f"s3://photos/{name}", "{year}/")
        told[name] = str(refused.value)
    assert len(set(told.values())) == 1
    with pytest.raises(ExportRefused, match="overlaps with your destination"):
        add_destination(cast.alice, "", "s3://photos/out/alice/below", "{year}/")
    with pytest.raises(ExportRefused, match=OUTSIDE):
        prefix_for_command(cast.charlie, "s3://photos/out/bob")
    answer = api(cast.charlie).post("/api/v1/export-destinations/", {"folder": "s3://photos/out/new"}, format="json")
    assert (answer.status_code, answer.json()["folder"]) == (201, "s3://photos/out/new")
    assert api(cast.charlie).get(f"/api/v1/export-destinations/{destination.pk}/").status_code == 404


def test_a_prefix_that_cannot_be_written_to_is_refused(cast: Any, bucket: MemoryBucket, settings: Any) -> None:
    settings.PHOTO_ROOTS = ["s3://photos/out"]

    def fault(name: str) -> bool:
        if name == "put":
            raise refusal("AccessDenied", 403)
        return False

    bucket.fault = fault
    with pytest.raises(ExportRefused, match="cannot write to s3://photos/out/alice"):
        add_destination(cast.alice, "", "s3://photos/out/alice", "{year}/")
    assert not ExportDestination.objects.exists()


def test_keys_that_may_not_delete_are_enough(
    cast: Any, destination: ExportDestination, bucket: MemoryBucket, photos: dict[str, bytes]
) -> None:
    def fault(name: str) -> bool:
        if name == "delete":
            raise refusal("AccessDenied", 403)
        return False

    bucket.fault = fault
    foreign = f"{PREFIX}2024/05/long.jpg"
    for _ in range(2):  # what tells whether the server replaces objects is still there the second time
        bucket.objects[foreign] = b"of somebody else"
        assert counts(export(cast, destination))["failed"] == 0
        assert bucket.objects.pop(foreign) == b"of somebody else"
    assert bucket.objects[f"{PREFIX}2024/05/long (1).jpg"] == photos[foreign]


@pytest.mark.servers
def test_the_same_with_a_real_server(cast: Any, settings: Any, s3_settings: None, s3_bucket: str) -> None:
    settings.PHOTO_ROOTS = [*settings.PHOTO_ROOTS, f"s3://{s3_bucket}"]
    destination = add_destination(cast.alice, "", f"s3://{s3_bucket}/out ü", "{year}/{month}/")
    large = make_jpeg() + bytes(17 << 20)
    expected = {}
    for name, data in {"a\n b.jpg": b"first", "large.jpg": large}.items():
        make_photo(cast.library, name, data=data)
        expected[f"out ü/2024/05/{name}"] = data
    assert counts(export(cast, destination))["copied"] == 2
    client = buckets.bucket_client()
    found = client.list_objects_v2(Bucket=s3_bucket, Prefix="out ü/2")["Contents"]
    assert {one["Key"]: client.get_object(Bucket=s3_bucket, Key=one["Key"])["Body"].read() for one in found} == expected
    assert counts(export(cast, destination))["skipped"] == 2
    ExportDestination.objects.all().delete()
    again = add_destination(cast.alice, "", f"s3://{s3_bucket}/out ü", "{year}/{month}/")
    assert counts(export(cast, again))["skipped"] == 2
    checked = execute(start_verification(cast.alice, again, repair=False).pk)
    assert checked is not None
    assert (checked.result["whole"], checked.result["failed"]) == (2, 0)
