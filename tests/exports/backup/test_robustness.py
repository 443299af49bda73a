"""Backups that meet trouble: killed anywhere, a full disk, files that are gone or damaged, two at once."""

import errno
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from catalog.albums import media
from exports.backup import folder as folder_module
from exports.backup import run as run_module
from exports.backup.folder import BackupFolder
from exports.backup.packing import Packed
from exports.backup.requests import delete_backup, start_backup, start_backup_to, start_verification
from exports.backup.verify import scratch_folder, verify_backup
from exports.bundle.files import open_bundle
from exports.bundle.layout import LIST_FILES
from exports.bundle.verify import verify
from exports.models import Backup
from exports.refusals import ExportRefused
from operations.models import Operation, State
from operations.running import AlreadyActive, claim, execute
from tests.factories import make_user

from .conftest import FILM, PICTURE, World, backed_up, read, run


class Killed(SystemExit):
    """The process ends here; nothing cleans up."""


def killed_at(backup: Backup, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the backup to where it is about to do the named step for the last time, and end the process there."""
    owner = {"Packed.publish": Packed, "_note": run_module.BackupRun, "_verify": run_module.BackupRun}.get(
        step, BackupFolder
    )
    name = step.rpartition(".")[2]
    real = getattr(owner, name)
    calls = []

    def kill(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == {"write_list": 3, "copy_media": 2}.get(name, 1):
            raise Killed
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        patch.setattr(BackupFolder, "give_up", lambda self: None)
        with pytest.raises(Killed):
            execute(backup.operation_id)


def whole(backup: Backup) -> bool:
    """Tell whether a backup in a folder is whole."""
    with open_bundle(backup.path, scratch_folder()) as files:
        return not verify(files).problems


STEPS = ["begin", "write_list", "reuse_media", "copy_media", "finish", "_note", "publish", "_verify"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_it_continues_and_the_earlier_one_is_whole(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = backed_up(world.cast.alice)
    Backup.objects.filter(pk=earlier.pk).update(completed_at=None)  # nothing to link: all is copied
    backup = start_backup(world.cast.alice)
    killed_at(backup, step, monkeypatch)
    if step != "_verify":
        assert not backup.path.exists(), "nothing partial has the name of a backup"
    copied: list[str] = []
    real = BackupFolder.copy_media
    monkeypatch.setattr(
        BackupFolder, "copy_media", lambda self, path, *rest: (copied.append(path), real(self, path, *rest))
    )
    operation = run(backup)
    assert (operation.state, operation.error) == (State.COMPLETED, "")
    assert whole(backup)
    assert whole(earlier)
    assert len(copied) == {"finish": 0, "_note": 0, "publish": 0, "_verify": 0, "copy_media": 1}.get(step, 2)
    assert [path.name for path in backup.parent_folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", ["Packed.publish", "_verify"])
def test_a_zip_that_is_killed_continues(
    world: World, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    backup = start_backup_to(target, world.cast.alice, is_zip=True)
    killed_at(backup, step, monkeypatch)
    assert run(backup).state == State.COMPLETED
    with zipfile.ZipFile(backup.path) as archive:
        assert archive.testzip() is None
    assert whole(backup)
    assert sorted(path.name for path in target.iterdir()) == [f"{backup.name}.zip"]


def test_a_run_that_was_frozen_publishes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = start_backup(world.cast.alice)
    frozen = claim(backup.operation_id)
    assert frozen is not None
    late = BackupFolder(backup.parent_folder, str(backup.pk), frozen.token, on_chunk=lambda: None)
    late.begin()
    frozen.end_heartbeat()
    Operation.objects.filter(pk=backup.operation_id).update(lease_until=None)
    assert run(backup).state == State.COMPLETED
    with pytest.raises(FileNotFoundError):
        late.copy_media("2024/x.jpg", world.picture.md5, [PICTURE])
    with pytest.raises(FileNotFoundError):
        late.publish(backup.path)
    assert whole(backup)


def test_more_files_than_can_be_restored_are_refused_before_anything_is_copied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.backup.space.MOST_FILES", len(LIST_FILES) + 1)
    monkeypatch.setattr(BackupFolder, "copy_media", lambda *_: pytest.fail("copied"))
    operation = run(start_backup(world.cast.alice))
    assert (operation.state, operation.error_code) == (State.FAILED, "too_many_files")


def test_a_full_disk_leaves_the_earlier_one_and_nothing_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = backed_up(world.cast.alice)
    backup = start_backup(world.cast.alice)

    def full(self: Any, data: bytes, /) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.MeasuredFile, "write", full)
        operation = run(backup)
    assert (operation.state, operation.error_code) == (State.FAILED, "disk_space")
    assert "Earlier backups are as they were." in operation.error
    assert os.listdir(earlier.parent_folder) == [earlier.path.name]
    assert whole(earlier)


def test_media_that_are_gone_are_told_and_the_rest_is_whole(world: World) -> None:
    media.storage().delete(media.name_of(world.cast.alice.pk, world.film.md5))
    backup = backed_up(world.cast.alice)
    operation = Operation.objects.get(pk=backup.operation_id)
    assert (backup.issue_count, operation.result["problem_count"], backup.media_count) == (1, 1, 1)
    (line,) = (backup.path / "issues.txt").read_text().splitlines()
    assert world.film.md5 in line
    assert "not in the media store any more" in line
    assert [one["photo_md5"] for one in read(backup, "media_manifest.json")] == [world.picture.md5]
    assert whole(backup)


def test_a_library_and_a_media_store_out_of_reach_fail_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(world.cast.root)

    def away(path: Any, *rest: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("catalog.albums.media.open", away, raising=False)
    backup = backed_up(world.cast.alice)
    assert (backup.issue_count, backup.media_count, backup.note_count) == (2, 0, 1)


def test_media_are_linked_only_where_their_bytes_are_proven(world: World) -> None:
    first = backed_up(world.cast.alice)
    (picture,) = first.path.rglob("*.jpg")
    (film,) = first.path.rglob("*.mp4")
    was = film.stat()
    film.write_bytes(FILM[::-1])  # its size kept, and its time
    os.utime(film, ns=(was.st_atime_ns, was.st_mtime_ns))
    second = backed_up(world.cast.alice)
    same = second.path / picture.relative_to(first.path)
    copied = second.path / film.relative_to(first.path)
    assert same.stat().st_ino == picture.stat().st_ino, "no new bytes"
    assert copied.read_bytes() == FILM
    delete_backup(first)
    assert whole(second)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    os.chmod(path, 0o644)
    path.unlink()  # it may be a link
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["albums.json", "metadata.json", "manifest.json", "*.jpg", "", "gone"])
def test_verification_finds_each_damage(world: World, name: str) -> None:
    backup = backed_up(world.cast.alice)
    if name == "gone":
        shutil.rmtree(backup.path)
    elif name:
        flip(next(backup.path.rglob(name)))
    operation = execute(start_verification(backup).pk)
    backup.refresh_from_db()
    assert operation is not None
    assert operation.state == State.COMPLETED
    if not name:
        assert (backup.problem, operation.result["failed"]) == ("", 0)
        assert backup.verified_at is not None
    else:
        assert backup.verified_at is None
        assert backup.problem
        assert operation.result["failed"] >= 1


def test_a_full_disk_of_the_server_says_nothing_of_a_backup(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, newer = (start_backup_to(tmp_path / name, world.cast.alice, is_zip=True) for name in ("first", "second"))
    backup.parent_folder.mkdir()
    newer.parent_folder.mkdir()
    assert run(backup).state == State.COMPLETED
    backup.refresh_from_db()
    was = backup.verified_at
    assert was is not None

    def full(*arguments: Any, **named: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("exports.bundle.files.unpack", full)
    operation = execute(start_verification(backup).pk)
    assert operation is not None
    assert (operation.state, operation.error_code) == (State.FAILED, "no_space")
    backup.refresh_from_db()
    assert (backup.verified_at, backup.problem) == (was, "")
    assert run(newer).error_code == "not_verified"
    newer.refresh_from_db()
    assert newer.path.exists()
    assert newer.completed_at is not None
    assert "no room on the server" in newer.problem


def test_verification_compares_what_is_counted_and_listed(world: World) -> None:
    """Files that are right by their digests can still contradict each other."""
    backup = backed_up(world.cast.alice)
    flaws = {
        "notes.json": lambda text: text.replace(b"Hello", b"Hxllo"),
        "media_manifest.json": lambda text: b'{"files": []}',
    }
    for name, change in flaws.items():
        path = backup.path / name
        whole_text = path.read_bytes()
        path.write_bytes(change(whole_text))
        problems = verify_backup(backup).problems
        assert any(name in problem or "media/" in problem for problem in problems), problems
        path.write_bytes(whole_text)
    assert not verify_backup(backup).problems


@pytest.mark.promise("S1-055", "S1-071")
def test_it_says_how_far_it_is(world: World) -> None:
    backup = start_backup(world.cast.alice)
    assert backup.word == "queued"
    said: list[tuple[float, str]] = []

    def note(operation: Operation) -> None:
        if not said or said[-1][1] != operation.phase:
            said.append((Operation.objects.get(pk=operation.pk).metrics["fraction"], operation.phase))

    operation = execute(backup.operation_id, on_progress=note)
    assert operation is not None
    assert said == [
        (0.1, "Collecting albums"),
        (0.3, "Collecting notes"),
        (0.5, "Collecting drafts"),
        (0.7, "Preparing the backup"),
        (0.7, "Copying media"),
        (0.9, "Verifying"),
    ]
    backup.refresh_from_db()
    assert (operation.state, backup.word, operation.metrics["fraction"]) == (State.COMPLETED, "completed", 1.0)


def test_one_of_a_user_at_a_time(world: World) -> None:
    alice = world.cast.alice
    first = start_backup(alice)
    with pytest.raises(AlreadyActive):
        start_backup(alice)
    admin = make_user("root", is_superuser=True)
    mine, all_of_it = start_backup(admin), start_backup(admin, "server")
    assert claim(all_of_it.operation_id) is None, "it waits for the other one of its user"
    with pytest.raises(ExportRefused, match="still at work"):
        delete_backup(first)
    assert run(mine).state == State.COMPLETED
    assert run(all_of_it).state == State.COMPLETED
    assert run(first).state == State.COMPLETED


def test_a_deleted_backup_leaves_nothing(world: World) -> None:
    backup = backed_up(world.cast.alice)
    delete_backup(backup)
    assert not Backup.objects.exists()
    assert os.listdir(backup.parent_folder) == []
