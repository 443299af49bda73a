"""Backups in a bucket: whole at any moment, each content sent once, verified, thinned out, found again and restored."""

import io
import json
from datetime import timedelta
from hashlib import md5
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.albums import media, notes
from catalog.models import Media, Note
from catalog.roots import buckets
from exports.backup.encryption import make_key
from exports.backup.finding import NOT_VERIFIED
from exports.backup.folder import BackupFolder
from exports.backup.places import place_of
from exports.backup.requests import delete_backup, start_backup, start_finding, start_verification
from exports.backup.retention import Keep
from exports.backup.schedule import Where, set_schedule, start_due, thin_out
from exports.bundle.verify import verify
from exports.destinations.bucket_backups import BucketBackups, open_bucket_bundle
from exports.destinations.changing import forget_destination
from exports.destinations.folders import add_destination
from exports.formats.sink import give_up_partial
from exports.models import Backup, BackupSchedule, ExportDestination, Restore
from exports.refusals import ExportRefused
from exports.restore.requests import confirm, start_of_backup
from operations.models import Operation, State
from operations.running import LeaseLost, claim, execute
from tests.catalog.sources.s3_bucket import refusal
from tests.exports.destinations.memory_bucket import Killed, MemoryBucket

from .conftest import FILM, PICTURE, World, backed_up, run

PREFIX = "out/alice/Backups/"
POOL = f"{PREFIX}media/"


@pytest.fixture
def destination(world: World, bucket: MemoryBucket, settings: Any) -> ExportDestination:
    settings.PHOTO_ROOTS = [*settings.PHOTO_ROOTS, "s3://photos/out"]
    return add_destination(world.cast.alice, "", "s3://photos/out/alice", "{year}/{month}/")


def below(bucket: MemoryBucket, backup: Backup) -> dict[str, bytes]:
    """Return the objects of one backup, without the pool."""
    begin = f"{PREFIX}{backup.name}/"
    return {key.removeprefix(begin): data for key, data in bucket.objects.items() if key.startswith(begin)}


def pool(bucket: MemoryBucket) -> dict[str, bytes]:
    return {key.removeprefix(POOL): data for key, data in bucket.objects.items() if key.startswith(POOL)}


