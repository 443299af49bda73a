"""Publishing and finding again: at whatever moment it stops, a whole snapshot is found, and nothing is lost."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.snapshots.choose import Choice, choose_snapshot
from catalog.snapshots.location import FolderLocation
from catalog.snapshots.pointer import POINTER_NAME, parse_pointer
from catalog.snapshots.publish import Published, publish
from catalog.snapshots.schema import EntryRow, SnapshotHeader, snapshot_name
from catalog.snapshots.write import WrittenSnapshot, file_md5, write_snapshot

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Killed(BaseException):
    """The process ends here: no handler for errors may see it as one."""


class House:
    """A root, a cache and a working folder, with the verbs of a story."""

    def __init__(self, folder: Path) -> None:
        self.root_folder, self.cache_folder, self.work = folder / "root", folder / "cache" / "abc", folder / "work"
        self.root_folder.mkdir()
        self.work.mkdir()
        self.root = FolderLocation(self.root_folder, "the library's folder")
        self.cache = FolderLocation(self.cache_folder, "the cache", create=True)

    def write(self, content: str) -> WrittenSnapshot:
        row = EntryRow(f"{content}.jpg", f"{content}.jpg", 1, 2, *(None,) * 11)
        return write_snapshot(self.work, SnapshotHeader("library"), [row])

    def publish(self, content: str, **options: Any) -> Published:
        with self.write(content) as written:
            return publish(written, self.cache, options.pop("root", self.root), **options)

    def choose(self, **options: Any) -> Choice:
        return choose_snapshot(options.pop("root", self.root), self.cache, self.work, now=NOW, **options)

    def found(self, **options: Any) -> str | None:
        """Choose, and return the content found, after checking that the snapshot is whole."""
        choice = self.choose(**options)
        if choice.snapshot is None or choice.working_path is None:
            return None
        with choice.snapshot as snapshot:
            (entry,) = snapshot.entries()
        os.unlink(choice.working_path)
        return entry.filename.removesuffix(".jpg")

    def lines(self, folder: Path) -> tuple[str, ...]:
        return parse_pointer((folder / POINTER_NAME).read_bytes()).md5s


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def damage(path: Path) -> bytes:
    """Flip one byte in the middle; returns the damaged bytes."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    return bytes(raw)


class ReadOnly(FolderLocation):
    """A root that cannot be written: chmod does not stop the user that tests may run as."""

    def __init__(self, folder: Path, number: int = errno.EROFS) -> None:
        super().__init__(folder, "the library's folder")
        self._number = number

    def put_file(self, name: str, path: str) -> None:
        raise OSError(self._number, os.strerror(self._number), name)

    def put_bytes(self, name: str, data: bytes) -> None:
        raise OSError(self._number, os.strerror(self._number), name)

    def delete(self, name: str) -> None:
        raise OSError(self._number, os.strerror(self._number), name)

    def rename(self, name: str, new_name: str) -> None:
        raise OSError(self._number, os.strerror(self._number), name)


@pytest.mark.promise("S4-021", "S4-022", "S4-023", "S4-024", "S4-047", "S4-005")
def test_both_places_hold_the_snapshot_and_the_pointer(house: House) -> None:
    published = house.publish("one")
    assert published.root_written
    assert published.warnings == []
    for folder in (house.root_folder, house.cache_folder):
        assert names(folder) == [snapshot_name(published.md5), POINTER_NAME]
        assert (folder / POINTER_NAME).read_text() == published.md5 + "\n"
        snapshot = folder / snapshot_name(published.md5)
        assert file_md5(snapshot) == published.md5
        assert stat.S_IMODE(snapshot.stat().st_mode) == 0o444
        assert snapshot.stat().st_nlink == 1  # root and cache share no bytes
    assert names(house.work) == []
    assert house.found() == "one"