def test_it_has_what_one_on_the_disk_has_and_each_content_is_sent_once(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    alice = world.cast.alice
    first = backed_up(alice, destination=destination)
    here = backed_up(alice)
    assert pool(bucket) == {world.picture.md5: PICTURE, world.film.md5: FILM}
    names = {path.name for path in here.path.iterdir()} - {"media"}
    assert set(below(bucket, first)) == names
    for name in names - {"manifest.json", "metadata.json"}:
        assert below(bucket, first)[name] == (here.path / name).read_bytes()
    assert (first.verified_at is not None, first.media_count, first.problem) == (True, 2, "")
    assert not [path for path in first.parent_folder.iterdir() if path.name.startswith(".")]
    second = backed_up(alice, destination=destination)
    assert [count for key, count in bucket.sent.items() if key.startswith(POOL)] == [1, 1]
    assert set(below(bucket, second)) == names


def test_attached_files_that_are_there_are_not_even_read(
    world: World, destination: ExportDestination, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(world.cast.alice, destination=destination)
    monkeypatch.setattr("exports.backup.run.opened_media", lambda media: pytest.fail("read again"))
    second = backed_up(world.cast.alice, destination=destination)
    assert (second.media_count, second.issue_count) == (2, 0)


def is_whole(backup: Backup) -> bool:
    with open_bucket_bundle(f"s3://photos/{PREFIX}{backup.name}") as files:
        return not verify(files).problems


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_any_call_it_is_a_whole_backup_or_none_and_sends_nothing_twice(
    world: World, destination: ExportDestination, bucket: MemoryBucket, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.cast.alice
    earlier = backed_up(alice, destination=destination)
    before = below(bucket, earlier)
    third = media.keep(alice, io.BytesIO(b"a third film").read, "video/mp4")
    notes.create(alice, uuid4(), {"content": "new", "attachments": [{"media_md5": third.md5, "name": "c.mp4"}]})
    calls, is_dead, last = 0, False, 0

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

    monkeypatch.setattr(BackupFolder, "give_up", lambda self: None if is_dead else give_up_partial(self.folder))
    backup = start_backup(alice, destination=destination)
    bucket.fault = fault
    while True:
        calls, is_dead, last = 0, False, last + 2
        try:
            ended = execute(backup.operation_id)
        except Killed:
            bucket.fault = lambda name: False
            assert below(bucket, earlier) == before
            assert "manifest.json" not in below(bucket, backup) or is_whole(backup)
            bucket.fault = fault
            Operation.objects.filter(pk=backup.operation_id).update(lease_until=None, attempts=0)
            continue
        break
    bucket.fault = lambda name: False
    assert last > 10
    assert ended is not None
    assert ended.state == State.COMPLETED
    assert is_whole(backup)
    assert {key: sent for key, sent in bucket.sent.items() if key.startswith(POOL)} == {
        f"{POOL}{one.md5}": 1 for one in (world.picture, world.film, third)
    }
    assert [path for path in backup.parent_folder.iterdir() if path.name.startswith(".")] == []
    assert not [key for key in bucket.objects if key.endswith(".unfinished")]


def test_a_run_that_was_frozen_sends_nothing(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    backup = start_backup(world.cast.alice, destination=destination)
    frozen = claim(backup.operation_id)
    assert frozen is not None
    frozen.end_heartbeat()

    def require_mine() -> None:
        if not frozen.still_mine():
            raise LeaseLost

    late = place_of(backup, require_mine).new_folder(frozen.token, lambda: None)
    late.begin()
    Operation.objects.filter(pk=backup.operation_id).update(lease_until=None)
    assert run(backup).state == State.COMPLETED
    before = dict(bucket.objects)
    late.folder.mkdir()
    with pytest.raises(LeaseLost):
        late.copy_media("2024/x.jpg", md5(b"late").hexdigest(), [b"late"])
    with pytest.raises(LeaseLost):
        late.publish(backup.path)
    assert bucket.objects == before


def test_damage_is_found_and_the_next_one_sends_the_content_again(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    first = backed_up(world.cast.alice, destination=destination)
    bucket.objects[POOL + world.film.md5] = FILM[::-1]
    execute(start_verification(first).pk)
    first.refresh_from_db()
    assert first.verified_at is None
    assert "its bytes are not those that were written" in first.problem
    second = backed_up(world.cast.alice, destination=destination)
    assert (second.problem, pool(bucket)[world.film.md5]) == ("", FILM)
    execute(start_verification(first).pk)
    first.refresh_from_db()
    assert (first.verified_at is not None, first.problem) == (True, "")


def test_where_the_server_tells_no_md5_media_are_read(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    first = backed_up(world.cast.alice, destination=destination)
    key = POOL + world.film.md5
    bucket.etags[key] = "0123456789abcdef0123456789abcdef-1"
    bucket.objects[key] = FILM[::-1]
    second = backed_up(world.cast.alice, destination=destination)
    assert pool(bucket)[world.film.md5] == FILM
    assert second.verified_at is not None
    assert first.verified_at is not None


def test_an_etag_that_only_looks_like_an_md5_is_none(
    world: World, destination: ExportDestination, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of objects that are encrypted with a service's key, which a list of them does not say."""
    plain, bucket.is_encrypted = bucket.facts, True
    monkeypatch.setattr(bucket, "facts", lambda key: {**plain(key), "ETag": f'"{md5(key.encode()).hexdigest()}"'})
    for _ in range(2):
        backup = backed_up(world.cast.alice, destination=destination)
        assert (backup.problem, backup.media_count, backup.verified_at is not None) == ("", 2, True)
    assert [count for key, count in bucket.sent.items() if key.startswith(POOL)] == [1, 1]
    bucket.objects[POOL + world.film.md5] = FILM[::-1]
    execute(start_verification(backup).pk)
    assert "its bytes are not those that were written" in Backup.objects.get(pk=backup.pk).problem


def test_encrypted_it_is_one_object_that_the_passphrase_opens(
    world: World, destination: ExportDestination, bucket: MemoryBucket, tmp_path: Path
) -> None:
    key = make_key("a long passphrase")
    backup = backed_up(world.cast.alice, destination=destination, recipient=key.recipient, key_file=key.key_file)
    assert set(bucket.objects) - {"out/alice/ExportRecords/.photolala-probe"} == {
        f"{PREFIX}{backup.name}.zip.age",
        f"{PREFIX}{backup.name}.key.age",
    }
    assert not bucket.uploads
    assert list(backup.parent_folder.iterdir()) == []
    Backup.objects.all().delete()
    execute(start_finding(world.cast.alice, destination).pk)
    found = Backup.objects.get(pk=backup.pk)
    assert (found.key_file, found.size_bytes, found.is_encrypted) == (key.key_file, backup.size_bytes, True)
    execute(start_verification(found).pk)
    found.refresh_from_db()
    assert found.verified_at is not None
    phrase = tmp_path / "phrase"
    phrase.write_text("a long passphrase\n")
    address = f"s3://photos/{PREFIX}{backup.name}.zip.age"
    call_command("backup", "--verify", address, "--passphrase-file", str(phrase), stdout=StringIO())
    out = StringIO()
    words = ("restore", address, "--user", "alice", "--mode", "merge", "--dry-run", "--json")
    call_command(*words, "--passphrase-file", str(phrase), stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1])["differences"] == 0
    data = bucket.objects[f"{PREFIX}{backup.name}.zip.age"]
    bucket.objects[f"{PREFIX}{backup.name}.zip.age"] = data[:-1] + b"x"
    execute(start_verification(found).pk)
    found.refresh_from_db()
    assert found.verified_at is None


def test_an_empty_server_finds_it_verifies_it_and_gets_everything_back(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    alice = world.cast.alice
    first = backed_up(alice, destination=destination)
    contents = sorted(Note.objects.filter(owner=alice, trashed_at=None).values_list("content", flat=True))
    Note.objects.filter(owner=alice).delete()
    for one in Media.objects.filter(owner=alice):
        media.storage().delete(media.name_of(alice.pk, one.md5))
    Media.objects.filter(owner=alice).delete()
    Backup.objects.all().delete()
    operation = execute(start_finding(alice, destination).pk)
    assert operation is not None
    assert (operation.state, operation.result["added"]) == (State.COMPLETED, 1)
    found = Backup.objects.get()
    assert (found.pk, found.created_at, found.note_count) == (first.pk, first.created_at.replace(microsecond=0), 1)
    assert (found.verified_at, found.problem, found.is_scheduled) == (None, NOT_VERIFIED, False)
    execute(start_verification(found).pk)
    found.refresh_from_db()
    assert found.verified_at is not None
    restore = start_of_backup(alice, found, "merge")
    execute(restore.operation_id)
    confirm(Restore.objects.get(pk=restore.pk))
    execute(Restore.objects.get(pk=restore.pk).operation_id)
    assert Restore.objects.get(pk=restore.pk).completed_at is not None
    assert sorted(Note.objects.filter(owner=alice).values_list("content", flat=True)) == contents
    kept = Media.objects.get(owner=alice, md5=world.picture.md5)
    with media.opened(kept)[0] as file:
        assert file.read() == PICTURE
    again = execute(start_finding(alice, destination).pk)
    assert again is not None
    assert again.result["added"] == 0


def test_what_nobody_needs_any_more_goes_after_a_day_and_never_while_a_backup_cannot_be_read(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    first = backed_up(world.cast.alice, destination=destination)
    second = backed_up(world.cast.alice, destination=destination)
    third = backed_up(world.cast.alice, destination=destination)
    stray = "0" * 32
    old = timezone.now() - timedelta(days=2)
    bucket.modified[POOL + world.picture.md5] = timezone.now()
    for name in (stray, "no md5", world.film.md5):
        bucket.objects.setdefault(POOL + name, b"?")
        bucket.modified[POOL + name] = old
    bucket.objects[POOL + "1" * 32] = b"new"
    bucket.modified[POOL + "1" * 32] = timezone.now()
    manifest = f"{PREFIX}{third.name}/media_manifest.json"
    kept, bucket.objects[manifest] = bucket.objects[manifest], b"{"
    delete_backup(first)
    assert below(bucket, first) == {}
    assert stray in pool(bucket)
    bucket.objects[manifest] = kept
    delete_backup(second)
    assert set(pool(bucket)) == {"no md5", "1" * 32, world.film.md5, world.picture.md5}
    assert is_whole(third)
    delete_backup(third)
    assert set(pool(bucket)) == {"no md5", "1" * 32, world.picture.md5}, "the picture is not a day old"


def test_a_backup_that_begins_while_it_is_swept_keeps_what_it_needs(
    world: World, destination: ExportDestination, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backed_up(world.cast.alice, destination=destination)
    for one in (world.film, world.picture):
        bucket.modified[POOL + one.md5] = timezone.now() - timedelta(days=2)
    made, found = [], BucketBackups.found

    def found_late(backups: BucketBackups, listed: Any) -> Any:
        monkeypatch.setattr(BucketBackups, "found", found)
        there = found(backups, listed)
        made.append(backed_up(world.cast.alice, destination=destination))
        return there

    monkeypatch.setattr(BucketBackups, "found", found_late)
    delete_backup(first)
    assert [is_whole(backup) for backup in made] == [True]
    delete_backup(made[0])
    assert pool(bucket) == {}


def test_what_another_server_makes_there_loses_nothing_and_is_never_thinned_out(
    world: World, destination: ExportDestination, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other server has a database of its own, so nothing but the bucket tells of it."""
    alice = world.cast.alice
    theirs = backed_up(alice, destination=destination, is_scheduled=True)
    made = start_backup(alice, destination=destination)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(BackupFolder, "give_up", lambda self: None)
        patch.setattr("exports.backup.bucket.BucketBackupFolder.publish", Mock(side_effect=Killed))
        execute(made.operation_id)
    mark = f"{PREFIX}{made.name}.unfinished"
    assert mark in bucket.objects
    bucket.modified[mark] = timezone.now()
    Operation.objects.all().delete()
    Backup.objects.all().delete()
    execute(start_finding(alice, destination).pk)
    found = Backup.objects.get()
    assert (found.pk, found.was_found) == (theirs.pk, True)

    set_schedule(alice, "person", every_days=1, keep=Keep(1, 0, 0), place=Where(destination))
    own = [backed_up(alice, destination=destination, is_scheduled=True) for _ in range(2)]
    assert thin_out(alice, "person") == 1
    assert set(Backup.objects.values_list("pk", flat=True)) == {theirs.pk, own[1].pk}
    assert is_whole(found)

    old = timezone.now() - timedelta(days=2)
    for one in (world.film, world.picture):
        bucket.modified[POOL + one.md5] = old
    copy = {
        key.replace(str(theirs.pk), str(uuid4())): bucket.objects[key] for key in bucket.objects if theirs.name in key
    }
    for backup in (own[1], found):
        delete_backup(backup)
    assert set(pool(bucket)) == {world.film.md5, world.picture.md5}, "the one that is being made may rely on them"
    bucket.modified[mark] = old
    stray = backed_up(alice, destination=destination)
    for one in (world.film, world.picture):
        bucket.modified[POOL + one.md5] = old
    found_there = BucketBackups.found

    def finished_meanwhile(backups: BucketBackups, listed: Any = None) -> Any:
        monkeypatch.setattr(BucketBackups, "found", found_there)
        there = found_there(backups, listed)
        bucket.objects.update(copy)
        return there

    monkeypatch.setattr(BucketBackups, "found", finished_meanwhile)
    delete_backup(stray)
    assert set(pool(bucket)) == {world.film.md5, world.picture.md5}, "one that was finished meanwhile has them"
    for key in copy:
        del bucket.objects[key]
    delete_backup(backed_up(alice, destination=destination))
    for one in (world.film, world.picture):
        bucket.modified[POOL + one.md5] = old
    delete_backup(backed_up(alice, destination=destination))
    assert pool(bucket) == {}


@pytest.mark.parametrize("count", [-1, 1 << 31, 1 << 70])
def test_one_that_says_strange_things_keeps_no_other_from_being_found(
    world: World, destination: ExportDestination, bucket: MemoryBucket, count: int
) -> None:
    backups = [backed_up(world.cast.alice, destination=destination) for _ in range(2)]
    path = f"{PREFIX}{backups[1].name}/metadata.json"
    told = json.loads(bucket.objects[path])
    told["stats"]["noteCount"] = count
    bucket.objects[path] = json.dumps(told).encode()
    Backup.objects.all().delete()
    operation = execute(start_finding(world.cast.alice, destination).pk)
    assert operation is not None
    assert (operation.state, operation.result["added"]) == (State.COMPLETED, 2)


def test_a_schedule_makes_them_there_and_thins_out_each_place(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    alice = world.cast.alice
    here = backed_up(alice, is_scheduled=True)
    set_schedule(alice, "person", every_days=1, keep=Keep(1, 0, 0), place=Where(destination))
    made = []
    for day in range(3):
        now = timezone.now() + timedelta(days=day)
        BackupSchedule.objects.update(started_at=None)
        assert start_due(now) == 1
        made.append(Backup.objects.filter(destination=destination).latest("created_at"))
        run(made[-1])
        Backup.objects.filter(pk=made[-1].pk).update(created_at=made[-1].created_at)
    assert thin_out(alice, "person") == 2
    assert set(Backup.objects.values_list("pk", flat=True)) == {here.pk, made[-1].pk}
    assert [bool(below(bucket, one)) for one in made] == [False, False, True]
    with pytest.raises(ExportRefused, match="Backups are made there on a schedule"):
        forget_destination(destination)
    set_schedule(alice, "person", every_days=1, place=Where(None))
    forget_destination(destination)
    assert Backup.objects.get(pk=made[-1].pk).address == f"s3://photos/{PREFIX}{made[-1].name}"
    assert bool(below(bucket, made[-1]))


def test_a_failed_one_leaves_nothing_on_the_server_and_says_where_it_could_not_be_written(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    backup = start_backup(world.cast.alice, destination=destination)

    def refuse(name: str) -> bool:
        if name == "put":
            raise refusal("AccessDenied", 403)
        return False

    bucket.fault = refuse
    operation = run(backup)
    assert operation.state == State.FAILED
    assert "could not be written to s3://photos/out/alice/Backups (Photolala may not write" in operation.error
    assert list(backup.parent_folder.iterdir()) == []


def test_only_ones_own_bucket_and_only_while_one_may_have_it(
    world: World, destination: ExportDestination, bucket: MemoryBucket, settings: Any, tmp_path: Path
) -> None:
    alice = world.cast.alice
    folder = add_destination(alice, "", "Kept here", "{year}/")
    with pytest.raises(ExportRefused, match="this one is a folder"):
        start_backup(alice, destination=folder)
    backup = backed_up(alice, destination=destination)
    forget_destination(destination)
    backup.refresh_from_db()
    for refused in (lambda: start_verification(backup), lambda: start_of_backup(alice, backup, "merge")):
        with pytest.raises(ExportRefused):
            refused()
    objects = dict(bucket.objects)
    delete_backup(backup)
    assert bucket.objects == objects, "it is only taken off the list"
    settings.PHOTO_ROOTS = [str(tmp_path / "allowed")]
    gone = ExportDestination.objects.create(owner=alice, name="x", folder="s3://photos/out/alice")
    with pytest.raises(ExportRefused, match="not free, or not among those"):
        start_backup(alice, destination=gone)


def test_the_backup_of_a_server_is_listed_for_administrators_alone(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    alice = world.cast.alice
    alice.is_superuser = True
    alice.save()
    backed_up(alice, "server", destination=destination)
    Backup.objects.all().delete()
    alice.is_superuser = False
    alice.save()
    operation = execute(start_finding(alice, destination).pk)
    assert operation is not None
    assert (operation.result["found"], operation.result["added"]) == (1, 0)
    assert not Backup.objects.exists()


def test_the_command_makes_lists_verifies_and_restores_them(
    world: World, destination: ExportDestination, bucket: MemoryBucket
) -> None:
    call_command("backup", "--user", "alice", "--output", "s3://photos/out/alice/", stdout=StringIO())
    made = Backup.objects.get()
    out = StringIO()
    call_command("backup", "--list", "s3://photos/out/alice", stdout=out)
    assert out.getvalue().split()[0] == f"s3://photos/{PREFIX}{made.name}"
    call_command("backup", "--verify", made.address, stdout=StringIO())
    out = StringIO()
    call_command("restore", made.address, "--user", "alice", "--mode", "merge", "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue().splitlines()[-1])["differences"] == 0
    bucket.objects[f"{PREFIX}{made.name}/notes.json"] += b" "
    with pytest.raises(SystemExit):
        call_command("backup", "--verify", made.address, stdout=StringIO())
    made.refresh_from_db()
    assert made.verified_at is None
    for wrong in ("s3://photos/out/alice/Backups/backup_x", "s3://photos/elsewhere"):
        with pytest.raises(CommandError):
            call_command("backup", "--verify", wrong, stdout=StringIO())


def test_api_and_page(
    world: World, destination: ExportDestination, bucket: MemoryBucket, api: Any, browser: Any
) -> None:
    alice, charlie = api(world.cast.alice), api(world.cast.charlie)
    key = str(destination.pk)
    assert charlie.post("/api/v1/backups/", {"destination": key}, format="json").status_code == 404
    assert charlie.post(f"/api/v1/export-destinations/{key}/find-backups/").status_code == 404
    made = alice.post("/api/v1/backups/", {"destination": key}, format="json")
    assert (made.status_code, made.json()["destination"]) == (202, key)
    backup = Backup.objects.get()
    run(backup)
    told = alice.get(f"/api/v1/backups/{backup.pk}/").json()
    assert (told["status"], told["address"], told["download"]) == ("completed", backup.address, None)
    assert alice.get(f"/api/v1/backups/{backup.pk}/download/").status_code == 409
    body = {"every_days": 7, "destination": key}
    assert alice.put("/api/v1/backups/schedule/", body, format="json").json()["destination"] == key
    assert alice.put("/api/v1/backups/schedule/", {"every_days": 1}, format="json").json()["destination"] == key
    assert charlie.put("/api/v1/backups/schedule/", body, format="json").status_code == 404
    page = browser(world.cast.alice)
    shown = page.get("/backups/").content.decode()
    assert "s3://photos/out/alice/Backups" in shown
    assert f"?kept={backup.pk}" in shown
    assert "could not begin" not in browser(world.cast.bob).get("/backups/").content.decode(), "he has no schedule"
    assert page.post("/backups/start/", {"scope": "person", "destination": key}).status_code == 302
    assert Backup.objects.filter(destination=destination).count() == 2
    assert page.post("/backups/find/", {"destination": key}).status_code == 302
    assert browser(world.cast.charlie).post("/backups/find/", {"destination": key}).status_code == 404
    found = alice.post(f"/api/v1/export-destinations/{key}/find-backups/")
    assert found.status_code == 409, "it is being looked at"
    assert str(backup.pk) in page.get("/restores/").content.decode()
    assert alice.delete(f"/api/v1/export-destinations/{key}/").status_code == 409


@pytest.mark.servers
def test_the_same_with_a_real_server(world: World, settings: Any, s3_settings: None, s3_bucket: str) -> None:
    alice = world.cast.alice
    settings.PHOTO_ROOTS = [*settings.PHOTO_ROOTS, f"s3://{s3_bucket}"]
    destination = add_destination(alice, "", f"s3://{s3_bucket}/out ü", "{year}/")
    long = media.keep(alice, io.BytesIO(b"in parts" * (3 << 20)).read, "video/mp4")
    notes.create(alice, uuid4(), {"content": "long", "attachments": [{"media_md5": long.md5, "name": "c.mp4"}]})
    client = buckets.bucket_client()

    def sent() -> dict[str, Any]:
        found = client.list_objects_v2(Bucket=s3_bucket, Prefix="out ü/Backups/media/")["Contents"]
        return {one["Key"].rpartition("/")[2]: one["LastModified"] for one in found}

    first = backed_up(alice, destination=destination)
    before = sent()
    assert set(before) == {world.picture.md5, world.film.md5, long.md5}
    key = make_key("a long passphrase")
    locked = backed_up(alice, destination=destination, recipient=key.recipient, key_file=key.key_file)
    second = backed_up(alice, destination=destination)
    assert sent() == before, "nothing is sent twice"
    Note.objects.filter(owner=alice).delete()
    Media.objects.filter(owner=alice).delete()
    Backup.objects.all().delete()
    operation = execute(start_finding(alice, destination).pk)
    assert operation is not None
    assert operation.result["added"] == 3
    for found in Backup.objects.all():
        execute(start_verification(found).pk)
    assert set(Backup.objects.exclude(verified_at=None).values_list("pk", flat=True)) == {
        first.pk,
        locked.pk,
        second.pk,
    }
    restore = start_of_backup(alice, Backup.objects.get(pk=second.pk), "merge")
    execute(restore.operation_id)
    confirm(Restore.objects.get(pk=restore.pk))
    execute(Restore.objects.get(pk=restore.pk).operation_id)
    assert Restore.objects.get(pk=restore.pk).completed_at is not None
    with media.opened(Media.objects.get(owner=alice, md5=long.md5))[0] as file:
        assert file.read() == b"in parts" * (3 << 20)
    for found in Backup.objects.all():
        delete_backup(found)
    left = client.list_objects_v2(Bucket=s3_bucket, Prefix="out ü/Backups/")["Contents"]
    assert {one["Key"].rpartition("/")[2] for one in left} == set(before), "they are not a day old"


def test_a_backup_that_takes_days_is_marked_as_unfinished_all_the_time(
    world: World, destination: ExportDestination, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.backup.bucket.MARKED_FOR_SECONDS", 0)
    was_marked: list[bool] = []
    made = start_backup(world.cast.alice, destination=destination)
    mark = f"{PREFIX}{made.name}.unfinished"

    def look(name: str) -> bool:
        if bucket.sent[mark]:
            was_marked.append(mark in bucket.objects)
        return False

    bucket.fault = look
    assert execute(made.operation_id).state == State.COMPLETED  # type: ignore[union-attr, arg-type]
    assert bucket.sent[mark] >= 3, "at its beginning, and before each of the two attached files"
    assert all(was_marked)
    assert mark not in bucket.objects