@pytest.mark.promise("S4-048", "S4-X08")
def test_the_pointer_names_the_latest_first_then_the_earlier_ones(house: House) -> None:
    md5s = [house.publish(content).md5 for content in ("one", "two", "three")]
    assert house.lines(house.root_folder) == house.lines(house.cache_folder) == tuple(reversed(md5s))
    assert house.found() == "three"


@pytest.mark.promise("S4-X02")
def test_going_back_to_an_earlier_content_moves_it_to_the_front(house: House) -> None:
    first, second, third = (house.publish(content).md5 for content in ("A", "B", "A"))
    assert first == third
    assert house.lines(house.root_folder) == house.lines(house.cache_folder) == (first, second)
    assert house.found() == "A"


@pytest.mark.promise("S4-074", "S4-X04", "S4-U10")
def test_only_the_newest_are_kept_though_their_names_begin_with_a_dot(house: House) -> None:
    md5s = [house.publish(str(number)).md5 for number in range(8)]
    newest = list(reversed(md5s[-5:]))
    for folder in (house.root_folder, house.cache_folder):
        assert names(folder) == sorted([POINTER_NAME, *map(snapshot_name, newest)])
        assert list(house.lines(folder)) == newest
    house.publish("last", keep_count=0)
    assert len(names(house.root_folder)) == 2
    assert house.found() == "last"


def test_files_of_others_in_the_root_are_never_touched(house: House) -> None:
    for name in ("photo.jpg", ".photolala.txt", ".photolala.notes.sqlite", ".hidden"):
        (house.root_folder / name).write_text(name)
    aside = house.root_folder / (snapshot_name("0" * 32) + ".broken-20200101T000000Z")
    aside.write_text("kept for ever")
    for number in range(7):
        house.publish(str(number), keep_count=1)
    assert aside.read_text() == "kept for ever"
    assert len(names(house.root_folder)) == 5 + 2


def test_the_same_content_again_writes_nothing(house: House) -> None:
    house.publish("one")
    before = {path: path.stat().st_ino for path in house.root_folder.iterdir()}
    house.publish("one")
    assert {path: path.stat().st_ino for path in house.root_folder.iterdir()} == before


@pytest.mark.promise("S4-U12")
def test_publishing_repairs_a_damaged_file_of_the_same_name(house: House) -> None:
    published = house.publish("one")
    damage(house.root_folder / snapshot_name(published.md5))
    house.publish("one")
    assert file_md5(house.root_folder / snapshot_name(published.md5)) == published.md5


@pytest.mark.promise("S4-065", "S4-066", "S4-X03")
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EIO])
def test_a_root_that_cannot_be_written_costs_a_warning_only(house: House, number: int) -> None:
    published = house.publish("one", root=ReadOnly(house.root_folder, number))
    assert not published.root_written
    (warning,) = published.warnings
    assert "could not be written to the library's folder" in warning
    assert os.strerror(number) in warning
    assert "kept in the cache" in warning
    assert names(house.root_folder) == []
    assert house.found(root=ReadOnly(house.root_folder)) == "one"


@pytest.mark.promise("S4-050", "S4-065")
def test_a_root_that_became_read_only_is_stale_and_the_cache_is_used(house: House) -> None:
    house.publish("old")
    root = ReadOnly(house.root_folder)
    house.publish("new", root=root)
    assert house.found(root=root) == "new"
    assert "older than that of the cache" in " ".join(house.choose(root=root).notes)


def test_a_root_written_by_another_server_wins_over_our_cache(house: House, tmp_path: Path) -> None:
    house.publish("ours")
    other_cache = FolderLocation(tmp_path / "other", "another cache", create=True)
    with house.write("theirs") as written:
        publish(written, other_cache, house.root)
    assert house.found() == "theirs"


def test_a_missing_root_is_not_made(house: House) -> None:
    house.root_folder.rmdir()
    published = house.publish("one")
    assert not published.root_written
    assert not house.root_folder.exists()
    assert house.found() == "one"


def test_a_source_that_takes_no_files_has_only_the_cache(house: House) -> None:
    published = house.publish("one", root=None)
    assert published.warnings == []
    assert names(house.root_folder) == []
    assert house.found(root=None) == "one"


def test_a_cache_that_cannot_be_written_is_an_error_and_leaves_the_root_alone(house: House) -> None:
    house.publish("old")
    before = names(house.root_folder)
    house.cache = ReadOnly(house.cache_folder)
    with pytest.raises(OSError, match="Read-only"):
        house.publish("new")
    assert names(house.root_folder) == before
    assert house.found() == "old"


@pytest.mark.promise("S4-049", "S4-051")
def test_the_root_is_tried_first_and_its_snapshot_copied_before_use(house: House) -> None:
    published = house.publish("one")
    choice = house.choose()
    assert choice.label == "the library's folder"
    assert choice.is_latest
    assert choice.notes == []
    assert choice.working_path == str(house.work / snapshot_name(published.md5))
    assert choice.snapshot is not None
    (house.root_folder / snapshot_name(published.md5)).unlink()  # what happens to the root no longer matters
    assert len(list(choice.snapshot.entries())) == 1
    choice.snapshot.close()


@pytest.mark.promise("S4-050", "S4-006")
@pytest.mark.parametrize("pointer", [None, b"", b"garbage\n\xff\x00", b"0123"])
def test_a_missing_or_torn_root_pointer_leads_to_the_cache(house: House, pointer: bytes | None) -> None:
    house.publish("one")
    (house.root_folder / POINTER_NAME).unlink()
    if pointer is not None:
        (house.root_folder / POINTER_NAME).write_bytes(pointer)
    choice = house.choose()
    assert choice.label == "the cache"
    assert choice.notes
    assert house.found() == "one"


@pytest.mark.promise("S4-062", "X-06")
def test_a_damaged_snapshot_is_set_aside_and_the_previous_one_used(house: House) -> None:
    house.publish("old")
    new = house.publish("new")
    bad = damage(house.root_folder / snapshot_name(new.md5))
    choice = house.choose()
    assert choice.label == "the library's folder"
    assert not choice.is_latest
    assert choice.snapshot is not None
    assert [entry.filename for entry in choice.snapshot.entries()] == ["old.jpg"]
    aside = house.root_folder / (snapshot_name(new.md5) + ".broken-20260102T030405Z")
    assert aside.read_bytes() == bad
    assert not (house.root_folder / snapshot_name(new.md5)).exists()
    assert "bytes no longer have the MD5" in choice.notes[0]
    assert aside.name in choice.notes[1]


@pytest.mark.promise("S4-062")
def test_after_all_of_the_root_the_cache_is_tried(house: House) -> None:
    md5s = [house.publish(content).md5 for content in ("old", "new")]
    for md5 in md5s:
        (house.root_folder / snapshot_name(md5)).unlink()
    assert house.found() == "new"
    damage(house.cache_folder / snapshot_name(md5s[1]))
    assert house.found() == "old"


@pytest.mark.promise("S4-052", "S4-063")
def test_when_nothing_is_usable_the_answer_is_to_rebuild(house: House) -> None:
    assert house.choose().snapshot is None
    md5s = [house.publish(content).md5 for content in ("old", "new")]
    for md5 in md5s:
        damage(house.root_folder / snapshot_name(md5))
        damage(house.cache_folder / snapshot_name(md5))
    choice = house.choose()
    assert choice.snapshot is None
    assert choice.working_path is None
    assert "rebuilt" in choice.notes[-1]
    assert names(house.work) == []
    assert sum(".broken-" in name for name in names(house.root_folder) + names(house.cache_folder)) == 4


def test_one_damaged_twice_in_a_second_is_kept_twice(house: House) -> None:
    for _ in range(3):
        damage(house.root_folder / snapshot_name(house.publish("one").md5))
        house.choose()
    broken = [name for name in names(house.root_folder) if ".broken-" in name]
    assert len(broken) == 3


def test_a_damaged_snapshot_in_a_read_only_root_stays_and_is_passed_over(house: House) -> None:
    published = house.publish("one")
    damage(house.root_folder / snapshot_name(published.md5))
    before = names(house.root_folder)
    assert house.found(root=ReadOnly(house.root_folder)) == "one"
    assert names(house.root_folder) == before


def test_a_snapshot_that_cannot_be_read_now_is_not_set_aside(house: House) -> None:
    class Flaky(FolderLocation):
        def open(self, name: str) -> Any:
            if name.endswith(".sqlite"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().open(name)

    house.publish("one")
    before = names(house.root_folder)
    choice = house.choose(root=Flaky(house.root_folder, "the share"))
    assert choice.label == "the cache"
    assert "cannot be read now" in choice.notes[0]
    assert names(house.root_folder) == before


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_under_a_snapshot_name_is_not_opened(house: House, tmp_path: Path, kind: str) -> None:
    published = house.publish("one")
    place = house.root_folder / snapshot_name(published.md5)
    place.rename(tmp_path / "elsewhere")
    if kind == "link":
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert house.choose().label == "the cache"


def test_a_lost_pointer_does_not_cost_the_earlier_snapshots(house: House) -> None:
    md5s = [house.publish(content).md5 for content in ("one", "two")]
    (house.root_folder / POINTER_NAME).write_bytes(b"\x00" * 33)
    latest = house.publish("three").md5
    assert set(house.lines(house.root_folder)) == {latest, *md5s}
    assert house.lines(house.root_folder)[0] == latest
    assert len(names(house.root_folder)) == 4


def test_what_crashes_left_is_removed_after_a_day_and_not_before(house: House) -> None:
    old, fresh = (house.root_folder / f".photolala.x.{word}.tmp" for word in ("old", "fresh"))
    old.touch()
    fresh.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    house.publish("one")
    assert fresh.exists()
    assert not old.exists()


def test_names_that_lead_elsewhere_are_refused(house: House) -> None:
    for name in ("../x", ".photolala./../../x", "photo.jpg", ".photolala.\x00"):
        for call in (house.root.open, house.root.delete):
            with pytest.raises(ValueError, match="not the name"):
                call(name)


def killing_at(monkeypatch: pytest.MonkeyPatch, number: int, error: Callable[[], BaseException]) -> Iterator[int]:
    """Let the system call `number` (of those that change files) end the process, and all later ones too."""
    import shutil

    count = 0

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count >= number:
                raise error()
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    for name in ("fsync", "link", "chmod", "fchmod", "replace", "unlink"):
        wrap(os, name)
    wrap(shutil, "copyfile")
    yield count


@pytest.mark.promise("S4-044", "S4-067")
@pytest.mark.parametrize("previous", [(), ("old",), ("older", "old", "new", "old")])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_state_whole(
    tmp_path: Path, previous: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for number in range(1, 200):
        folder = tmp_path / str(number)
        folder.mkdir()
        house = House(folder)
        for content in previous:
            house.publish(content, keep_count=3)
        written = house.write("new")
        finished = True
        with monkeypatch.context() as patch:
            next(killing_at(patch, number, Killed))
            try:
                publish(written, house.cache, house.root, keep_count=2)
            except Killed:
                finished = False
        outcomes.append(house.found())
        assert not [name for place in (house.root_folder, house.cache_folder) if place.exists()
                    for name in names(place) if ".broken-" in name]  # fmt: skip
        published = house.publish("new", keep_count=2)  # the next run goes through, whatever the last one left
        assert published.root_written
        assert house.found() == "new"
        if finished:
            break
    else:
        pytest.fail("the kill never came too late")
    before = previous[-1] if previous else None
    assert len(outcomes) > 10
    assert set(outcomes) == {before, "new"}
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome == "new")  # once new, never old again
